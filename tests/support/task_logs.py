"""Collects what a task logs, as a worker does, and masks secrets where a supervisor does."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import structlog
from airflow.sdk._shared.logging.structlog import drop_positional_args, make_filtering_logger
from airflow.sdk._shared.secrets_masker import redact
from airflow.sdk.log import logging_processors

_LEVELS = "debug info warning warn error err critical fatal exception failure msg log"


class TaskLogs:
    """The log of one task process: structlog, the standard library's logging, stdout and stderr, in their order.

    A worker's task process writes JSON lines to its supervisor, which masks what it knows to be secret by then and
    writes the file that people read. ``text`` is that file; ``unmasked`` is what the task process wrote. Values stand
    in both as they are, not escaped, so that ``secret not in run.logs`` means what it says.
    """

    def __init__(self) -> None:
        self._lines: list[tuple[str, str]] = []
        self._thread = threading.local()

    @property
    def is_elsewhere(self) -> bool:
        """Whether this thread is inside ``elsewhere``."""
        return getattr(self._thread, "elsewhere", False)

    @property
    def text(self) -> str:
        return "\n".join(masked for _, masked in self._lines)

    @property
    def unmasked(self) -> str:
        return "\n".join(line for line, _ in self._lines)

    def add(self, event: dict[str, Any]) -> None:
        """Add one event, masked by what the secrets masker knows at this moment."""
        if not self.is_elsewhere:
            masked = redact(copy.deepcopy(event))
            self._lines.append((_render(event), _render(cast(dict[str, Any], masked))))

    @contextlib.contextmanager
    def elsewhere(self) -> Iterator[None]:
        """Keep out what this thread logs inside: the supervisor and its HTTP client log to another file."""
        self._thread.elsewhere = True
        try:
            yield
        finally:
            self._thread.elsewhere = False

    @contextlib.contextmanager
    def collect(self) -> Iterator[None]:
        """Send all logging of this process here, and put everything back at the end."""
        processors = logging_processors(json_output=True, sending_to_supervisor=True)
        with _restored_logging() as root, contextlib.ExitStack() as stack:
            structlog.configure(
                processors=processors,
                wrapper_class=cast(Any, make_filtering_logger()),
                logger_factory=lambda name=None, *_: _LineLogger(self, name),
                cache_logger_on_first_use=False,
            )
            root.addHandler(_StandardHandler(self, list(processors)))
            stdout, stderr = _LineWriter(self, "task.stdout", "info"), _LineWriter(self, "task.stderr", "error")
            stack.enter_context(contextlib.redirect_stdout(stdout))
            stack.enter_context(contextlib.redirect_stderr(stderr))
            stack.callback(stdout.flush)
            stack.callback(stderr.flush)
            yield


def _render(event: dict[str, Any]) -> str:
    """Write an event as text: level, logger, message, then every other value on its path, unescaped."""
    apart = ("timestamp", "level", "logger", "event", "exception")
    lines = [f"[{event.get('level', '-')}] {event.get('logger', '-')}: {event.get('event', '')}"]
    lines += [f"    {path}={value}" for path, value in _leaves({k: v for k, v in event.items() if k not in apart})]
    for error in event.get("exception") or []:
        lines += [f"    at {frame['filename']}:{frame['lineno']} {frame['name']}" for frame in error.pop("frames")]
        lines += [f"    {error.pop('exc_type')}: {error.pop('exc_value')}"]
        lines += [f"      {path}={value}" for path, value in _leaves({k: v for k, v in error.items() if v})]
    return "\n".join(lines)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{number}]")
    elif value is not None:
        yield path, value


class _LineLogger:
    """The last stage of a structlog logger: takes the rendered JSON line."""

    def __init__(self, logs: TaskLogs, name: str | None) -> None:
        self.name = name
        write: Callable[[bytes], None] = lambda line: logs.add(json.loads(line))  # noqa: E731
        for level in _LEVELS.split():
            setattr(self, level, write)


class _StandardHandler(logging.Handler):
    """Brings records of the standard library's logging onto the same path, as ``configure_logging`` does."""

    def __init__(self, logs: TaskLogs, processors: list[Any]) -> None:
        super().__init__()
        self._logs = logs
        *before, to_json = processors
        self.setFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=[structlog.stdlib.add_logger_name, *before],
                processors=[
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    drop_positional_args,
                    lambda *event: to_json(*event).decode(),
                ],
                use_get_message=False,
                pass_foreign_args=True,
            )
        )

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._logs.add(json.loads(self.format(record)))
        except Exception:
            self.handleError(record)  # as every handler of the standard library: logging doesn't fail a task


class _LineWriter(io.TextIOBase):
    """Stands in for a task's stdout or stderr, which a worker turns into log lines."""

    def __init__(self, logs: TaskLogs, name: str, level: str) -> None:
        self._logs, self._name, self._level, self._rest = logs, name, level, ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._logs.add({"logger": self._name, "level": self._level, "event": line})
        return len(text)

    def flush(self) -> None:
        if self._rest:
            self.write("\n")


@contextlib.contextmanager
def _restored_logging() -> Iterator[logging.Logger]:
    """Give a root logger at the worker's levels, without handlers but pytest's own; put all back at the end."""
    root = logging.getLogger()
    quiet = {"httpx": logging.WARNING, "sqlalchemy.engine": logging.WARNING}
    levels = {"airflow": logging.INFO, **quiet}
    before = {name: logging.getLogger(name).level for name in levels}
    handlers, level, configuration = root.handlers[:], root.level, structlog.get_config()
    root.handlers = [handler for handler in handlers if type(handler).__module__.startswith("_pytest.")]
    root.setLevel(logging.INFO)
    for name, wanted in levels.items():
        logging.getLogger(name).setLevel(wanted)
    try:
        yield root
    finally:
        root.handlers = handlers
        root.setLevel(level)
        for name, previous in before.items():
            logging.getLogger(name).setLevel(previous)
        structlog.configure(**configuration)
