"""SQLite: one connection, opened for reading, in one transaction that nobody but us can end."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.validation.sql.errors import DatabaseUnavailableError, told_safely
from airflow_mlsecops.core.validation.sql.snapshot import Snapshot, SqlColumn, check_columns, primary_key
from airflow_mlsecops.core.validation.sql.source import DatabaseSource, quoted

_EXACT = 2**53
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
_ABOUT_TABLES = {"table_info", "table_xinfo", "table_list", "index_list", "index_info", "foreign_key_list"}


class _Held(sqlite3.Connection):
    """A connection on which nobody ends the transaction: SQLAlchemy rolls back after each query."""

    def commit(self) -> None:
        """Nothing."""

    def rollback(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Nothing: GX closes the engine that it is given."""

    def end(self) -> None:
        """End the transaction, and close."""
        super().close()


@dataclass(frozen=True)
class SqliteDatabase:
    """A SQLite file."""

    path: Path

    @contextmanager
    def snapshot(self, source: DatabaseSource) -> Iterator[Snapshot]:
        """Open a snapshot: a read transaction, which sees no later commit (WAL), or holds writers off (other modes).

        Source: https://sqlite.org/isolation.html.

        Raises:
            DatabaseUnavailableError: if there is no such file, or it is locked.
            DatabaseError: for a wrong table or query, or one that doesn't only read.
        """
        import sqlalchemy as sa

        if not self.path.is_file():
            raise DatabaseUnavailableError(f"opening {source}: there is no file", "check the connection's path")
        held = sqlite3.connect(
            f"{self.path.resolve().as_uri()}?mode=ro", uri=True, factory=_Held, isolation_level=None, timeout=30
        )
        engine = sa.create_engine(
            "sqlite://", creator=lambda: held, poolclass=sa.StaticPool, hide_parameters=True, echo=False
        )
        try:
            held.execute("PRAGMA query_only = ON")
            held.execute("BEGIN")
            held.set_authorizer(_only_reading)
            with told_safely(f"opening {source}"), engine.connect() as connection:
                connection.exec_driver_sql("SELECT count(*) FROM sqlite_master")  # the first read takes the snapshot
                columns = _columns(connection, source)
                order = source.order_by or primary_key(connection, source)
                check_columns([column.name for column in columns], order, str(source))
            yield Snapshot(source, ("sqlite", sqlite3.sqlite_version), engine, columns, order)
        finally:
            engine.dispose()
            held.end()


def _only_reading(action: int, first: str | None, second: str | None, *_: Any) -> int:
    """What a statement may do: select, and ask how tables look. Not attach another file, not load code."""
    if action == sqlite3.SQLITE_FUNCTION and second == "load_extension":
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_PRAGMA:
        allowed = first in _ABOUT_TABLES or (first == "read_uncommitted" and second is None)  # asked for, not set
    else:
        allowed = action in _ALLOWED
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _columns(connection: Any, source: DatabaseSource) -> tuple[SqlColumn, ...]:
    """By the values that are there: SQLite's declared types bind nobody.

    The bare query is asked for its columns first, so that one which is only whole inside brackets is refused.
    """
    asked = connection.execution_options(no_parameters=True).exec_driver_sql(source.statement)
    names = list(asked.keys()) if asked.returns_rows else []
    asked.close()
    check_columns(names, (), str(source))
    kinds = ("integer", "real", "text", "blob")
    wanted = [f"max(typeof({quoted(name)}) = '{kind}')" for name in names for kind in kinds] + [
        f"max(typeof({quoted(name)}) = 'integer' AND abs({quoted(name)}) > {_EXACT})" for name in names
    ]
    found: list[Any] = []
    for start in range(0, len(wanted), 500):  # SQLite returns at most 2000 columns
        scan = f"SELECT {', '.join(wanted[start : start + 500])} FROM {source.relation}"
        found += connection.execution_options(no_parameters=True).exec_driver_sql(scan).one()
    return tuple(
        SqlColumn(name, _type(name, found[4 * index : 4 * index + 4], found[4 * len(names) + index]), quoted(name))
        for index, name in enumerate(names)
    )


def _type(name: str, seen: list[Any], beyond: Any) -> Any:
    import pyarrow as pa

    whole, real, text, blob = map(bool, seen)
    if (whole or real) + text + blob > 1 or (whole and real and beyond):
        raise DataError(
            f"column {name!r} holds values of several types", "cast it in a query: CAST(x AS TEXT), or AS REAL"
        )
    if text:
        return pa.string()
    if blob:
        return pa.binary()
    return pa.float64() if real else pa.int64() if whole else pa.null()
