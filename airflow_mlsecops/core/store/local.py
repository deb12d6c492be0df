"""A store on a local or mounted folder."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from airflow_mlsecops.core.store.backend import Backend


class LocalBackend(Backend):
    """Files under one root, read-only once written.

    A file is written under a temporary name, flushed to disk, and then *linked* to its real name: the link either
    appears whole or not at all, and fails if the name is taken, also between machines on one mount.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        return f"evidence store {self._root}"

    def _create(self, key: str, data: bytes) -> bool:
        target = self._root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.parent / f".{secrets.token_hex(8)}.tmp"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
            _sync_folder(target.parent)
            return True
        finally:
            temporary.unlink(missing_ok=True)

    def _read(self, key: str, limit: int) -> bytes | None:
        try:
            with (self._root / key).open("rb") as stream:
                return stream.read(limit + 1)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def _list(self, prefix: str) -> Iterator[str]:
        if not self._root.is_dir():
            # An empty store and one that isn't mounted look alike; the second must not be read as "no evidence".
            raise FileNotFoundError(f"{self._root} is no folder")
        for folder, folders, files in os.walk(self._root / prefix):
            folders.sort()
            for name in files:
                if not name.startswith("."):
                    yield (Path(folder) / name).relative_to(self._root).as_posix()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
