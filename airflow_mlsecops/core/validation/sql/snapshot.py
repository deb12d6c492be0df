"""A snapshot of a database: every transaction in it, GX's too, sees the very same rows, and can't write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.validation.sql.errors import told_safely
from airflow_mlsecops.core.validation.sql.source import DatabaseSource, quoted

FIRST_FETCH, MOST_ROWS = 100, 10_000
FETCH_BYTES = 8 * 1024 * 1024
"""About how many bytes of rows are asked for at once; a single row may be larger, and has to fit into memory."""


@dataclass(frozen=True)
class SqlColumn:
    """A column of the result.

    Attributes:
        name: its name.
        type: the Arrow type under which it is written.
        expression: what is selected: the column, or its text where Parquet has no such type.
    """

    name: str
    type: Any
    expression: str


@dataclass(frozen=True)
class Snapshot:
    """An open snapshot.

    Attributes:
        source: what is read.
        database: ``postgresql`` or ``sqlite``, and its version.
        engine: SQLAlchemy's; whatever is read through it is the snapshot.
        columns: in order.
        order: the columns that the rows are ordered by; none if the database's own order is taken.
    """

    source: DatabaseSource
    database: tuple[str, str]
    engine: Any
    columns: tuple[SqlColumn, ...]
    order: tuple[str, ...]

    def batches(self) -> Iterator[list[Any]]:
        """The rows, some at a time, through a cursor of the server's.

        Raises:
            DataError, DatabaseError, DatabaseUnavailableError: see :func:`told_safely`.
        """
        chosen = ", ".join(f"{column.expression} AS {quoted(column.name)}" for column in self.columns)
        ordered = f" ORDER BY {', '.join(map(quoted, self.order))}" if self.order else ""
        statement = f"SELECT {chosen} FROM {self.source.relation}{ordered}"
        with told_safely(f"reading {self.source}"), self.engine.connect() as connection:
            # Without parameters a percent sign is one.
            options = {"stream_results": True, "no_parameters": True, "max_row_buffer": FIRST_FETCH}
            result = connection.execution_options(**options).exec_driver_sql(statement)
            fetch = FIRST_FETCH
            while rows := list(result.fetchmany(fetch)):
                yield rows
                fetch = _next_fetch(rows)


class Database(Protocol):
    """A database that can be read in one snapshot."""

    def snapshot(self, source: DatabaseSource) -> AbstractContextManager[Snapshot]:
        """Open a snapshot of a table or a query."""
        ...


def check_columns(names: list[str], order: tuple[str, ...], what: str) -> None:
    """Refuse a result whose columns can't be told apart, or that hasn't the columns to order by.

    Raises:
        DataError: naming them.
    """
    folded = [name.casefold() for name in names]
    twice = sorted({name for name in names if folded.count(name.casefold()) > 1})
    if twice:
        raise DataError(f"{what} has columns {', '.join(map(repr, twice[:20]))} twice", "name each once with AS")
    if not names or not all(names):
        raise DataError(f"{what} has no columns, or one without a name", "ask one SELECT, and name columns with AS")
    missing = [name for name in order if name not in names]
    if missing:
        raise DataError(f"{what} has no column {', '.join(map(repr, missing))} to order by", "correct order_by")


def primary_key(connection: Any, source: DatabaseSource) -> tuple[str, ...]:
    """The columns of a table's primary key; none of a query."""
    import sqlalchemy as sa

    if not source.table:
        return ()
    *schema, table = source.parts
    found = sa.inspect(connection).get_pk_constraint(table, schema=schema[0] if schema else None)
    return tuple(found.get("constrained_columns") or ())


def _next_fetch(rows: list[Any]) -> int:
    """As many rows as make :data:`FETCH_BYTES`, going by the last ones."""
    seen = sum(_weight(cell) for row in rows for cell in row)
    return max(1, min(MOST_ROWS, FETCH_BYTES * len(rows) // max(seen, 1)))


def _weight(cell: Any) -> int:
    return 64 + len(cell) if isinstance(cell, (str, bytes)) else 64
