"""Runs one operator through Airflow's own task runner, without a database or a server.

    run = run_op(BashOperator(task_id="hello", bash_command="echo {{ dag_run.conf['name'] }}"), conf={"name": "Ada"})
    assert run.state == "success"
    assert run.xcoms["return_value"] == "Ada"

A task that waits is taken up again the way Airflow does it:

    asked = run_op(ApprovalOperator(task_id="ask", subject="Release?"))
    assert asked.state == "awaiting_input"
    assert asked.respond(["Approve"], by={"id": "bob", "name": "bob"}).state == "success"

What is real: the Dag, templates, XCom serialisation, operator links, the runner's decision between retry and failure,
the supervisor, its client and the wire between them, and the packing of events for a resumed task. What is simulated:
the API server's storage (``execution_api``), people, triggerer and scheduler (``parked``), and that a task has a
process of its own (``worker``). A worker parses the Dag file anew for every try and after every pause; so each run
gets a deep copy of the operator, and nothing that an earlier run left in ``self`` is there.
"""

from __future__ import annotations

import contextvars
import copy
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import uuid4

from airflow.sdk import Asset, Connection, TaskInstanceState, XComArg
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import CreateHITLDetailPayload
from airflow.sdk.execution_time.xcom import XCom
from airflow.sdk.serde import deserialize
from airflow.triggers.base import TriggerEvent

from tests.support import parked
from tests.support.execution_api import ExecutionApi
from tests.support.server_rows import HITLRow, TaskInstanceRow, asset_event_rows, connection_row, dag_run_row
from tests.support.task_logs import TaskLogs
from tests.support.task_process import Operator, Source, task_process
from tests.support.worker import triggerer, worker

User = Mapping[str, str]
"""``{"id": …, "name": …}``, as an auth manager names a person."""


@dataclass(frozen=True)
class OpRun:
    """What one process of a task did, and how it goes on.

    Attributes:
        state: The state that the server holds afterwards.
        error: The exception that decided it, if one did.
        ti: The task instance as the process saw it; ``ti.task`` is the operator that ran, templates rendered.
        context: The template context of the process.
        log: What it logged; see ``TaskLogs``.
        requests: Every message that the task sent to its supervisor, in order.
    """

    state: TaskInstanceState
    error: BaseException | None
    ti: task_runner.RuntimeTaskInstance
    context: Mapping[str, Any]
    log: TaskLogs
    requests: Sequence[Any]
    _api: ExecutionApi
    _source: Source

    @property
    def logs(self) -> str:
        """The task's log as people can read it in Airflow: with the secrets masked that Airflow knows of."""
        return self.log.text

    @property
    def xcoms(self) -> dict[str, Any]:
        """The task's XComs as another task would pull them: key -> value, operator links under ``_link_…``."""
        return {key: deserialize(value) for key, value in self.raw_xcoms.items()}

    @property
    def raw_xcoms(self) -> dict[str, Any]:
        """The task's XComs as they lie in the database: key -> JSON value."""
        return self._api.own_xcoms()

    @property
    def rendered(self) -> dict[str, Any]:
        """The rendered template fields as shown in Airflow."""
        return self._api.rendered

    @property
    def outlet_events(self) -> list[dict[str, Any]]:
        """The asset events that a successful task reported: ``dest_asset_key`` and ``extra``."""
        return list(self.reported.get("outlet_events") or [])

    @property
    def reported(self) -> dict[str, Any]:
        """The request that ended or parked the task, as the server got it."""
        return self._api.last_state

    @property
    def skipped(self) -> list[Any]:
        """Ids of the downstream tasks that this one skipped."""
        return self._api.skipped

    @property
    def hitl(self) -> CreateHITLDetailPayload | None:
        """The question that this process asked people, if it did."""
        return next((m for m in reversed(self.requests) if isinstance(m, CreateHITLDetailPayload)), None)

    @property
    def question(self) -> HITLRow | None:
        """The question as people see it: Airflow keeps the first one when a task asks again."""
        return self._api.hitl

    @property
    def deferred(self) -> parked.Deferred | None:
        """What the task deferred itself to, if it did."""
        return parked.deferred(self._api.ti) if self.state == TaskInstanceState.DEFERRED else None

    @property
    def next_method(self) -> str | None:
        """The method by which a parked task goes on."""
        return self._api.ti.next_method

    @property
    def next_kwargs(self) -> dict[str, Any]:
        """The arguments that a parked task kept for it, after their way through the database."""
        return parked.next_kwargs(self._api.ti)

    @property
    def time_limit(self) -> timedelta | None:
        """How long a parked task waits before Airflow ends the waiting; None for ever."""
        return self._api.ti.trigger_timeout

    def trigger_event(self) -> TriggerEvent:
        """Run the trigger of a deferred task here until it fires; hand the event to ``resume``."""
        assert self.deferred is not None, f"a task that is {self.state.value} has no trigger"
        trigger = self.deferred.trigger
        trigger.task_instance = cast(Any, self.ti)
        with worker(copy.deepcopy(self._api), TaskLogs()), triggerer(self._api):
            return contextvars.copy_context().run(parked.first_event, trigger)

    def resume(self, event: Any) -> OpRun:
        """The trigger fired with this event, or this payload."""
        payload = event.payload if isinstance(event, TriggerEvent) else event
        return self._go_on("deferred", lambda api: parked.event_fired(api, payload))

    def fail_trigger(self, error: BaseException) -> OpRun:
        """The trigger raised."""
        return self._go_on("deferred", lambda api: parked.trigger_failed(api, error))

    def respond(
        self,
        chosen: Sequence[str],
        *,
        by: User,
        params_input: Mapping[str, Any] | None = None,
        at: datetime | None = None,
    ) -> OpRun:
        """Somebody answers the question.

        Raises:
            AnswerRefusedError: When the API server refuses the answer; the task goes on waiting.
        """
        return self._go_on(
            "awaiting_input deferred", lambda api: parked.answered(api, chosen, by, params_input or {}, at)
        )

    def answered_unheard(
        self, chosen: Sequence[str], *, by: User, params_input: Mapping[str, Any] | None = None
    ) -> OpRun:
        """Somebody answers in between the question and the waiting: the server keeps it, and resumes nothing.

        What comes back waits as before; its trigger has to find the answer.
        """
        api = copy.deepcopy(self._api)
        parked.answer_kept(api, chosen, by, params_input or {}, None)
        return replace(self, _api=api)

    def clear(self) -> OpRun:
        """Somebody clears the task, whatever it does: it begins anew, as another try, with no question asked."""
        return self._go_on(self.state.value, _next_try)

    def timeout(self) -> OpRun:
        """The time for an answer, or for the trigger, is up."""
        return self._go_on("awaiting_input deferred", parked.deadline_passed)

    def rerun(self) -> OpRun:
        """The next try of a task that is up for retry, or the next poke of one that is rescheduled."""

        def schedule(api: ExecutionApi) -> None:
            if self.state == TaskInstanceState.UP_FOR_RETRY:  # a new task instance: see prepare_db_for_next_try
                _next_try(api)
            else:
                api.ti.task_reschedule_count += 1

        return self._go_on("up_for_retry up_for_reschedule", schedule)

    def _go_on(self, states: str, change: Callable[[ExecutionApi], None]) -> OpRun:
        assert self.state.value in states.split(), f"the task is {self.state.value}, not {states.replace(' ', ' or ')}"
        api = copy.deepcopy(self._api)  # so that one parked task can be taken up in several ways
        change(api)
        return _execute(self._source, api)


def _next_try(api: ExecutionApi) -> None:
    api.ti.id, api.ti.try_number, api.hitl = uuid4(), api.ti.try_number + 1, None
    api.ti.first_start_date = api.ti.next_method = api.ti.next_kwargs = None


def run_op(
    operator: Operator | XComArg,
    *,
    xcoms: Mapping[tuple[str, str] | tuple[str, str, int], Any] | None = None,
    connections: Mapping[str, Connection | Mapping[str, Any]] | None = None,
    variables: Mapping[str, Any] | None = None,
    conf: Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    triggering_user: str | None = "alice",
    run_type: str = "manual",
    try_number: int = 1,
    map_index: int = -1,
    dag_id: str | None = None,
    run_id: str = "manual__2026-01-02T03:04:05+00:00",
    start_date: datetime | None = None,
    bundle_version: str | None = None,
    asset_events: Sequence[Mapping[str, Any]] = (),
) -> OpRun:
    """Run a task once, as a worker does: until it ends, waits or is put off.

    Args:
        operator: An operator, mapped or not, in a Dag or without; or what calling a ``@task`` function returned.
        xcoms: What other tasks of the run pushed: ``(task_id, key)`` or ``(task_id, key, map_index)`` -> value.
        connections: Connections of the server: id -> ``Connection`` or its fields (``extra`` may be a dict).
        variables: Variables of the server; what isn't a string is stored as JSON.
        conf: The run's ``conf``; overrides params of the same name, as ever.
        params: Params of the Dag, on top of those it has.
        triggering_user: Name of who triggered the run; None as for runs that a schedule or an asset started.
        run_type: ``manual``, ``scheduled``, ``asset_triggered``, …
        try_number: Which try this is, from 1; the task's ``retries`` say how many more there are.
        map_index: Which part of a mapped task to run; -1 for others.
        dag_id: Id of the Dag for an operator without one.
        run_id: Id of the Dag run.
        start_date: When the run started, which is also its logical date; by default now.
        bundle_version: Version of the Dag bundle.
        asset_events: Events that triggered the run: ``uri``, ``extra`` and maybe ``timestamp``.
    """
    task = cast(Operator, operator.operator) if isinstance(operator, XComArg) else operator  # type: ignore[attr-defined]
    if task.has_dag() and dag_id not in (None, task.dag_id):
        raise ValueError(f"{task.task_id} belongs to Dag {task.dag_id}, not {dag_id}")
    dag_id = task.dag_id if task.has_dag() else dag_id or "test_dag"
    row = TaskInstanceRow(dag_id, task.task_id, run_id, map_index, try_number, max_tries=task.retries or 0)
    api = ExecutionApi(
        ti=row,
        dag_run=dag_run_row(
            dag_id,
            run_id,
            run_type,
            start_date or datetime.now(UTC),
            conf,
            triggering_user,
            asset_event_rows(asset_events),
        ),
        connections={key: connection_row(key, value) for key, value in (connections or {}).items()},
        variables={k: v if isinstance(v, str) else json.dumps(v) for k, v in (variables or {}).items()},
        assets=[
            {"name": asset.name, "uri": asset.uri, "group": asset.group, "extra": asset.extra}
            for asset in [*task.inlets, *task.outlets]
            if isinstance(asset, Asset)
        ],
    )
    for (task_id, key, *index), value in (xcoms or {}).items():
        place = (dag_id, task_id, index[0] if index else -1, run_id, key)
        api.xcoms[place] = json.loads(json.dumps(XCom.serialize_value(value), allow_nan=False))
    return _execute(Source(task, dag_id, params or {}, bundle_version), api)


def _execute(source: Source, api: ExecutionApi) -> OpRun:
    """Let a worker run the task; afterwards print its log, which pytest shows when the test fails."""
    logs = TaskLogs()
    try:
        with worker(api, logs) as supervisor:
            outcome = contextvars.copy_context().run(task_process, source, api.ti, supervisor)
    finally:
        sys.stdout.write(logs.text + "\n")
    if isinstance(outcome.error, KeyboardInterrupt):  # it was meant for pytest; the runner counts it as a failure
        raise outcome.error
    state = TaskInstanceState(supervisor.final_state)
    return OpRun(state, outcome.error, outcome.ti, outcome.context, logs, supervisor.requests, api, source)
