"""An export, read as the evidence store that it was taken from: offline, and without unpacking anything."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import ConfigurationError, EvidenceNotFoundError
from airflow_mlsecops.core.store.backend import Backend
from airflow_mlsecops.core.store.evidence_store import EvidenceStore
from airflow_mlsecops.core.store.tar import Member, read_index


class ArchiveBackend(Backend):
    """The files of an archive by name; nothing can be written. The index is read once, the files when they are needed.

    Raises:
        EvidenceNotFoundError: if there is no such file.
        ArchiveError: if it is no archive of the one form; see :mod:`airflow_mlsecops.core.store.tar`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with path.open("rb") as stream:
                self._index: dict[str, Member] = read_index(stream)
        except OSError as error:
            raise EvidenceNotFoundError(
                f"the export {path} can't be read: {error.strerror or error}", "check the path"
            ) from error

    def __str__(self) -> str:
        return f"export {self._path}"

    def _create(self, key: str, data: bytes) -> bool:
        raise ConfigurationError(f"{self} can't be written to", "an export is only read; give the evidence store")

    def _read(self, key: str, limit: int) -> bytes | None:
        if key not in self._index:
            return None
        member = self._index[key]
        with self._path.open("rb") as stream:
            stream.seek(member.offset)
            return stream.read(min(member.size, limit + 1))

    def _peek(self, key: str, limit: int) -> tuple[bytes, str] | None:
        data = self._read(key, limit)
        return None if data is None else (data, sha256_bytes(data))

    def _list(self, prefix: str) -> Iterator[str]:
        yield from (name for name in self._index if name.startswith(prefix))


def open_export(path: Path) -> EvidenceStore:
    """The evidence in an export, to be verified like that in any store.

    It is as old as the export: what was withdrawn since isn't in it.

    Raises:
        EvidenceNotFoundError: if there is no such file.
        ArchiveError: if it is no export.
    """
    return EvidenceStore(ArchiveBackend(path))
