"""The index's file: SQLite, private to its owner, thrown away and made anew when anything about it is odd."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from airflow_mlsecops.core.errors import ConfigurationError

VERSION = 4
"""Goes up whenever the schema or what is written changes; another version's file is left alone."""
_BUSY_SECONDS = 10.0


class IndexDatabase:
    """Opens the index of one store under one trust policy.

    Each use opens a connection of its own, so that any thread may. Readers never wait for the one that writes.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def within(cls, folder: Path, store: str, trust: str) -> IndexDatabase:
        """The index file of a store in a folder of indexes; another trust policy has another one.

        Args:
            folder: made if it isn't there, for its owner alone.
            store: what names the store.
            trust: digest of the trust policy.

        Raises:
            ConfigurationError: if the folder can't be made or is somebody else's.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            owner = folder.stat().st_uid
        except OSError as error:
            raise ConfigurationError(
                f"index folder {folder}: {error.strerror or error}", "set [mlsecops] index_folder to a writable folder"
            ) from error
        if owner != os.geteuid():
            raise ConfigurationError(f"index folder {folder} belongs to somebody else", "name one of your own")
        name = hashlib.sha256(f"{VERSION}\n{store}\n{trust}".encode()).hexdigest()[:24]
        return cls(folder / f"{name}.sqlite")

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that can't write; what it reads is one state from its first query on."""
        with self._connected() as connection:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A connection whose work is kept if the block ends well, and undone if it doesn't."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextlib.contextmanager
    def turn(self) -> Iterator[bool]:
        """Take turns with other processes; tells whether this one has it."""
        descriptor = os.open(self.path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)

    def remove(self) -> None:
        """Throw the index away."""
        for suffix in ("", "-wal", "-shm"):
            self.path.with_name(self.path.name + suffix).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = self._open()
        try:
            yield connection
        finally:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        made = not self.path.exists()
        if made:
            with contextlib.suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous = OFF")  # nothing is lost that can't be made again
            connection.execute("PRAGMA temp_store = FILE")
            if made or not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_schema())
        except BaseException:
            connection.close()
            raise
        return connection


def _schema() -> str:
    return (files("airflow_mlsecops.core.index") / "schema.sql").read_text(encoding="utf-8")
