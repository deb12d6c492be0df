"""A SQLite file and a PostgreSQL server with the same tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import Postgres, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server for all tests of this folder; each makes tables of its own."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def sqlite_file(tmp_path: Path) -> Path:
    """A database in WAL mode, so that others may write while it is read."""
    path = tmp_path / "lake.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    return path
