"""What Airflow's servers do to a task that waits: people answer, triggers fire, deadlines pass.

Each function changes the simulated server's row as the API server, scheduler or triggerer of Airflow 3.3 does; the
packing of events into ``next_kwargs`` is Airflow's own code.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from traceback import format_exception
from types import SimpleNamespace
from typing import Any, cast

import msgspec
from airflow.models.hitl import HITLDetail
from airflow.models.trigger import TRIGGER_FAIL_REPR, Trigger, TriggerFailureReason, handle_event_submit
from airflow.sdk._shared.module_loading import import_string
from airflow.sdk.execution_time.comms import _new_encoder
from airflow.sdk.serde import deserialize
from airflow.serialization.decoders import smart_decode_trigger_kwargs
from airflow.triggers.base import BaseTrigger, TriggerEvent

from tests.support.execution_api import ExecutionApi
from tests.support.server_rows import HITLRow, TaskInstanceRow


class AnswerRefusedError(Exception):
    """The API server refuses a person's answer, with this HTTP status."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status


@dataclass(frozen=True)
class Deferred:
    """A task that gave up its worker slot to a trigger."""

    classpath: str
    trigger_kwargs: Any
    method: str
    kwargs: dict[str, Any]
    timeout: timedelta | None

    @property
    def trigger(self) -> BaseTrigger:
        """The trigger as a triggerer builds it from the stored class path and arguments."""
        stored = Trigger._decrypt_kwargs(json.dumps(self.trigger_kwargs))
        arguments = {key: cast(Any, smart_decode_trigger_kwargs)(value) for key, value in stored.items()}
        return cast(BaseTrigger, import_string(self.classpath)(**arguments))


def deferred(ti: TaskInstanceRow) -> Deferred:
    """Read what the task deferred itself to."""
    assert ti.trigger_classpath is not None
    assert ti.next_method is not None
    return Deferred(ti.trigger_classpath, ti.trigger_kwargs, ti.next_method, next_kwargs(ti), ti.trigger_timeout)


def next_kwargs(ti: TaskInstanceRow) -> dict[str, Any]:
    """Return the arguments that the task kept for its next method, as that method will get them."""
    return cast(dict[str, Any], deserialize(ti.next_kwargs or {}))


def first_event(trigger: BaseTrigger) -> TriggerEvent:
    """Run a trigger in an event loop until it fires.

    Raises:
        AssertionError: When it ends without an event, which Airflow counts as a failure.
    """

    async def fire() -> TriggerEvent:
        stream = trigger.run()
        try:
            async for event in stream:
                return event
        finally:
            await stream.aclose()  # type: ignore[attr-defined]
            await trigger.cleanup()
        raise AssertionError(f"{trigger!r} ended without an event")

    return asyncio.run(fire())


def event_fired(api: ExecutionApi, payload: Any) -> None:
    """A trigger fired: its payload travels from the triggerer to the server, which schedules the task again."""
    _submit(api, msgspec.msgpack.decode(_new_encoder().encode(payload)))


def trigger_failed(api: ExecutionApi, error: BaseException) -> None:
    """A trigger raised; see ``Trigger.submit_failure``."""
    _fail(api.ti, TriggerFailureReason.TRIGGER_FAILURE, format_exception(error))


def answered(
    api: ExecutionApi,
    chosen: Sequence[str],
    by: Mapping[str, str],
    params_input: Mapping[str, Any],
    at: datetime | None,
) -> None:
    """A person answers by ``PATCH …/hitlDetails``; see ``core_api/routes/public/hitl.py``, ``update_hitl_detail``.

    Raises:
        AnswerRefusedError: 403 for somebody who isn't assigned, 400 for an option that wasn't offered or for several
            where one is asked, 409 for a second answer, 422 for none.
    """
    answer_kept(api, chosen, by, params_input, at)
    _submit(api, _resume_event(_question(api), timedout=False))


def answer_kept(
    api: ExecutionApi,
    chosen: Sequence[str],
    by: Mapping[str, str],
    params_input: Mapping[str, Any],
    at: datetime | None,
) -> None:
    """The same, to a task that doesn't wait yet, or no longer: the answer is kept, and nothing resumed.

    Raises:
        AnswerRefusedError: see :func:`answered`.
    """
    row = _question(api)
    if row.responded_at is not None:
        raise AnswerRefusedError(409, "Human-in-the-loop detail has already been updated")
    if not chosen:
        raise AnswerRefusedError(422, "chosen_options must have at least one item")
    if row.assignees and by["id"] not in {user["id"] for user in row.assignees}:
        raise AnswerRefusedError(403, f"User={by['name']} (id={by['id']}) is not a respondent for the task.")
    if unknown := set(chosen) - set(row.options):
        raise AnswerRefusedError(400, f"Invalid options {sorted(unknown)}; allowed options are {sorted(row.options)}.")
    if not row.multiple and len(chosen) > 1:
        raise AnswerRefusedError(400, "Multiple options chosen but this task accepts only a single option.")
    row.responded_by = {"id": by["id"], "name": by["name"]}
    row.responded_at = at or datetime.now(UTC)
    row.chosen_options, row.params_input = list(chosen), json.loads(json.dumps(dict(params_input)))


def deadline_passed(api: ExecutionApi) -> None:
    """The scheduler finds that a waiting task's time is up; see ``check_trigger_timeouts`` and ``check_awaiting_…``.

    Raises:
        AssertionError: When the task set no limit: it would wait for ever.
    """
    assert api.ti.trigger_timeout is not None, f"{api.ti.task_id} waits without a limit"
    if api.ti.state == "deferred":
        _fail(api.ti, TriggerFailureReason.TRIGGER_TIMEOUT, None)
        return
    row = _question(api)
    if row.defaults is None:
        message = "The Human-in-the-loop response timeout has passed without a response."
        _submit(api, {"error": message, "error_type": "timeout"})
        return
    row.chosen_options = list(row.defaults)
    row.params_input = {
        key: value["value"] if isinstance(value, dict) and "value" in value else value
        for key, value in (row.params or {}).items()
    }
    row.responded_by, row.responded_at = None, datetime.now(UTC)
    _submit(api, _resume_event(row, timedout=True))


def _question(api: ExecutionApi) -> HITLRow:
    assert api.hitl is not None, f"{api.ti.task_id} waits for input but asked nobody"
    return api.hitl


def _resume_event(row: HITLRow, *, timedout: bool) -> dict[str, Any]:
    return HITLDetail.as_resume_event_payload(cast(HITLDetail, row), timedout=timedout)


def _submit(api: ExecutionApi, payload: Any) -> None:
    session = SimpleNamespace(flush=lambda: None)
    handle_event_submit(cast(Any, TriggerEvent)(payload), task_instance=cast(Any, api.ti), session=cast(Any, session))
    api.ti.next_kwargs = json.loads(json.dumps(api.ti.next_kwargs))  # the column is JSON


def _fail(ti: TaskInstanceRow, error: TriggerFailureReason, traceback: list[str] | None) -> None:
    ti.next_method = TRIGGER_FAIL_REPR
    ti.next_kwargs = {"error": error.value} | ({"traceback": traceback} if traceback is not None else {})
