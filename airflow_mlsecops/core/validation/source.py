"""A table as DuckDB sees it: Parquet read where it lies, CSV through the strict reader; locked down either way.

Parquet is only scanned in place when nothing about it could be read in two ways: all parts have one schema, no name
stands twice (also not in another case, which DuckDB doesn't tell apart). Otherwise there is no source, and the strict
reader decides, or refuses.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.controls.tables import part_files, read_arrow_table, table_format
from airflow_mlsecops.core.errors import DataError, MissingExtraError
from airflow_mlsecops.core.profile.table_schema import type_name

DEFAULT_MEMORY = "512MB"
ROW = "file_row_number"
"""DuckDB's name for a row's number within its file; CSV gets a column of this name."""
_RESERVED = {ROW, "filename", "file_index"}


@dataclass(frozen=True)
class Column:
    """A column, by what can be said about its values in SQL exactly as pandas would.

    Attributes:
        name: its name.
        kind: ``int``, ``float`` (64 bits), ``text``, ``bool``, ``time`` (microseconds) or ``other``.
        type: Arrow's name of its type.
    """

    name: str
    kind: str
    type: str = ""

    @property
    def sql(self) -> str:
        """The quoted name."""
        return quoted(self.name)

    @property
    def present(self) -> str:
        """A predicate: the value isn't what pandas calls null, which NaN is too."""
        held = f"{self.sql} IS NOT NULL"
        return f"({held} AND NOT isnan({self.sql}))" if self.kind in ("float", "float32") else f"({held})"


@dataclass(frozen=True)
class Source:
    """A table in a locked-down connection.

    Attributes:
        connection: DuckDB's; it can read the parts and write to its own temporary folder, nothing else.
        relation: what stands after ``FROM``.
        parts: for each part what stands after ``FROM`` to read it with row numbers, and how many rows it has.
        columns: the columns in order.
        rows: how many rows there are.
    """

    connection: Any
    relation: str
    parts: tuple[tuple[str, int], ...]
    columns: Mapping[str, Column]
    rows: int

    @property
    def numbered(self) -> list[tuple[str, int]]:
        """Each part's relation, and how many rows lie before it: what makes its row numbers those of the table."""
        found, before = [], 0
        for scan, count in self.parts:
            found.append((scan, before))
            before += count
        return found


@contextmanager
def open_source(
    path: Path, *, memory_limit: str = DEFAULT_MEMORY, allow_empty: bool = False
) -> Iterator[Source | None]:
    """Open a table for the fused engine; ``None`` if it can't be read there exactly as the strict reader reads it.

    Raises:
        DataError: if the table can't be read whole, or is empty.
        MissingExtraError: without DuckDB.
    """
    parts = part_files(path)
    parquet = table_format(parts[0]) == "parquet"
    with tempfile.TemporaryDirectory(prefix="mlsecops-") as spill:
        schema = _one_schema(parts) if parquet else None
        if parquet and schema is None:
            yield None
            return
        connection = _connect(spill, parts if parquet else [], memory_limit)
        try:
            made = _parquet(connection, parts, schema) if parquet else _csv(connection, path, allow_empty)
            if made is not None and made.rows == 0 and not allow_empty:
                raise DataError(
                    f"{path.name} holds no rows",
                    "nothing can be said about an empty data set; look at the task that wrote it",
                )
            yield made
        finally:
            connection.close()


def quoted(name: str) -> str:
    """An SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(value: Any) -> str:
    """An SQL literal of a text, a finite number or a boolean."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return f"CAST('{value!r}' AS DOUBLE)"
    return "'" + str(value).replace("'", "''") + "'"


def _connect(spill: str, parts: list[Path], memory_limit: str) -> Any:
    """An in-memory database that reads these files and nothing else, and whose settings can't be changed back.

    Source: https://duckdb.org/docs/stable/operations_manual/securing_duckdb/overview
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError(
            "the fused engine needs DuckDB", "install airflow-mlsecops[duckdb], or use engine='gx'"
        ) from error
    connection = duckdb.connect(":memory:")
    for statement in (
        f"SET memory_limit = {literal(memory_limit)}",
        f"SET temp_directory = {literal(spill)}",
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        "SET enable_progress_bar = false",
        # Parquet's statistics leave NaN out, and DuckDB 2.0.1 concludes that there is none: it took NaN for a value.
        "SET disabled_optimizers = 'statistics_propagation'",
        f"SET allowed_paths = [{', '.join(literal(str(part)) for part in parts)}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement)
    return connection


def _one_schema(parts: list[Path]) -> Any:
    """The Arrow schema that all parts share, or ``None``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schemas = [pq.read_schema(part).remove_metadata() for part in parts]
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return None  # the strict reader says what's wrong with it
    first = schemas[0]
    return first if _usable(first.names) and all(schema.equals(first) for schema in schemas) else None


def _usable(names: list[str]) -> bool:
    folded = [name.casefold() for name in names]
    return bool(names) and len(set(folded)) == len(folded) and not _RESERVED & set(folded) and all(names)


def _parquet(connection: Any, parts: list[Path], schema: Any) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        counts = [pq.read_metadata(part).num_rows for part in parts]
    except (pa.ArrowException, OSError) as error:
        raise DataError("a part is not a whole Parquet file", "write it again") from error
    files = [literal(str(part)) for part in parts]
    scans = tuple(
        (f"read_parquet({file}, {ROW} = true, hive_partitioning = false)", count)
        for file, count in zip(files, counts, strict=True)
    )
    relation = f"read_parquet([{', '.join(files)}], hive_partitioning = false)"
    return Source(connection, relation, scans, _columns(schema), sum(counts))


def _csv(connection: Any, path: Path, allow_empty: bool) -> Source | None:
    import pyarrow as pa

    table = read_arrow_table(path, allow_empty=allow_empty)
    if not _usable(table.column_names):
        return None
    numbered = table.append_column(ROW, pa.array(range(table.num_rows), type=pa.int64()))
    connection.register("pinned", numbered)
    return Source(connection, "pinned", (("pinned", table.num_rows),), _columns(table.schema), table.num_rows)


def _columns(schema: Any) -> dict[str, Column]:
    return {field.name: Column(field.name, _kind(field.type), type_name(field.type)) for field in schema}


def _kind(of: Any) -> str:
    import pyarrow.types as types

    if types.is_integer(of):
        return "int"
    if types.is_float64(of):
        return "float"
    if types.is_floating(of):
        return "float32" if types.is_float32(of) else "other"
    if types.is_string(of) or types.is_large_string(of):
        return "text"
    if types.is_timestamp(of):
        return "time" if of.unit in ("us", "ms") else "other"
    return "bool" if types.is_boolean(of) else "other"
