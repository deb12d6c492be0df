"""Many files at once: in parallel, with progress in the log, and stopped at the next chunk when anything goes wrong.

Without that last part a refused link, a Ctrl-C or an orchestrator's kill would wait until the files in progress, which
may be many GB each, had been read to their end.

Small files that lie near are read by one thread: each takes a few microseconds between two system calls, and threads
that take turns at that cost each other two to three times the work. Where reading means waiting, all threads read.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Lock
from typing import Generic, NamedTuple, TypeVar

from airflow_mlsecops.core.pinning.sources import SourceFile

_LOG = logging.getLogger(__name__)
_LOG_EVERY = 10.0
"""Seconds between two lines of progress; what takes less has none."""
_BATCH_BYTES = 4 * 1024 * 1024
_BATCH_FILES = 128
_FAR_SECONDS = 100e-6
"""A file for which one waits longer than this, beyond the work, doesn't lie near."""

T = TypeVar("T")
_Numbered = tuple[int, SourceFile]
_Batch = list[_Numbered]


class StoppedError(Exception):
    """Raised in the threads once the work was given up; it never leaves this module."""


class Meter:
    """Counts the bytes of all files together; once stopped, it stops whoever counts."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._stopped = False
        self.done = 0

    def __call__(self, size: int) -> None:
        """Count ``size`` bytes more.

        Raises:
            StoppedError: if the work was given up.
        """
        if self._stopped:
            raise StoppedError
        with self._lock:
            self.done += size

    def stop(self) -> None:
        """Let every thread stop at its next chunk."""
        self._stopped = True


def read_all(
    files: Sequence[SourceFile],
    read: Callable[[SourceFile, Meter], T],
    *,
    workers: int,
    what: str,
    maybe_near: bool = False,
) -> list[T]:
    """Call ``read`` for each file in up to ``workers`` threads; the results come in the order of ``files``.

    Args:
        files: what to read.
        read: reads one file, and gives the meter to its sink.
        workers: threads at most.
        what: what is read, for the log.
        maybe_near: let one thread begin with the small files, and find out whether they are worth more.

    Raises:
        Exception: the first that ``read`` raised; the other threads have then stopped, too.
    """
    meter, results = Meter(), dict[int, T]()
    pool = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="mlsecops-pin")
    answers: SimpleQueue[Future[_Read[T]]] = SimpleQueue()

    def begin(batches: Sequence[list[_Batch]]) -> int:
        for some in batches:
            pool.submit(_read_batches, some, read, meter).add_done_callback(answers.put)
        return len(batches)

    try:
        large, small = _batches(files, workers)
        running = begin([[batch] for batch in large])
        running += begin([small] if maybe_near and small else [[batch] for batch in small])
        log_at = time.monotonic() + _LOG_EVERY
        while running:
            try:
                answer = answers.get(timeout=max(0.0, log_at - time.monotonic()))
            except Empty:
                _log_progress(what, meter.done, files)
                log_at = time.monotonic() + _LOG_EVERY
                continue
            results.update(answer.result().results)
            running += begin([[rest] for rest in answer.result().left]) - 1
    except BaseException:  # also KeyboardInterrupt and what an orchestrator raises to end a task
        meter.stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return [results[number] for number in range(len(files))]


class _Read(NamedTuple, Generic[T]):
    """What one thread read, and the batches that it left to all."""

    results: list[tuple[int, T]]
    left: list[_Batch]


def _read_batches(batches: list[_Batch], read: Callable[[SourceFile, Meter], T], meter: Meter) -> _Read[T]:
    """Read batch after batch, as long as one spends the time on the work and not on waiting."""
    results: list[tuple[int, T]] = []
    waited = -time.perf_counter() + time.thread_time()
    for number, batch in enumerate(batches, 1):
        results += [(place, read(file, meter)) for place, file in batch]
        if waited + time.perf_counter() - time.thread_time() > _FAR_SECONDS * len(results):
            return _Read(results, batches[number:])
    return _Read(results, [])


def _batches(files: Sequence[SourceFile], workers: int) -> tuple[list[_Batch], list[_Batch]]:
    """Large files alone, the largest first so that none is left for the end; small ones together.

    One future for each small file would cost more than hashing it; batches stay small enough to feed all threads.
    """
    most = max(1, min(_BATCH_FILES, len(files) // (8 * max(1, workers))))
    numbered = list(enumerate(files))
    large = [[item] for item in sorted(numbered, key=lambda item: -item[1].size) if item[1].size >= _BATCH_BYTES]
    small: list[_Batch] = []
    size = _BATCH_BYTES
    for item in numbered:
        if item[1].size >= _BATCH_BYTES:
            continue
        if size >= _BATCH_BYTES or len(small[-1]) >= most:
            small.append([])
            size = 0
        small[-1].append(item)
        size += item[1].size
    return large, small


def _log_progress(what: str, done: int, files: Sequence[SourceFile]) -> None:
    total = sum(file.size for file in files)
    share = 100 * done // total if total else 100
    _LOG.info("%s: hashed %.1f of %.1f MB (%d %%)", what, done / 1e6, total / 1e6, share)
