"""Sees who sets a gate's state by hand, clears it, or writes its XCom: a middleware around Airflow's api-server.

Airflow's listeners don't do for this: they are told of a state that was set, but not by whom, and of nothing else. Here
each request that succeeded is looked at after it was answered. Nothing is changed, held up or refused by this, and what
goes wrong goes to the log.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Message, Receive, Send], Awaitable[None]]

MAX_BODY = 4 * 1024 * 1024
"""Of a body that is longer no task is read; then the path alone says which gate is meant."""
_DAG, _RUN = r"/api/v2/dags/(?P<dag>[^/]+)", r"/dagRuns/(?P<run>[^/]+)"
_WATCHED = tuple(
    (method, event, re.compile(pattern + r"\Z"))
    for method, event, pattern in (
        ("PATCH", "state-set", _DAG + _RUN),
        ("PATCH", "state-set", _DAG + _RUN + r"/taskInstances(/(?P<task>[^/]+)(/-?\d+)?)?"),
        ("PATCH", "state-set", _DAG + _RUN + r"/taskGroupInstances/[^/]+"),
        ("POST", "cleared", _DAG + _RUN + r"/clear"),
        ("POST", "cleared", _DAG + r"/(clearTaskInstances|clearDagRuns)"),
        ("POST", "xcom-changed", _DAG + _RUN + r"/taskInstances/(?P<task>[^/]+)/xcomEntries"),
        ("PATCH", "xcom-changed", _DAG + _RUN + r"/taskInstances/(?P<task>[^/]+)/xcomEntries/.+"),
        ("DELETE", "xcom-changed", _DAG + _RUN + r"/taskInstances/(?P<task>[^/]+)/xcomEntries/.+"),
        ("POST", "xcom-changed", r"/execution/xcoms/(?P<dag>[^/]+)/(?P<run>[^/]+)/(?P<task>[^/]+)/.+"),
        ("DELETE", "xcom-changed", r"/execution/xcoms/(?P<dag>[^/]+)/(?P<run>[^/]+)/(?P<task>[^/]+)/.+"),
    )
)


@dataclass(frozen=True)
class Act:
    """What a request did.

    Attributes:
        event: see :class:`airflow_mlsecops.core.predicates.alarm.Event`.
        what: method and path.
        tasks: (dag, run, task) that it names; ``None`` for all tasks of a run.
        token: who asked, as the request's token says, which the server had accepted.
        by_task: whether a running task asked, and not a person.
    """

    event: str
    what: str
    tasks: tuple[tuple[str, str, str | None], ...]
    token: str
    by_task: bool


class GateWatch:
    """The middleware; it does nothing unless ``alarm_conn_id``, ``alarm_notifiers`` or ``notifiers`` is set."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let the request through; look at it afterwards if it is one that can go round a gate."""
        watched = _watched(scope)
        if watched is None or not _is_wanted():
            await self._app(scope, receive, send)
            return
        asked, answered, status = bytearray(), bytearray(), 500

        async def hear() -> Message:
            message = await receive()
            _keep(asked, message)
            return message

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
            _keep(answered, message)
            await send(message)

        await self._app(scope, hear, tell)
        if status >= 400:
            return
        try:
            act = _act(watched, scope, bytes(asked), bytes(answered))
            if act is not None:
                from airflow_mlsecops.plugin.watch_report import report

                user = "" if act.by_task else await _user(act.token)
                await asyncio.to_thread(report, act, user)
        except Exception:
            log.exception("A request that may have gone round a gate couldn't be looked at")


def _watched(scope: Message) -> tuple[str, re.Match[str]] | None:
    if scope.get("type") != "http":
        return None
    for method, event, pattern in _WATCHED:
        match = pattern.search(scope["path"]) if scope["method"] == method else None
        if match:
            return event, match
    return None


def _is_wanted() -> bool:
    from airflow.configuration import conf

    return any(conf.get("mlsecops", name, fallback="") for name in ("alarm_conn_id", "alarm_notifiers", "notifiers"))


def _keep(kept: bytearray, message: Message) -> None:
    body = message.get("body") or b""
    kept.extend(body[: MAX_BODY - len(kept)])


def _act(watched: tuple[str, re.Match[str]], scope: Message, asked: bytes, answered: bytes) -> Act | None:
    event, match = watched
    names = {key: unquote(value) for key, value in match.groupdict().items() if value}
    request, answer = _json(asked), _json(answered)
    # What the server took and can't be read here was too long to be kept: it may be anything.
    whole = request is not None or not asked
    if whole and event == "cleared" and (not isinstance(request, dict) or request.get("dry_run", True)):
        return None
    if whole and event == "state-set" and not _sets_state(request):
        return None
    tasks = {found for body in (request, answer) for found in _tasks(body, names)}
    if not tasks and "run" in names:
        tasks = {(names["dag"], names["run"], names.get("task"))}
    what = f"{scope['method']} {scope['path']}"
    return Act(event, what, tuple(sorted(tasks, key=str)), _token(scope), scope["path"].find("/execution/xcoms/") >= 0)


def _sets_state(request: Any) -> bool:
    """Whether a body, or an entity in it, gives a new state: a note alone goes round nothing."""
    if isinstance(request, dict):
        return bool({"new_state", "state"} & request.keys()) or any(map(_sets_state, request.values()))
    return isinstance(request, list) and any(map(_sets_state, request))


def _tasks(body: Any, names: dict[str, str]) -> Iterator[tuple[str, str, str | None]]:
    """The task instances that a body names, as far as it says which run they belong to."""
    if isinstance(body, list):
        for item in body:
            yield from _tasks(item, names)
    elif isinstance(body, dict):
        dag, run = body.get("dag_id") or names.get("dag"), body.get("dag_run_id") or names.get("run")
        listed = body.get("task_ids")
        for named in [body.get("task_id"), *(listed if isinstance(listed, list) else ())]:
            task = named[0] if isinstance(named, list) and named else named
            if isinstance(task, str) and isinstance(dag, str) and isinstance(run, str):
                yield dag, run, task
        for item in body.values():
            yield from _tasks(item, {**names, **({"run": run} if isinstance(run, str) else {})})


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _token(scope: Message) -> str:
    from http.cookies import CookieError, SimpleCookie

    headers: dict[bytes, str] = {key.lower(): value.decode("latin-1") for key, value in scope["headers"]}
    scheme, _, token = headers.get(b"authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    try:
        cookies: SimpleCookie = SimpleCookie(headers.get(b"cookie", ""))
    except CookieError:
        return ""
    found = cookies.get("_token")
    return str(found.value) if found else ""


async def _user(token: str) -> str:
    from airflow.api_fastapi.app import get_auth_manager

    try:
        return str((await get_auth_manager().get_user_from_token(token)).get_name())
    except Exception as error:
        log.warning("Who went round a gate isn't known: %s", type(error).__name__)
        return ""
