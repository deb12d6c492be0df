"""A store on a local or mounted folder."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from airflow_mlsecops.core.digest import CHUNK_BYTES, sha256_bytes
from airflow_mlsecops.core.durable import sync_folder
from airflow_mlsecops.core.store.backend import Backend

_SWAP_SECONDS = 30.0
_LOCK_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC


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
        return self._linked(key, [data])

    def _create_from(self, key: str, file: Path) -> bool:
        with file.open("rb") as stream:
            return self._linked(key, iter(lambda: stream.read(CHUNK_BYTES), b""))

    def _linked(self, key: str, chunks: Iterable[bytes]) -> bool:
        target = self._root / key
        temporary = _beside(target)
        try:
            try:
                _write(temporary, chunks)
            except FileNotFoundError:  # before anything was taken from the chunks
                target.parent.mkdir(parents=True, exist_ok=True)
                _write(temporary, chunks)
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
            sync_folder(target.parent)
            return True
        finally:
            temporary.unlink(missing_ok=True)

    def _read(self, key: str, limit: int) -> bytes | None:
        try:
            with (self._root / key).open("rb") as stream:
                return stream.read(limit + 1)
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            self._check_root()
            return None

    def _list(self, prefix: str) -> Iterator[str]:
        self._check_root()
        for folder, folders, files in os.walk(self._root / prefix, onerror=_unless_absent):
            folders.sort()
            for name in files:
                if not name.startswith("."):
                    yield (Path(folder) / name).relative_to(self._root).as_posix()

    def _create_same(self, keys: Sequence[str], data: bytes) -> list[str]:
        """One file under many names: it is flushed once, and each folder once."""
        if not keys:
            return []
        targets = [self._root / key for key in keys]
        folders = {target.parent for target in targets}
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        temporary, taken = _beside(targets[0]), []
        try:
            _write(temporary, [data])
            for key, target in zip(keys, targets, strict=True):
                try:
                    os.link(temporary, target)
                except FileExistsError:
                    taken.append(key)
        finally:
            temporary.unlink(missing_ok=True)
        for folder in folders:
            sync_folder(folder)
        return taken

    def _peek(self, key: str, limit: int) -> tuple[bytes, str] | None:
        data = self._read(key, limit)
        return None if data is None else (data, sha256_bytes(data))

    def _swap(self, key: str, tag: str, data: bytes) -> bool:
        """Compare and rename under a lock that the kernel gives back when its holder dies.

        Between machines on one mount this needs a file system whose locks hold between them (NFS 4 does).
        """
        target = self._root / key
        with _locked(target.parent / f".{target.name}.lock", _SWAP_SECONDS) as alone:
            if not alone:
                raise OSError(errno.EAGAIN, "another writer holds the lock", str(target))
            found = target.read_bytes() if target.exists() else None
            if found is None or sha256_bytes(found) != tag:
                return False
            temporary = _beside(target)
            try:
                _write(temporary, [data])
                os.replace(temporary, target)  # noqa: PTH105 - beside the other calls that a crash test counts
            finally:
                temporary.unlink(missing_ok=True)
            sync_folder(target.parent)
            return True

    def _remove(self, key: str) -> None:
        (self._root / key).unlink(missing_ok=True)

    @contextmanager
    def turn(self, key: str) -> Iterator[bool | None]:
        """See :meth:`Backend.turn`."""
        target = self._root / key
        with ExitStack() as stack:
            with self._guarded(key):
                alone = stack.enter_context(_locked(target.parent / f".{target.name}.lock", 0))
            yield alone

    def _check_root(self) -> None:
        # An empty store and one that isn't mounted look alike; the second must not be read as "no evidence".
        if not self._root.is_dir():
            raise FileNotFoundError(f"{self._root} is no folder")


def _beside(target: Path) -> Path:
    return target.parent / f".{secrets.token_hex(8)}.tmp"


def _write(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a new read-only file, and flush it to disk."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
    with os.fdopen(descriptor, "wb") as stream:
        for chunk in chunks:
            stream.write(chunk)
        stream.flush()
        os.fsync(stream.fileno())


@contextmanager
def _locked(path: Path, seconds: float) -> Iterator[bool]:
    """Hold an exclusive lock on ``path``, which stays; yields False if somebody else holds it that long."""
    try:
        descriptor = os.open(path, _LOCK_FLAGS, 0o644)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, _LOCK_FLAGS, 0o644)
    try:
        yield _lock(descriptor, seconds)
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)  # closing isn't enough where a fork holds a copy
        os.close(descriptor)


def _lock(descriptor: int, seconds: float) -> bool:
    deadline, pause = time.monotonic() + seconds, 0.0002
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 0.004)
        else:
            return True


def _unless_absent(error: OSError) -> None:
    """What os.walk does with a folder that it can't list: by default it would go on as if the folder were empty."""
    if not isinstance(error, FileNotFoundError):
        raise error
