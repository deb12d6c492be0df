"""The port under the evidence store: create-only objects by key.

It guarantees its errors; an implementer writes three underscore methods, and three more if the store is to hold the
evidence log, whose head is the one thing that moves (by compare-and-swap) and whose queue is the one that is emptied.
"""

from __future__ import annotations

import builtins
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from airflow_mlsecops.core.errors import (
    ConfigurationError,
    EvidenceBrokenError,
    EvidenceNotFoundError,
    MlsecopsError,
    StoreUnavailableError,
)
from airflow_mlsecops.core.store.spread import spread


class Backend(ABC):
    """Objects that are created once and never changed, but for those that :meth:`swap` and :meth:`remove` name."""

    @abstractmethod
    def _create(self, key: str, data: bytes) -> bool:
        """Write ``data`` under ``key`` unless something is there; say whether this call wrote it."""

    @abstractmethod
    def _read(self, key: str, limit: int) -> bytes | None:
        """The bytes under ``key`` (at most ``limit`` + 1 of them), or ``None``."""

    @abstractmethod
    def _list(self, prefix: str) -> Iterator[str]:
        """All keys that begin with ``prefix`` (which ends in ``/``), sorted."""

    def create(self, key: str, data: bytes) -> bool:
        """Write ``data`` under ``key`` unless something is there already.

        Returns:
            True if this call wrote it, False if it was there.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        with self._guarded(key):
            return self._create(key, data)

    def create_from(self, key: str, file: Path) -> bool:
        """As :meth:`create`, with the bytes of a file, which may be more than fit into memory.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        with self._guarded(key):
            return self._create_from(key, file)

    def read(self, key: str, limit: int) -> bytes:
        """The bytes under ``key``.

        Raises:
            EvidenceNotFoundError: if there is nothing, or more than ``limit`` bytes.
            StoreUnavailableError: if the store can't be reached.
        """
        with self._guarded(key):
            data = self._read(key, limit)
        if data is None:
            raise EvidenceNotFoundError(f"{self}: nothing under {key}", "it was deleted, or never written")
        if len(data) > limit:
            raise EvidenceNotFoundError(f"{self}: {key} has more than {limit} bytes", "nothing of ours is that large")
        return data

    def list(self, prefix: str) -> builtins.list[str]:
        """All keys that begin with ``prefix``, sorted.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        with self._guarded(prefix):
            return sorted(self._list(prefix))

    def create_same(self, keys: Sequence[str], data: bytes) -> builtins.list[str]:
        """Write the same bytes under several keys, wherever nothing is; cheaper than one by one.

        Returns:
            The keys under which something was there already.

        Raises:
            StoreUnavailableError: if the store can't be reached; then some may be written.
        """
        with self._guarded(keys[0] if keys else ""):
            return self._create_same(keys, data)

    def scan(self, prefix: str) -> Iterator[str]:
        """The same keys as :meth:`list`, one by one and in no order: for stores that don't fit into memory.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        with self._guarded(prefix):
            yield from self._list(prefix)

    def peek(self, key: str, limit: int) -> tuple[bytes, str] | None:
        """The bytes under ``key`` and a tag that names this state of them, or ``None`` if there is nothing.

        Raises:
            EvidenceBrokenError: if there are more than ``limit`` bytes.
            StoreUnavailableError: if the store can't be reached.
        """
        with self._guarded(key):
            found = self._peek(key, limit)
        if found is not None and len(found[0]) > limit:
            raise EvidenceBrokenError(f"{self}: {key} has more than {limit} bytes", "nothing of ours is that large")
        return found

    def swap(self, key: str, tag: str | None, data: bytes) -> bool:
        """Put ``data`` under ``key`` if what lies there is still what ``tag`` names (``None``: if nothing does).

        Atomic between threads, processes and machines; a writer that is killed leaves the old bytes or the new.

        Returns:
            True if this call wrote it. False if something else was there, or got there first: peek again.

        Raises:
            StoreUnavailableError: if the store can't be reached; then nobody knows whether it was written.
        """
        with self._guarded(key):
            return self._create(key, data) if tag is None else self._swap(key, tag, data)

    def remove(self, key: str) -> None:
        """Remove what lies under ``key``, if anything does. Evidence is never removed: this is for what was derived.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        with self._guarded(key):
            self._remove(key)

    @contextmanager
    def turn(self, key: str) -> Iterator[bool | None]:
        """Take turns with other writers, where the store has a cheap way to.

        It saves writers from getting into each other's way; what is right must never depend on it.

        Yields:
            True if no other writer is in here now, False if one is, ``None`` if this store can't tell.
        """
        yield None

    def _create_from(self, key: str, file: Path) -> bool:
        """As :meth:`_create`."""
        return self._create(key, file.read_bytes())

    def _create_same(self, keys: Sequence[str], data: bytes) -> builtins.list[str]:
        """The keys that were taken."""
        wrote = spread(lambda key: self._create(key, data), keys)
        return [key for key, new in zip(keys, wrote, strict=True) if not new]

    def _peek(self, key: str, limit: int) -> tuple[bytes, str] | None:
        """At most ``limit`` + 1 bytes and their tag, or ``None``."""
        raise ConfigurationError(f"{self} can't hold a log", "use a folder or a bucket")

    def _swap(self, key: str, tag: str, data: bytes) -> bool:
        """Replace what ``tag`` names; say whether this call did."""
        raise ConfigurationError(f"{self} can't hold a log", "use a folder or a bucket")

    def _remove(self, key: str) -> None:
        """Remove the object, if there is one."""
        raise ConfigurationError(f"{self} can't hold a log", "use a folder or a bucket")

    @contextmanager
    def _guarded(self, key: str) -> Iterator[None]:
        try:
            yield
        except MlsecopsError:
            raise
        except OSError as error:
            raise StoreUnavailableError(
                f"{self}: {key}: {error}", "check that the store is up; the task can be retried"
            ) from error
