"""Many files at once: in parallel, with progress in the log, and stopped at the next chunk when anything goes wrong.

Without that last part a refused link, a Ctrl-C or an orchestrator's kill would wait until the files in progress, which
may be many GB each, had been read to their end.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from threading import Lock
from typing import TypeVar

from airflow_mlsecops.core.pinning.sources import SourceFile

_LOG = logging.getLogger(__name__)
_LOG_EVERY = 10.0
"""Seconds between two lines of progress; what takes less has none."""
_BATCH_BYTES = 4 * 1024 * 1024
_BATCH_FILES = 128

T = TypeVar("T")
_Numbered = tuple[int, SourceFile]


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
    files: Sequence[SourceFile], read: Callable[[SourceFile, Meter], T], *, workers: int, what: str
) -> list[T]:
    """Call ``read`` for each file in up to ``workers`` threads; the results come in the order of ``files``.

    Args:
        files: what to read.
        read: reads one file, and gives the meter to its sink.
        workers: threads at most.
        what: what is read, for the log.

    Raises:
        Exception: the first that ``read`` raised; the other threads have then stopped, too.
    """
    meter, results = Meter(), dict[int, T]()
    pool = ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="mlsecops-pin")
    try:
        batches = [pool.submit(_read_batch, batch, read, meter) for batch in _batches(files, workers)]
        pending: set[Future[list[tuple[int, T]]]] = set(batches)
        while pending:
            done, pending = wait(pending, timeout=_LOG_EVERY, return_when=FIRST_EXCEPTION)
            for batch in done:
                results.update(batch.result())
            if pending:
                _log_progress(what, meter.done, files)
    except BaseException:  # also KeyboardInterrupt and what an orchestrator raises to end a task
        meter.stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return [results[number] for number in range(len(files))]


def _read_batch(batch: list[_Numbered], read: Callable[[SourceFile, Meter], T], meter: Meter) -> list[tuple[int, T]]:
    return [(number, read(file, meter)) for number, file in batch]


def _batches(files: Sequence[SourceFile], workers: int) -> Iterator[list[_Numbered]]:
    """Large files alone, the largest first so that none is left for the end; small ones together.

    One future for each small file would cost more than hashing it; batches stay small enough to feed all threads.
    """
    most = max(1, min(_BATCH_FILES, len(files) // (8 * max(1, workers))))
    numbered = list(enumerate(files))
    yield from ([item] for item in sorted(numbered, key=lambda item: -item[1].size) if item[1].size >= _BATCH_BYTES)
    batch: list[_Numbered] = []
    size = 0
    for item in numbered:
        if item[1].size >= _BATCH_BYTES:
            continue
        batch.append(item)
        size += item[1].size
        if len(batch) >= most or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _log_progress(what: str, done: int, files: Sequence[SourceFile]) -> None:
    total = sum(file.size for file in files)
    share = 100 * done // total if total else 100
    _LOG.info("%s: hashed %.1f of %.1f MB (%d %%)", what, done / 1e6, total / 1e6, share)
