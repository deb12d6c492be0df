"""A thin typed client of Airflow's REST API (/api/v2), as much of it as the demo and the end-to-end tests need."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from airflow_rest import AirflowApiError, RestClient, decode
from airflow_rows import Request, RunState, TaskState

__all__ = [
    "FINISHED",
    "SETTLE_SECONDS",
    "AirflowApi",
    "AirflowApiError",
    "Request",
    "RunState",
    "RunTimeoutError",
    "TaskState",
]

FINISHED = frozenset({"success", "failed"})
"""States in which a Dag run stays."""

# The state in which a task waits for people; `deferred` where an older provider parks it with a trigger.
_PARKED = frozenset({"awaiting_input", "deferred"})
_POLL_SECONDS = 0.5
SETTLE_SECONDS = 7.0
"""An answer that comes within about 6 s after a task has parked can kill it (apache/airflow#71580)."""


class RunTimeoutError(AirflowApiError):
    """Something did not happen in time; the message tells the states that were seen last."""


class AirflowApi(RestClient):
    """The calls by name; for its arguments see `RestClient`."""

    def health(self) -> dict[str, dict[str, Any]]:
        """Return what `/monitor/health` says, by component; needs no log-in."""
        health: dict[str, dict[str, Any]] = decode(self.send("GET", "/api/v2/monitor/health"))
        return health

    def unhealthy(self, *, since: datetime) -> list[str]:
        """Return the components that are not healthy, or whose last heartbeat was before `since`.

        A component that was killed counts as healthy until its last heartbeat is 30 s old.
        """
        health = self.health()
        found = []
        for name in ("metadatabase", "scheduler", "dag_processor", "triggerer"):
            entry = health.get(name, {})
            beat = entry.get(f"latest_{name}_heartbeat")
            stale = name != "metadatabase" and (beat is None or datetime.fromisoformat(beat) < since)
            if entry.get("status") != "healthy" or stale:
                found.append(name.replace("_", "-"))
        return found

    def providers(self) -> dict[str, str]:
        """Return name -> version of the installed providers."""
        return {row["package_name"]: row["version"] for row in self.pages("/providers", "providers")}

    def import_errors(self) -> dict[str, str]:
        """Return file name -> stack trace of the Dag files that could not be imported."""
        return {row["filename"]: row["stack_trace"] for row in self.pages("/importErrors", "import_errors")}

    def dag_ids(self) -> list[str]:
        """Return the ids of all Dags that the dag-processor has read by now."""
        return sorted(row["dag_id"] for row in self.pages("/dags", "dags"))

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, run_id: str | None = None) -> str:
        """Start a run of a Dag and return its id."""
        body = {"logical_date": None, "conf": dict(conf or {})} | ({"dag_run_id": run_id} if run_id else {})
        return str(self.request("POST", f"/dags/{_q(dag_id)}/dagRuns", json=body)["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> RunState:
        """Return a run with its tasks."""
        row = self.request("GET", _run(dag_id, run_id))
        tasks = tuple(self.task_instances(dag_id, run_id))
        return RunState(dag_id, run_id, row["state"], row.get("triggering_user_name"), tasks)

    def task_instances(self, dag_id: str, run_id: str) -> list[TaskState]:
        """Return the tasks of a run: those that began, in that order, then the others by name."""
        rows = self.pages(f"{_run(dag_id, run_id)}/taskInstances", "task_instances")
        tasks = [TaskState.from_row(row) for row in rows]
        return sorted(tasks, key=lambda t: (t.start.timestamp() if t.start else math.inf, t.task_id, t.map_index))

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return what a task pushed; `AirflowApiError` with status 404 when it pushed nothing under that key."""
        path = f"{_task_path(dag_id, run_id, task_id)}/xcomEntries/{_q(key)}"
        return self.request("GET", path, params={"map_index": map_index, "deserialize": True})["value"]

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Return what a task has logged, one event a line."""
        path = f"{_task_path(dag_id, run_id, task_id)}/logs/{try_number}"
        content = self.request("GET", path, params={"map_index": map_index, "full_content": True})["content"]
        return "\n".join(entry if isinstance(entry, str) else str(entry["event"]) for entry in content)

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int | None = None) -> None:
        """Mark a task by hand as `success`, `failed` or `skipped`."""
        suffix = "" if map_index is None else f"/{map_index}"
        self.request("PATCH", _task_path(dag_id, run_id, task_id) + suffix, json={"new_state": state})

    def clear(self, dag_id: str, run_id: str, task_ids: Sequence[str], *, downstream: bool = False) -> None:
        """Have tasks of a run done again, whatever their state is."""
        body = {
            "dry_run": False, "dag_run_id": run_id, "task_ids": list(task_ids), "only_failed": False,
            "include_downstream": downstream,
        }  # fmt: skip
        self.request("POST", f"/dags/{_q(dag_id)}/clearTaskInstances", json=body)

    def requests(self, dag_id: str = "~", run_id: str = "~", *, answered: bool | None = False) -> list[Request]:
        """Return the questions to people: the open ones, the answered ones, or (None) all."""
        params = {} if answered is None else {"response_received": str(answered).lower()}
        return [
            Request.from_row(row) for row in self.pages(f"{_run(dag_id, run_id)}/hitlDetails", "hitl_details", params)
        ]

    def respond(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        chosen_options: Sequence[str],
        params_input: Mapping[str, Any] | None = None,
        map_index: int = -1,
    ) -> None:
        """Answer a question at once; see `wait_for_request` for when it is safe to do so."""
        body = {"chosen_options": list(chosen_options), "params_input": dict(params_input or {})}
        self.request("PATCH", f"{_task_path(dag_id, run_id, task_id)}/{map_index}/hitlDetails", json=body)

    def wait_for_run(
        self, dag_id: str, run_id: str, *, timeout: float, progress: Callable[[RunState], None] = lambda run: None
    ) -> RunState:
        """Return a run once it is finished.

        Args:
            dag_id: Its Dag.
            run_id: Its id.
            timeout: Seconds to wait at most.
            progress: Told the state at every look, the last one included; what it raises ends the waiting.

        Raises:
            RunTimeoutError: When the time is up; tells the state of every task.
        """
        deadline = time.monotonic() + timeout
        while True:
            run = self.run(dag_id, run_id)
            progress(run)
            if run.state in FINISHED:
                return run
            if time.monotonic() >= deadline:
                raise RunTimeoutError(f"not finished after {timeout:.0f} s: {run}")
            time.sleep(_POLL_SECONDS)

    def wait_for_states(self, dag_id: str, run_id: str, states: Mapping[str, str], *, timeout: float) -> RunState:
        """Return a run as soon as the tasks named in `states` are in those states.

        Raises:
            RunTimeoutError: When they are not in time, or the run is finished without; tells the state of every task.
        """
        deadline = time.monotonic() + timeout
        while True:
            run = self.run(dag_id, run_id)
            if states.items() <= {task.task_id: task.state for task in run.tasks}.items():
                return run
            if run.state in FINISHED or time.monotonic() >= deadline:
                raise RunTimeoutError(f"not as expected ({dict(states)}): {run}")
            time.sleep(_POLL_SECONDS)

    def wait_for_request(
        self,
        dag_id: str,
        run_id: str,
        task_id: str | None = None,
        *,
        timeout: float,
        settle: float = SETTLE_SECONDS,
        progress: Callable[[RunState], None] = lambda run: None,
    ) -> Request:
        """Return an open question of a run once it can be answered safely.

        Args:
            dag_id: The Dag.
            run_id: The run.
            task_id: The task that asks; by default any.
            timeout: Seconds to wait at most.
            settle: Seconds for which the task must have been parked.
            progress: As in `wait_for_run`.

        Raises:
            RunTimeoutError: When nobody was asked in time, or the run ended first; tells the state of every task.
        """
        deadline = time.monotonic() + timeout
        parked: dict[tuple[str, int], float] = {}
        while True:
            run = self.run(dag_id, run_id)
            progress(run)
            now = time.monotonic()
            open_ones = {
                (request.task_id, request.map_index): request
                for request in self.requests(dag_id, run_id)
                if request.task_state in _PARKED and task_id in (None, request.task_id)
            }
            parked = {key: parked.get(key, now) for key in open_ones}
            for key, request in open_ones.items():
                if now - parked[key] >= settle:
                    return request
            if run.state in FINISHED or now >= deadline:
                raise RunTimeoutError(f"nobody was asked: {run}")
            time.sleep(_POLL_SECONDS)

    def wait_for_dag(self, dag_id: str, *, timeout: float = 60.0) -> None:
        """Return once the dag-processor has read a Dag.

        Raises:
            RunTimeoutError: When it has not in time; tells the Dags and the import errors that it has found.
        """
        deadline = time.monotonic() + timeout
        while dag_id not in (known := self.dag_ids()):
            if time.monotonic() >= deadline:
                raise RunTimeoutError(f"no Dag {dag_id} after {timeout:.0f} s, but {known}; {self.import_errors()}")
            time.sleep(_POLL_SECONDS)


def _q(part: str) -> str:
    return quote(part, safe="~")


def _run(dag_id: str, run_id: str) -> str:
    return f"/dags/{_q(dag_id)}/dagRuns/{_q(run_id)}"


def _task_path(dag_id: str, run_id: str, task_id: str) -> str:
    return f"{_run(dag_id, run_id)}/taskInstances/{_q(task_id)}"
