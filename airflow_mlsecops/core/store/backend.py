"""The port under the evidence store: create-only objects by key.

It guarantees its errors; an implementer writes three underscore methods.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from airflow_mlsecops.core.errors import EvidenceNotFoundError, MlsecopsError, StoreUnavailableError


class Backend(ABC):
    """Objects that are created once and never changed."""

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

    def list(self, prefix: str) -> list[str]:
        """All keys that begin with ``prefix``, sorted.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        with self._guarded(prefix):
            return sorted(self._list(prefix))

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
