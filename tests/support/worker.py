"""A simulated worker process: Airflow's real supervisor and task runner, joined by their real wire format.

In reality a supervisor forks the task process and answers its requests over a socket by asking the API server. Here
both live in one process: every message is encoded to the frame that would go over the socket and decoded on the
other side, so that what can't travel fails as it would (``airflow.sdk.execution_time.comms``), and everything global
that a task process changes is put back.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Generator, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import httpx
import msgspec
import structlog
from airflow import settings
from airflow._shared.secrets_masker import _secrets_masker as core_masker
from airflow.sdk._shared.secrets_masker import _secrets_masker as sdk_masker
from airflow.sdk.api.datamodels._generated import HITLDetailResponse, HITLUser, TIRunContext
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.comms import (
    CommsDecoder,
    ErrorResponse,
    GetHITLDetailResponse,
    _RequestFrame,
    _ResponseFrame,
)
from airflow.sdk.execution_time.supervisor import (
    ActivitySubprocess,
    BlockedDBSession,
    InProcessTestSupervisor,
    set_supervisor_comms,
)
from pydantic import BaseModel

from tests.support.execution_api import ExecutionApi
from tests.support.task_logs import TaskLogs


class Supervisor(ActivitySubprocess):
    """Airflow's supervisor; its answers go to ``replies`` as the bytes it would write to the task's socket."""

    replies: list[bytes]
    requests: list[Any]
    logs: TaskLogs

    def send_msg(
        self, msg: BaseModel | None, request_id: int, error: ErrorResponse | None = None, **dump_opts: bool
    ) -> None:
        if msg:
            frame = _ResponseFrame(id=request_id, body=self._serialize_response(msg, **dump_opts))
        else:
            frame = _ResponseFrame(id=request_id, error=self._serialize_response(error) if error else None)
        self.replies.append(bytes(frame.as_bytes()[4:]))

    def _handle_request(self, msg: Any, log: Any, req_id: int) -> None:
        self.requests.append(msg)
        super()._handle_request(msg, log, req_id)

    def start_task(self, when: datetime) -> TIRunContext:
        """Tell the server that the task process runs; return what the server tells the process."""
        with self.logs.elsewhere():
            context: TIRunContext = self.client.task_instances.start(self.id, self.pid, when)
        self._should_retry = bool(context.should_retry)
        return context

    def exited(self, code: int) -> None:
        """The task process ended with this exit code: report the state that follows, if the task did not."""
        self._exit_code = code
        with self.logs.elsewhere():
            self.update_task_state_if_needed()  # type: ignore[no-untyped-call]


class _Wire(CommsDecoder[Any, Any]):
    """The task's end of the socket, without the socket."""

    supervisor: Supervisor
    serve: Generator[None, _RequestFrame, None]

    def send(self, msg: Any) -> Any:
        if self.supervisor.logs.is_elsewhere:  # the supervisor's own code, in its own process, has nobody to tell
            return None
        request = self._make_frame(msg).as_bytes()[4:]
        with self._thread_lock, self.supervisor.logs.elsewhere():
            self.serve.send(msgspec.msgpack.decode(request, type=_RequestFrame))
            if not self.supervisor.replies:
                raise RuntimeError(f"the supervisor can't read this {type(msg).__name__}: the task would wait forever")
            reply = self.supervisor.replies.pop()
        return self._from_frame(self.resp_decoder.decode(reply))

    async def asend(self, msg: Any) -> Any:
        return self.send(msg)


@contextlib.contextmanager
def worker(api: ExecutionApi, logs: TaskLogs) -> Iterator[Supervisor]:
    """Make this process look like the task process of a worker whose server is `api`; undo it at the end.

    Raises:
        AssertionError: At the end, when the task asked the server for something that the simulation doesn't know.
    """
    # As Airflow's in-process supervisor has it: the real client, without its waits between attempts.
    transport = httpx.MockTransport(api.handle)
    client = InProcessTestSupervisor._Client(base_url=None, dry_run=True, token="", transport=transport)
    client.base_url = "http://simulated.invalid/"
    log = structlog.get_logger(logger_name="supervisor")
    supervisor = Supervisor(
        id=api.ti.id, pid=os.getpid(), process=cast(Any, None), process_log=log, client=client, stdin=cast(Any, None)
    )
    supervisor.replies, supervisor.requests, supervisor.logs = [], [], logs
    wire = _Wire(log=log, socket=cast(Any, None))
    wire.supervisor, wire.serve = supervisor, supervisor.handle_requests(log)
    next(wire.serve)
    try:
        with (
            _process_state(),
            _fresh_masker(core_masker()),
            _fresh_masker(sdk_masker()),
            logs.collect(),
            set_supervisor_comms(wire),
        ):
            yield supervisor
    finally:
        wire.serve.close()
        supervisor.selector.close()
        client.close()
    assert not api.unanswered, f"the simulated Execution API doesn't know: {api.unanswered}"


class _TriggererComms:
    """A trigger's end of the socket: its server also tells how a question was answered."""

    def __init__(self, api: ExecutionApi, worker: Any) -> None:
        self._api, self._worker = api, worker

    def send(self, msg: Any) -> Any:
        if not isinstance(msg, GetHITLDetailResponse):
            return self._worker.send(msg)
        row = self._api.hitl
        if row is None:
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail={"status_code": 404}))
        return HITLDetailResponse(
            response_received=row.responded_at is not None,
            responded_by_user=None if row.responded_by is None else HITLUser(**row.responded_by),
            responded_at=row.responded_at,
            chosen_options=row.chosen_options,
            params_input=row.params_input,
        )

    async def asend(self, msg: Any) -> Any:
        return self.send(msg)


@contextlib.contextmanager
def triggerer(api: ExecutionApi) -> Iterator[None]:
    """Within :func:`worker`: what runs here is a trigger in a triggerer."""
    with set_supervisor_comms(_TriggererComms(api, task_runner.SUPERVISOR_COMMS)):
        yield


@contextlib.contextmanager
def _process_state() -> Iterator[None]:
    """Put back what is a process's own: environment, folder, signal handlers; meanwhile there is no database."""
    environment, folder, depth = dict(os.environ), Path.cwd(), sys.getrecursionlimit()
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)}
    session = settings.Session
    settings.Session = cast(Any, BlockedDBSession)
    try:
        yield
    finally:
        settings.Session = session
        for number, handler in handlers.items():
            signal.signal(number, handler)
        sys.setrecursionlimit(depth)
        os.chdir(folder)
        for name in os.environ.keys() - environment.keys():
            del os.environ[name]
        os.environ.update(environment)


@contextlib.contextmanager
def _fresh_masker(masker: Any) -> Iterator[None]:
    """Let the process begin without any known secret, and forget those it learns."""
    known = masker.patterns, masker.replacer
    masker.reset_masker()
    try:
        yield
    finally:
        masker.patterns, masker.replacer = known
