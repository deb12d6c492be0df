"""Read a tabular dataset (CSV or Parquet, one file or a folder of parts, also partitioned) strictly, all of it.

Readers that mend what they read are no use to a control: pandas pads short rows with nulls, renames a repeated column,
takes the first column for an index when a row is too long, and swallows every line after a quote that isn't closed.
What was then checked isn't what the next reader trains on. Here each of these is an error that says where.

What is read is typed as ``pandas.read_csv`` and ``read_parquet`` type it: numbers, booleans and text from CSV,
what the file says from Parquet.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.controls.partitions import partition_columns, with_partitions
from airflow_mlsecops.core.controls.parts import part_files, table_format
from airflow_mlsecops.core.errors import DataError

if TYPE_CHECKING:
    import pandas

_MAX_NAMED = 20
_CHUNK_BYTES = 16 * 1024 * 1024
_MAX_CSV_BYTES = 2**31 - 2
"""The CSV parser's block is a 32-bit size; all in one block, because a longer row than a block is an error."""
_CSV_TIMES, _CELL_BYTES = 3, 10
"""What reading takes at most: of its text, and of each cell. Measured: 2.2 to 7.6 times the text."""


def read_table(path: Path, *, columns: Sequence[str] | None = None, allow_empty: bool = False) -> pandas.DataFrame:
    """Read a file, or a folder of part files of one format (in the order of their names), into one frame.

    Args:
        path: ``.csv``, ``.csv.gz``, ``.parquet`` or ``.pq``, or a folder that holds only such parts. ``_SUCCESS`` and
            hidden files, which writers leave behind, are passed over. Folders named ``column=value`` may lie between;
            these columns come behind the others.
        columns: read only these, in this order; by default all.
        allow_empty: take a table without rows, too.

    Returns:
        A frame of shape (rows, columns) with rows >= 1 and a plain 0-based index.

    Raises:
        DataError: see :func:`read_arrow_table`.
    """
    # Without the metadata pandas would turn a column that it wrote as an index back into one, and hide it from checks.
    frame: pandas.DataFrame = read_arrow_table(path, columns=columns, allow_empty=allow_empty).to_pandas(
        ignore_metadata=True
    )
    return frame


def read_arrow_table(
    path: Path, *, columns: Sequence[str] | None = None, allow_empty: bool = False, memory: int | None = None
) -> Any:
    """As :func:`read_table`, as a ``pyarrow.Table``.

    Args:
        path: as there.
        columns: as there.
        allow_empty: as there.
        memory: how many bytes of memory reading CSV may take; by default as many as it takes.

    Raises:
        DataError: for an unknown extension, an empty or damaged file, ragged or undecodable CSV, no rows, a column
            name that stands twice, missing columns, or parts that don't fit together. Messages never hold cell values.
    """
    import pyarrow as pa

    parts = part_files(path)
    partitions = partition_columns(path, parts)
    keys = [column.name for column in partitions]
    inner = [name for name in columns or () if name not in keys] or None
    read = _READERS[table_format(parts[0])]
    tables: list[Any] = []
    left = memory
    for part in parts:
        tables.append(read(part, inner, keys, left))
        if left is not None:
            left -= tables[-1].nbytes
    _check_same_columns(parts, tables)
    tables = [with_partitions(table, partitions, index) for index, table in enumerate(tables)]
    try:
        table = tables[0] if len(tables) == 1 else pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(
            f"the part files of {path.name} hold different types: {_safe(error)}", "write all parts from one schema"
        ) from error
    if table.num_rows == 0 and not allow_empty:
        raise DataError(
            f"{path.name} holds no rows", "nothing can be said about an empty data set; look at the task that wrote it"
        )
    return table if columns is None else table.select(list(dict.fromkeys(columns)))


def _read_parquet(path: Path, columns: Sequence[str] | None, keys: Sequence[str], memory: int | None) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_not_empty(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = _check_columns(path, file.schema_arrow.names, columns, keys)
            return file.read(columns=names).select(names)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path.name} is not a whole Parquet file: {_safe(error)}", "it is truncated or damaged; write it again"
        ) from error


def _read_csv(path: Path, columns: Sequence[str] | None, keys: Sequence[str], memory: int | None) -> Any:
    import pyarrow as pa
    import pyarrow.csv

    _check_not_empty(path)
    data = _text_of(path, memory)
    try:
        table = pa.csv.read_csv(pa.BufferReader(data), **_csv_options(len(data)))
        names = _check_columns(path, table.column_names, columns, keys)
        # pandas.read_csv leaves dates and times alone; so that a suite means the same here, they are read as text.
        temporal = [field.name for field in table.schema if pa.types.is_temporal(field.type)]
        if temporal:
            del table
            table = pa.csv.read_csv(pa.BufferReader(data), **_csv_options(len(data), text=temporal))
    except UnicodeDecodeError as error:
        raise DataError(f"the first line of {path.name} is not UTF-8", "write the file in UTF-8") from error
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"{path.name} is not a regular CSV file: {_safe(error)}",
            "every row needs as many fields as the first line has names; quote text that holds commas",
        ) from error
    undecodable = [field.name for field in table.schema if pa.types.is_binary(field.type)]
    if undecodable:
        raise DataError(f"{path.name} is not UTF-8 in column {_list(undecodable)}", "write the file in UTF-8")
    return table.select(names)


def _text_of(path: Path, memory: int | None) -> bytes:
    import pyarrow as pa

    most = _MAX_CSV_BYTES if memory is None else min(_MAX_CSV_BYTES, memory // _CSV_TIMES)
    try:
        with pa.input_stream(str(path), compression="gzip" if table_format(path) == "csv.gz" else None) as stream:
            chunks, size = [], 0
            while size <= most and (chunk := stream.read(_CHUNK_BYTES)):
                chunks.append(chunk)
                size += len(chunk)
    except OSError as error:
        raise DataError(
            f"{path.name} can't be read: {_safe(error)}", "it is truncated or not what its name says; write it again"
        ) from error
    if size > _MAX_CSV_BYTES:  # seen before all of it is in memory: a small .gz can hold terabytes
        raise DataError(
            f"{path.name} has more than {_MAX_CSV_BYTES} bytes of CSV", "write Parquet, or parts of less than 2 GiB"
        )
    data = b"".join(chunks)
    del chunks
    if memory is not None and (size > most or _CSV_TIMES * size + _CELL_BYTES * _cells(data) > memory):
        raise DataError(
            f"{path.name} doesn't fit memory_limit: CSV is held as a whole", "raise memory_limit, or write Parquet"
        )
    if not data.strip():
        raise DataError(f"{path.name} is empty", "look at the task that wrote it")
    if b"\0" in data:
        raise DataError(f"{path.name} holds NUL bytes, so it isn't CSV in UTF-8", "write the file in UTF-8")
    if data.count(b'"') % 2:
        # Readers take everything up to the end of the file for one cell, and the rows in it vanish.
        raise DataError(f"{path.name} has a quote that is never closed", 'write a quote inside a cell as "" (RFC 4180)')
    return data


def _cells(data: bytes) -> int:
    return data.count(b",") + 2 * data.count(b"\n")  # a row gets a number, too


def _csv_options(size: int, text: Sequence[str] = ()) -> dict[str, Any]:
    import pyarrow as pa
    import pyarrow.csv

    return {
        "read_options": pa.csv.ReadOptions(block_size=size + 1),
        "parse_options": pa.csv.ParseOptions(newlines_in_values=True),
        "convert_options": pa.csv.ConvertOptions(
            column_types={name: pa.string() for name in text},
            strings_can_be_null=True,
            true_values=["true", "True", "TRUE"],
            false_values=["false", "False", "FALSE"],
        ),
    }


_READERS: dict[str, Callable[[Path, Sequence[str] | None, Sequence[str], int | None], Any]] = {
    "csv": _read_csv,
    "csv.gz": _read_csv,
    "parquet": _read_parquet,
}


def _check_not_empty(path: Path) -> None:
    if path.stat().st_size == 0:
        raise DataError(f"{path.name} is empty", "look at the task that wrote it")


def _check_columns(path: Path, found: list[str], wanted: Sequence[str] | None, keys: Sequence[str]) -> list[str]:
    twice = sorted(name for name, count in Counter(found).items() if count > 1)
    if twice:
        raise DataError(f"{path.name} has column {_list(twice)} more than once", "give each column its own name")
    folded = {name.casefold() for name in found}
    if both := [name for name in keys if name.casefold() in folded]:
        raise DataError(
            f"column {_list(both)} stands in {path.name} and in its folder's name",
            "write it to one place: readers believe one or the other",
        )
    missing = [name for name in wanted or () if name not in found]
    if missing:
        raise DataError(f"{path.name} has no column {_list(missing)}", f"it has {_list(found)}")
    return list(found if wanted is None else dict.fromkeys(wanted))


def _check_same_columns(parts: list[Path], tables: list[Any]) -> None:
    """Names must agree in every part. Types too; but CSV has none, so there int and float may meet, as in one file."""
    import pyarrow as pa

    first = tables[0].schema
    for part, table in zip(parts[1:], tables[1:], strict=True):
        odd = sorted(set(first.names) ^ set(table.column_names))
        if odd:
            raise DataError(
                f"{part.name} and {parts[0].name} differ in column {_list(odd)}", "write all parts from one schema"
            )
        for field in table.schema:
            types = (first.field(field.name).type, field.type)
            known = not any(pa.types.is_null(kind) for kind in types)
            if table_format(part) == "parquet" and known and types[0] != types[1]:
                raise DataError(
                    f"column {field.name!r} is {types[0]} in {parts[0].name} and {types[1]} in {part.name}",
                    "write all parts from one schema",
                )


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(repr(name) for name in names[:_MAX_NAMED]) + more


def _safe(error: Exception) -> str:
    """The parser's message up to where it starts to quote the row."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    ragged = re.search(r"Expected \d+ columns, got \d+", text)
    return ragged.group() if ragged else re.sub(r"(invalid value|CSV parse error: Row).*", r"\1 …", text)[:200]
