"""A table as DuckDB sees it: Parquet read where it lies, CSV through the strict reader; locked down either way.

Parquet is only scanned in place when nothing about it could be read in two ways: all parts have one schema, no name
stands twice (also not in another case, which DuckDB doesn't tell apart). Otherwise there is no source, and the strict
reader decides, or refuses.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.controls.partitions import PartitionColumn, arrow_field, partition_columns
from airflow_mlsecops.core.controls.parts import part_files, table_format
from airflow_mlsecops.core.controls.tables import read_arrow_table
from airflow_mlsecops.core.errors import DataError, MissingExtraError
from airflow_mlsecops.core.footers import distrust_footers
from airflow_mlsecops.core.profile.table_schema import type_name
from airflow_mlsecops.core.validation.memory import bytes_of

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
    def count(self) -> str:
        """An aggregate: how many values aren't null."""
        held = f"count({self.sql})"
        return f"({held} - {count_where(f'isnan({self.sql})')})" if self.kind in ("float", "float32") else held

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
    partitions = partition_columns(path, parts)
    with tempfile.TemporaryDirectory(prefix="mlsecops-") as spill:
        schema = _one_schema(parts, partitions) if parquet else None
        if parquet and schema is None:
            yield None
            return
        connection = _connect(spill, parts if parquet else [], memory_limit)
        try:
            made: Source | None
            if parquet:
                made = _parquet(connection, parts, schema, partitions)
            else:
                made = _csv(connection, path, allow_empty, bytes_of(memory_limit))
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


def count_where(predicate: str) -> str:
    """An aggregate: in how many rows a predicate holds.

    In a ``CASE`` DuckDB asks the second half of an ``AND`` only of rows for which the first one holds; not so in a
    ``FILTER``.
    """
    return f"count(CASE WHEN {predicate} THEN 1 END)"


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
    distrust_footers(connection)
    for statement in (
        f"SET memory_limit = '{bytes_of(memory_limit)}B'",
        f"SET temp_directory = {literal(spill)}",
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        "SET enable_progress_bar = false",
        f"SET allowed_paths = [{', '.join(literal(str(part)) for part in parts)}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement)
    return connection


def _one_schema(parts: list[Path], partitions: Sequence[PartitionColumn]) -> Any:
    """The Arrow schema that all parts share, with the columns that their folders name, or ``None``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if any(re.search(r"[*?\[]", str(part)) for part in parts):
        return None  # DuckDB would take the name for a pattern and read other files; the strict reader doesn't
    try:
        schemas = [pq.read_schema(part).remove_metadata() for part in parts]
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return None  # the strict reader says what's wrong with it
    first = whole = schemas[0]
    for column in partitions:
        whole = whole.append(arrow_field(column))
    return whole if _usable(whole.names) and all(schema.equals(first) for schema in schemas) else None


def _usable(names: list[str]) -> bool:
    folded = [name.casefold() for name in names]
    return bool(names) and len(set(folded)) == len(folded) and not _RESERVED & set(folded) and all(names)


def _parquet(connection: Any, parts: list[Path], schema: Any, partitions: Sequence[PartitionColumn]) -> Source:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        counts = [pq.read_metadata(part).num_rows for part in parts]
    except (pa.ArrowException, OSError) as error:
        raise DataError("a part is not a whole Parquet file", "write it again") from error
    files = [literal(str(part)) for part in parts]
    scans = tuple(
        (
            _with(
                f"read_parquet({file}, {ROW} = true, hive_partitioning = false)",
                {column.name: _typed(column, column.values[index]) for column in partitions},
            ),
            count,
        )
        for index, (file, count) in enumerate(zip(files, counts, strict=True))
    )
    # DuckDB's own reading of folders' names would look at those above the data set, too, and guess types.
    relation = _with(
        f"read_parquet([{', '.join(files)}], hive_partitioning = false)",
        {
            column.name: f"[{', '.join(_typed(column, value) for value in column.values)}][CAST(file_index + 1 AS INT)]"
            for column in partitions
        },
    )
    return Source(connection, relation, scans, _columns(schema), sum(counts))


def _with(scan: str, columns: Mapping[str, str]) -> str:
    """What stands after ``FROM`` to read more columns, each from its expression."""
    if not columns:
        return scan
    added = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in columns.items())
    return f"(SELECT *, {added} FROM {scan})"  # noqa: S608 - quoted names, literals


def _typed(column: PartitionColumn, value: int | str | None) -> str:
    return f"CAST({'NULL' if value is None else literal(value)} AS {'BIGINT' if column.whole else 'VARCHAR'})"


def _csv(connection: Any, path: Path, allow_empty: bool, memory: int) -> Source | None:
    import pyarrow as pa

    table = read_arrow_table(path, allow_empty=allow_empty, memory=memory)
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
