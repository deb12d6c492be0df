"""Backends that stop, stall or fail at a chosen step, so that a log's writer can be killed wherever it stands."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from airflow_mlsecops.core.store.backend import Backend


class Killed(BaseException):
    """What a killed writer sees in this process: no ``except Exception`` of ours may survive it."""


class SteppedBackend(Backend):
    """Counts every change that a writer makes to another backend, and does ``at_step`` before or after one of them.

    Reading is no step: a writer that dies while it reads leaves what it left before. Once the step came, the writer
    gets nothing done any more, in no thread of its.
    """

    def __init__(self, inner: Backend, step: int, at_step: Callable[[], object], *, after: bool) -> None:
        self._inner = inner
        self._left = step
        self._at_step = at_step
        self._after = after
        self._mutex = threading.Lock()
        self.steps = 0
        self.dead = False

    def __str__(self) -> str:
        return str(self._inner)

    def _stepped(self, change: Callable[[], object]) -> object:
        with self._mutex:  # one after the other, so that steps have numbers
            self._check()
            self.steps += 1
            mine = self.steps == self._left
            if mine and not self._after:
                self._die()
            result = change()
            if mine:
                self._die()
            return result

    def _check(self) -> None:
        if self.dead:
            raise Killed

    def _die(self) -> None:
        self.dead = True
        self._at_step()
        raise Killed

    def _create(self, key: str, data: bytes) -> bool:
        return bool(self._stepped(lambda: self._inner._create(key, data)))

    def _create_same(self, keys: Sequence[str], data: bytes) -> list[str]:
        return [key for key in keys if not self._create(key, data)]

    def _read(self, key: str, limit: int) -> bytes | None:
        self._check()
        return self._inner._read(key, limit)

    def _list(self, prefix: str) -> Iterator[str]:
        self._check()
        yield from self._inner._list(prefix)

    def _peek(self, key: str, limit: int) -> tuple[bytes, str] | None:
        self._check()
        return self._inner._peek(key, limit)

    def _swap(self, key: str, tag: str, data: bytes) -> bool:
        return bool(self._stepped(lambda: self._inner._swap(key, tag, data)))

    def _remove(self, key: str) -> None:
        self._stepped(lambda: self._inner._remove(key))

    @contextmanager
    def turn(self, key: str) -> Iterator[bool | None]:
        """That of the other backend."""
        with self._inner.turn(key) as alone:
            yield alone


def kill_this_process() -> None:
    """SIGKILL: no handler, no ``finally``, no flush."""
    os.kill(os.getpid(), signal.SIGKILL)


class FailingBackend(Backend):
    """Another backend, with one method replaced by the test."""

    def __init__(self, inner: Backend, **replaced: Callable[..., object]) -> None:
        self._inner = inner
        self._replaced = replaced

    def __str__(self) -> str:
        return str(self._inner)

    def _call(self, name: str, *arguments: object) -> object:
        replaced = self._replaced.get(name)
        return (replaced or getattr(self._inner, name))(*arguments)

    def _create(self, key: str, data: bytes) -> bool:
        return bool(self._call("_create", key, data))

    def _read(self, key: str, limit: int) -> bytes | None:
        return self._call("_read", key, limit)  # type: ignore[return-value]

    def _list(self, prefix: str) -> Iterator[str]:
        yield from self._call("_list", prefix)  # type: ignore[misc]

    def _peek(self, key: str, limit: int) -> tuple[bytes, str] | None:
        return self._call("_peek", key, limit)  # type: ignore[return-value]

    def _swap(self, key: str, tag: str, data: bytes) -> bool:
        return bool(self._call("_swap", key, tag, data))

    def _remove(self, key: str) -> None:
        self._call("_remove", key)
