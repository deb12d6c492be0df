"""What keeps an Airflow stack from outliving the program that started it, or from meeting another in the same home."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import IO

import airflow_processes
import psutil

# So long may the watch-over of a stack that was killed be busy in the same home.
_LOCK_SECONDS = 20.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StackError(RuntimeError):
    """Airflow did not start, or a component of it ended; the message names it and shows the end of its log."""


class Terminated(KeyboardInterrupt):
    """A request to end (SIGTERM, SIGHUP), raised where Ctrl-C would be, so that one `except` serves both."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Hold the lock on a home folder; yields its file descriptor.

    Raises:
        StackError: When another program keeps it.
    """
    with path.open("a+", encoding="ascii") as stream:
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                stream.seek(0)
                holder = stream.read().strip()
                # Once the holder is gone, only its watch-over keeps the lock, and not for long.
                if time.monotonic() > deadline or (holder and psutil.pid_exists(int(holder))):
                    raise StackError(f"another Airflow stack runs in {path.parent} (process {holder})") from None
                time.sleep(0.2)
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield stream.fileno()


@contextlib.contextmanager
def watched(home: Path, lock: int) -> Iterator[IO[str]]:
    """Have a small process watch over this one; yields the pipe that takes session ids, one per line.

    The pipe closes however this process ends, by kill -9 too. Then the watch-over ends what is left of the stack. It
    shares the lock, so that nobody starts a new stack in the same home meanwhile.
    """
    process = subprocess.Popen(
        [sys.executable, "-E", str(Path(airflow_processes.__file__).resolve()), str(home)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
        pass_fds=(lock,), start_new_session=True, cwd="/",
    )  # fmt: skip
    assert process.stdin is not None
    try:
        yield process.stdin
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=30)


@contextlib.contextmanager
def signals_raise() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP, where nobody handles them yet, into `Terminated` in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(signum: int, frame: FrameType | None) -> None:
        raise Terminated(signal.Signals(signum).name)

    ours = [signum for signum in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(signum) is signal.SIG_DFL]
    for signum in ours:
        signal.signal(signum, interrupt)
    try:
        yield
    finally:
        for signum in ours:
            signal.signal(signum, signal.SIG_DFL)


@contextlib.contextmanager
def patient() -> Iterator[Callable[[], bool]]:
    """Hold back Ctrl-C and its like; yields a function that tells whether one came."""
    came = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield came.is_set
        return

    def note(signum: int, frame: FrameType | None) -> None:
        came.set()

    before = {signum: signal.signal(signum, note) for signum in _SIGNALS}
    try:
        yield came.is_set
    finally:
        for signum, handler in before.items():
            # What was put back inside the block (see `signals_raise`) stays.
            if signal.getsignal(signum) is note:
                # None stands for a handler that was not set from Python and can't be put back.
                signal.signal(signum, signal.SIG_DFL if handler is None else handler)
