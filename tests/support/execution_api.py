"""A simulated Execution API: the server that a worker's supervisor talks to, with one task instance in memory.

It answers the requests of Airflow's own client (``airflow.sdk.api.client.Client``) through an httpx transport, so
that client, supervisor and task runner are the real ones. What each route does follows
``airflow/api_fastapi/execution_api/routes`` of Airflow 3.3; a route that isn't here is answered with 501 and
remembered in ``unanswered``, so that no test passes on a made-up reply.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
from pydantic import TypeAdapter

from tests.support.server_rows import HITLRow, TaskInstanceRow

XComKey = tuple[str, str, int, str, str]
"""dag id, task id, map index, run id, key."""


class _NotFoundError(Exception):
    """Becomes a 404 with the body that the server gives."""


@dataclass
class ExecutionApi:
    """State of the server, as far as one task instance can see and change it."""

    ti: TaskInstanceRow
    dag_run: dict[str, Any]
    connections: dict[str, dict[str, Any]] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    xcoms: dict[XComKey, Any] = field(default_factory=dict)
    assets: list[dict[str, Any]] = field(default_factory=list)
    hitl: HITLRow | None = None
    rendered: dict[str, Any] = field(default_factory=dict)
    rendered_map_index: str | None = None
    last_state: dict[str, Any] = field(default_factory=dict)
    skipped: list[Any] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)

    def own_xcoms(self) -> dict[str, Any]:
        """Return this task instance's XComs as stored: key -> JSON value."""
        own = (self.ti.dag_id, self.ti.task_id, self.ti.map_index, self.ti.run_id)
        return {key[4]: value for key, value in self.xcoms.items() if key[:4] == own}

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answer one request; the transport's handler."""
        path = request.url.path.lstrip("/")
        for method, pattern, route in _ROUTES:
            if method == request.method and (match := re.fullmatch(pattern, path)):
                try:
                    return route(self, request, *match.groups())
                except _NotFoundError as error:
                    return httpx.Response(404, json={"detail": {"reason": "not_found", "message": str(error)}})
        self.unanswered.append(f"{request.method} {path}")
        return httpx.Response(501, json={"detail": f"the simulated server has no route {request.method} {path}"})


def _body(request: httpx.Request) -> Any:
    return json.loads(request.content)


def _done(status: int = 204) -> httpx.Response:
    return httpx.Response(status)


def _run(api: ExecutionApi, request: httpx.Request, _: str) -> httpx.Response:
    """Start: hand out the run context. See ``ti_run``."""
    ti = api.ti
    resumed = ti.next_method is not None
    context = {
        "dag_run": api.dag_run,
        "task_reschedule_count": ti.task_reschedule_count,
        "max_tries": ti.max_tries,
        "variables": [],
        "connections": [],
        "xcom_keys_to_clear": [] if resumed else list(api.own_xcoms()),
        "should_retry": ti.max_tries != 0 and ti.try_number <= ti.max_tries,
    }
    if resumed:
        context |= {"next_method": ti.next_method, "next_kwargs": ti.next_kwargs, "start_date": ti.start_date}
    else:
        ti.start_date = _body(request)["start_date"]
        ti.first_start_date = ti.first_start_date or ti.start_date
    ti.state = "running"
    return httpx.Response(200, json=context)


def _state(api: ExecutionApi, request: httpx.Request, _: str) -> httpx.Response:
    """End, park or put off. See ``_create_ti_state_update_query_and_update_state``."""
    ti = api.ti
    body = api.last_state = _body(request)
    ti.state = body["state"]
    ti.next_method, ti.next_kwargs = body.get("next_method"), body.get("next_kwargs")
    ti.trigger_classpath, ti.trigger_kwargs = body.get("classpath"), body.get("trigger_kwargs")
    limit = body.get("trigger_timeout") if ti.state == "deferred" else body.get("timeout")
    ti.trigger_timeout = None if limit is None else TypeAdapter(timedelta).validate_python(limit)
    return _done()


def _skip_downstream(api: ExecutionApi, request: httpx.Request, _: str) -> httpx.Response:
    api.skipped.extend(_body(request)["tasks"])
    return _done()


def _set_rendered(api: ExecutionApi, request: httpx.Request, _: str) -> httpx.Response:
    api.rendered = _body(request)
    return _done(201)


def _set_rendered_map_index(api: ExecutionApi, request: httpx.Request, _: str) -> httpx.Response:
    api.rendered_map_index = _body(request)
    return _done()


def _no_inactive_assets(api: ExecutionApi, request: httpx.Request, _: str) -> httpx.Response:
    return httpx.Response(200, json={"inactive_assets": []})


def _first_poke(api: ExecutionApi, request: httpx.Request, _: str) -> httpx.Response:
    return httpx.Response(200, json=api.ti.first_start_date)


def _ask(api: ExecutionApi, request: httpx.Request, _: str) -> httpx.Response:
    """Put a question to people. See ``upsert_hitl_detail``: an earlier answer goes, the question stays as it was."""
    body = _body(request)
    if api.hitl is None:
        asked = {key: body[key] for key in ("options", "subject", "body", "defaults", "multiple", "params")}
        api.hitl = HITLRow(**asked, assignees=body["assigned_users"])
    elif api.hitl.responded_at is not None:
        api.hitl.responded_at = api.hitl.responded_by = api.hitl.chosen_options = None
        api.hitl.params_input = {}
    row = api.hitl
    shown = {key: getattr(row, key) for key in ("options", "subject", "body", "defaults", "multiple", "params")}
    return httpx.Response(201, json=shown | {"ti_id": str(api.ti.id), "assigned_users": row.assignees})


def _connection(api: ExecutionApi, request: httpx.Request, conn_id: str) -> httpx.Response:
    if conn_id not in api.connections:
        raise _NotFoundError(f"Connection with ID {conn_id} not found")
    return httpx.Response(200, json=api.connections[conn_id])


def _variable(api: ExecutionApi, request: httpx.Request, key: str) -> httpx.Response:
    if key not in api.variables:
        raise _NotFoundError(f"Variable with key '{key}' not found")
    return httpx.Response(200, json={"key": key, "value": api.variables[key]})


def _mapped_values(api: ExecutionApi, dag_id: str, run_id: str, task_id: str, key: str) -> list[Any]:
    """Return the values of all map indexes, in their order; one value for a task that isn't mapped."""
    found = {k[2]: v for k, v in api.xcoms.items() if (k[0], k[1], k[3], k[4]) == (dag_id, task_id, run_id, key)}
    return [found[index] for index in sorted(found)]


def _xcom_slice(api: ExecutionApi, request: httpx.Request, *place: str) -> httpx.Response:
    query = request.url.params
    start, stop, step = (int(query[name]) if name in query else None for name in ("start", "stop", "step"))
    return httpx.Response(200, json=_mapped_values(api, *place)[start:stop:step])


def _xcom_item(api: ExecutionApi, request: httpx.Request, *place: str) -> httpx.Response:
    *xcom, offset = place
    values = _mapped_values(api, *xcom)
    if not -len(values) <= int(offset) < len(values):
        raise _NotFoundError(f"XCom {xcom} has no item {offset}")
    return httpx.Response(200, json=values[int(offset)])


def _xcom_count(api: ExecutionApi, request: httpx.Request, *place: str) -> httpx.Response:
    return httpx.Response(200, headers={"Content-Range": f"map_indexes {len(_mapped_values(api, *place))}"})


def _xcom(
    api: ExecutionApi, request: httpx.Request, dag_id: str, run_id: str, task_id: str, key: str
) -> httpx.Response:
    place = (dag_id, task_id, int(request.url.params.get("map_index", -1)), run_id, key)
    if request.method == "POST":
        api.xcoms[place] = _body(request)
        return httpx.Response(201, json={"message": "XCom successfully set"})
    if request.method == "DELETE":
        api.xcoms.pop(place, None)
        return httpx.Response(200, json={"message": "XCom deleted"})
    if place not in api.xcoms:
        raise _NotFoundError(f"XCom with key='{key}' not found for task '{task_id}'")
    return httpx.Response(200, json={"key": key, "value": api.xcoms[place]})


def _asset(api: ExecutionApi, request: httpx.Request, by: str) -> httpx.Response:
    for asset in api.assets:
        if asset[by] == request.url.params[by]:
            return httpx.Response(200, json=asset)
    raise _NotFoundError(f"Asset {request.url.params} not found")


def _no_asset_events(api: ExecutionApi, request: httpx.Request, _: str) -> httpx.Response:
    return httpx.Response(200, json={"asset_events": []})


_Route = Callable[..., httpx.Response]
_XCOM = r"xcoms/([^/]+)/([^/]+)/([^/]+)/(.+)"


def _table(routes: Mapping[tuple[str, str], _Route]) -> list[tuple[str, str, _Route]]:
    """Return one line per HTTP method, in order: the first pattern that matches the whole path answers."""
    return [(method, pattern, route) for (methods, pattern), route in routes.items() for method in methods.split()]


_ROUTES = _table(
    {
        ("PATCH", r"task-instances/([^/]+)/run"): _run,
        ("PATCH", r"task-instances/([^/]+)/state"): _state,
        ("PATCH", r"task-instances/([^/]+)/skip-downstream"): _skip_downstream,
        ("PUT", r"task-instances/([^/]+)/rtif"): _set_rendered,
        ("PATCH", r"task-instances/([^/]+)/rendered-map-index"): _set_rendered_map_index,
        ("GET", r"task-instances/([^/]+)/validate-inlets-and-outlets"): _no_inactive_assets,
        ("GET", r"task-reschedules/([^/]+)/start_date"): _first_poke,
        ("POST", r"hitlDetails/([^/]+)"): _ask,
        ("GET", r"connections/(.+)"): _connection,
        ("GET", r"variables/(.+)"): _variable,
        ("GET", _XCOM + "/slice"): _xcom_slice,
        ("GET", _XCOM + r"/item/(-?\d+)"): _xcom_item,
        ("HEAD", _XCOM): _xcom_count,
        ("GET POST DELETE", _XCOM): _xcom,
        ("GET", r"assets/by-(name|uri)"): _asset,
        ("GET", r"asset-events/by-(asset|asset-alias)"): _no_asset_events,
    }
)
