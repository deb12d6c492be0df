"""What a verification reads of a store, so that exactly that can be taken along."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.store.backend import Backend


class RecordingBackend(Backend):
    """Reads from another backend and remembers what it read; nothing can be written.

    Attributes:
        read_back: key -> bytes of all that was read.
    """

    def __init__(self, inner: Backend) -> None:
        self._inner = inner
        self.read_back: dict[str, bytes] = {}

    def __str__(self) -> str:
        return str(self._inner)

    def _create(self, key: str, data: bytes) -> bool:
        raise ConfigurationError(f"{self} can't be written to while it is exported", "this is an error in the export")

    def _read(self, key: str, limit: int) -> bytes | None:
        return self._kept(key, self._inner._read(key, limit), limit)

    def _peek(self, key: str, limit: int) -> tuple[bytes, str] | None:
        found = self._inner._peek(key, limit)
        self._kept(key, None if found is None else found[0], limit)
        return found

    def _list(self, prefix: str) -> Iterator[str]:
        return self._inner._list(prefix)

    @contextmanager
    def _guarded(self, key: str) -> Iterator[None]:
        with self._inner._guarded(key):  # it knows its errors
            yield

    def _kept(self, key: str, data: bytes | None, limit: int) -> bytes | None:
        if data is not None and len(data) <= limit:
            self.read_back[key] = data
        return data
