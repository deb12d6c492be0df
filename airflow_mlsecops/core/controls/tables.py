"""Read a tabular dataset (CSV or Parquet, one file or a folder of part files) strictly, all of it.

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

from airflow_mlsecops.core.errors import DataError

if TYPE_CHECKING:
    import pandas

_MAX_NAMED = 20
_READABLE = ".csv, .csv.gz, .parquet or .pq"
_CHUNK_BYTES = 16 * 1024 * 1024
_MAX_CSV_BYTES = 2**31 - 2
"""The CSV parser's block is a 32-bit size; all in one block, because a longer row than a block is an error."""


def read_table(path: Path, *, columns: Sequence[str] | None = None, allow_empty: bool = False) -> pandas.DataFrame:
    """Read a file, or a folder of part files of one format (in the order of their names), into one frame.

    Args:
        path: ``.csv``, ``.csv.gz``, ``.parquet`` or ``.pq``, or a folder that holds only such parts. ``_SUCCESS`` and
            hidden files, which writers leave behind, are passed over.
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


def read_arrow_table(path: Path, *, columns: Sequence[str] | None = None, allow_empty: bool = False) -> Any:
    """As :func:`read_table`, as a ``pyarrow.Table``.

    Raises:
        DataError: for an unknown extension, an empty or damaged file, ragged or undecodable CSV, no rows, a column
            name that stands twice, missing columns, or parts that don't fit together. Messages never hold cell values.
    """
    import pyarrow as pa

    parts = part_files(path)
    read = _READERS[table_format(parts[0])]
    tables = [read(part, columns) for part in parts]
    _check_same_columns(parts, tables)
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
    return table


def part_files(path: Path) -> list[Path]:
    """The files that :func:`read_table` reads, sorted by name.

    Raises:
        DataError: if there are none, or something lies among them that isn't a part file.
    """
    if path.is_file():
        table_format(path)
        return [path]
    if not path.is_dir():
        raise DataError(f"nothing lies at {path.name}", "check the path and the task that writes it")
    parts = [item for item in sorted(path.iterdir(), key=lambda item: item.name) if not _left_behind(item)]
    for item in parts:
        if not item.is_file():
            raise DataError(
                f"{path.name} holds a folder, {item.name!r}; nested and partitioned folders aren't read",
                "write the part files into one folder, with the partition's value as a column",
            )
    formats = {table_format(item): item.name for item in parts}
    if not formats:
        raise DataError(f"the folder {path.name} holds no part files", f"expected files that end in {_READABLE}")
    if len(formats) > 1:
        raise DataError(
            f"{path.name} mixes formats: {', '.join(sorted(formats.values()))}", "write all parts in one format"
        )
    return parts


def table_format(path: Path) -> str:
    """``csv``, ``csv.gz`` or ``parquet``, by the file's name.

    Raises:
        DataError: if the name says neither.
    """
    name = path.name.lower()
    for ending, kind in ((".csv", "csv"), (".csv.gz", "csv.gz"), (".parquet", "parquet"), (".pq", "parquet")):
        if name.endswith(ending):
            return kind
    raise DataError(f"can't tell the format of {path.name!r}", f"expected a name that ends in {_READABLE}")


def _left_behind(item: Path) -> bool:
    """What writers leave beside the parts. A hidden *data* file isn't passed over: some readers would read it."""
    hidden = item.name.startswith((".", "_"))
    return hidden and item.is_file() and not item.name.lower().endswith((".csv", ".csv.gz", ".parquet", ".pq"))


def _read_parquet(path: Path, columns: Sequence[str] | None) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_not_empty(path)
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            names = _check_columns(path, file.schema_arrow.names, columns)
            return file.read(columns=names).select(names)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"{path.name} is not a whole Parquet file: {_safe(error)}", "it is truncated or damaged; write it again"
        ) from error


def _read_csv(path: Path, columns: Sequence[str] | None) -> Any:
    import pyarrow as pa
    import pyarrow.csv

    _check_not_empty(path)
    data = _text_of(path)
    try:
        table = pa.csv.read_csv(pa.BufferReader(data), **_csv_options(len(data)))
        names = _check_columns(path, table.column_names, columns)
        # pandas.read_csv leaves dates and times alone; so that a suite means the same here, they are read as text.
        temporal = [field.name for field in table.schema if pa.types.is_temporal(field.type)]
        if temporal:
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


def _text_of(path: Path) -> bytes:
    import pyarrow as pa

    try:
        with pa.input_stream(str(path), compression="gzip" if table_format(path) == "csv.gz" else None) as stream:
            chunks, size = [], 0
            while size <= _MAX_CSV_BYTES and (chunk := stream.read(_CHUNK_BYTES)):
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
    if not data.strip():
        raise DataError(f"{path.name} is empty", "look at the task that wrote it")
    if b"\0" in data:
        raise DataError(f"{path.name} holds NUL bytes, so it isn't CSV in UTF-8", "write the file in UTF-8")
    if data.count(b'"') % 2:
        # Readers take everything up to the end of the file for one cell, and the rows in it vanish.
        raise DataError(f"{path.name} has a quote that is never closed", 'write a quote inside a cell as "" (RFC 4180)')
    return data


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


_READERS: dict[str, Callable[[Path, Sequence[str] | None], Any]] = {
    "csv": _read_csv,
    "csv.gz": _read_csv,
    "parquet": _read_parquet,
}


def _check_not_empty(path: Path) -> None:
    if path.stat().st_size == 0:
        raise DataError(f"{path.name} is empty", "look at the task that wrote it")


def _check_columns(path: Path, found: list[str], wanted: Sequence[str] | None) -> list[str]:
    twice = sorted(name for name, count in Counter(found).items() if count > 1)
    if twice:
        raise DataError(f"{path.name} has column {_list(twice)} more than once", "give each column its own name")
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
