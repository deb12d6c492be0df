"""The two databases, behind one face."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.controls.suite import load_suite
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.validation.evaluation import Evaluation
from airflow_mlsecops.core.validation.gx_sql import evaluate_in_database
from airflow_mlsecops.core.validation.sql.export import export
from airflow_mlsecops.core.validation.sql.postgresql import PostgresDatabase
from airflow_mlsecops.core.validation.sql.snapshot import Database, Snapshot
from airflow_mlsecops.core.validation.sql.source import DatabaseSource
from airflow_mlsecops.core.validation.sql.sqlite import SqliteDatabase
from tests.support.postgres import PASSWORD, READER, Postgres


@dataclass(frozen=True)
class Lake:
    """A database: how it is read, and how somebody else writes to it."""

    database: Database
    run: Callable[..., None]


def of_sqlite(path: Path) -> Lake:
    def run(*statements: str) -> None:
        with sqlite3.connect(path) as connection:
            for statement in statements:
                connection.execute(statement)
        connection.close()

    return Lake(SqliteDatabase(path), run)


def of_postgres(server: Postgres) -> Lake:
    def run(*statements: str) -> None:
        server.run(*statements, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")

    server.run("DROP SCHEMA public CASCADE", "CREATE SCHEMA public", f"GRANT USAGE ON SCHEMA public TO {READER}")
    return Lake(PostgresDatabase(str(server.socket), "postgres", READER, PASSWORD), run)


def source(**what: Any) -> DatabaseSource:
    return DatabaseSource.of({"conn_id": "lake", "snapshot_uri": "/x.parquet", **what})


@contextmanager
def opened(lake: Lake, path: Path, **what: Any) -> Iterator[tuple[Snapshot, int, Sha256]]:
    """A snapshot whose rows are written to ``path``."""
    with lake.database.snapshot(source(**what)) as snapshot:
        path.unlink(missing_ok=True)
        rows, digest = export(snapshot, path)
        yield snapshot, rows, digest


def judged(snapshot: Snapshot, rows: int, digest: Sha256, *expectations: dict[str, Any]) -> Evaluation:
    """What GX's SQL engine says."""
    document = load_suite({"name": "s", "expectations": list(expectations)}).document
    return evaluate_in_database(snapshot, document, rows=rows, digest=digest, why="asked for")
