"""Values of a column that Python has to look at, and what came of it as a table in the same locked-down database.

Values stream in batches and once each; what is kept goes back as a table, which DuckDB spills when it must. So memory
stays bounded however many there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.validation.plans import Ask
from airflow_mlsecops.core.validation.reading import reading
from airflow_mlsecops.core.validation.source import Source

_BATCH = 100_000
_ROWS = 100_000
"""How many row numbers are kept in memory, whatever their number."""


def scratch_name(prefix: str, *parts: Any) -> str:
    """The name of a scratch table; the same parts give the same one."""
    return f"{prefix}_{sha256_bytes(canonical_json(list(parts)))[:24]}"


def arguments_of(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that decide about a value; the column is named apart, ``mostly`` decides about their number."""
    return {key: value for key, value in kwargs.items() if key not in ("column", "mostly")}


def with_defaults(kwargs: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that have a default, as given or by default; others aren't among them."""
    return {name: kwargs.get(name, default) for name, default in defaults.items()}


def map_values(source: Source, table: str, query: str, change: Callable[[str], str | None]) -> None:
    """Fill a new table with ``v`` and ``n``: the values that a query gives and what ``change`` makes of them.

    Args:
        source: the data.
        table: its name.
        query: gives one column of texts, each once.
        change: what becomes of a value; ``None`` leaves it out.

    Raises:
        DataError: if the data are damaged, or don't fit the memory that is allowed.
    """
    import pyarrow as pa

    writer = source.connection.cursor()
    try:
        with reading():
            writer.execute(f"CREATE TABLE {table} (v VARCHAR, n VARCHAR)")
            found = source.connection.execute(query)
            while batch := found.fetchmany(_BATCH):
                made = [(value, new) for (value,) in batch if (new := change(value)) is not None]
                if made:
                    old, new_ones = zip(*made, strict=True)
                    writer.register("made", pa.table({"v": pa.array(old, pa.string()), "n": pa.array(new_ones)}))
                    writer.execute(f"INSERT INTO {table} SELECT v, n FROM made")
                    writer.unregister("made")
    finally:
        writer.close()


def first_row(source: Source, query: str) -> tuple[Any, ...]:
    """A query's only row; the result is read to its end, for DuckDB takes no other query before."""
    (row,) = source.connection.execute(query).fetchall()
    return tuple(row)


def rows_of_table(ask: Ask, table: str) -> tuple[int, tuple[int, ...]]:
    """How many rows a table of row numbers ``r`` has, and the first of them."""
    first = f"SELECT r FROM {table} ORDER BY r LIMIT {_ROWS}"
    return int(ask(f"SELECT count(*) FROM {table}")), tuple(ask(f"SELECT coalesce(list(r), []) FROM ({first})"))


def has_table(source: Source, table: str) -> bool:
    """Whether a scratch table was made already, by another expectation of the suite."""
    return first_row(source, f"SELECT count(*) FROM duckdb_tables() WHERE table_name = '{table}'") != (0,)
