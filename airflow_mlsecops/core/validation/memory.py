"""A cap on the memory that data take where they have to be held as a whole: CSV, and what Great Expectations judges.

DuckDB has a limit of its own, and spills beyond it. Nothing else here can spill; so what wouldn't fit is refused before
it is held, by its size once decoded. A limit by the kernel would be harder, but Arrow aborts the process that meets it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.controls.parts import part_files, table_format
from airflow_mlsecops.core.controls.tables import read_arrow_table
from airflow_mlsecops.core.errors import ConfigurationError, DataError

_COPIES, _ROW_BYTES, _TEXT_BYTES, _OBJECT_BYTES = 4, 64, 150, 100
"""What pandas and Great Expectations need at most: copies of the decoded data; of each row masks and numbers; while a
column of text is hashed, of each of its values; of each value that pandas holds as an object of Python. Measured with
Great Expectations 1.24: 3.5 times the data for 10M rows of 12 columns, 7.7 times for short rows."""
_ROWS = 4096
_UNITS = {
    "": 1,
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024**power for power, letter in enumerate("kmgt", 1)},
}


def bytes_of(memory_limit: str) -> int:
    """How many bytes a limit in DuckDB's form is.

    >>> bytes_of("512MB"), bytes_of("1.5 GiB")
    (512000000, 1610612736)

    Raises:
        ConfigurationError: if it is none.
    """
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([A-Z]*)", str(memory_limit).strip(), re.IGNORECASE | re.ASCII)
    unit = _UNITS.get(found[2].lower()) if found else None
    if found is None or unit is None or float(found[1]) <= 0:
        raise ConfigurationError(f"memory_limit is {str(memory_limit)[:50]!r}", "expected an amount, e.g. 512MB or 2GB")
    return int(float(found[1]) * unit)


def read_for_gx(
    path: Path, *, memory_limit: str, columns: Sequence[str] | None = None, allow_empty: bool = False
) -> Any:
    """As :func:`~airflow_mlsecops.core.controls.tables.read_arrow_table`, if it and what is made of it fit.

    Raises:
        DataError: if not; and as there.
    """
    most = bytes_of(memory_limit)
    if table_format(part_files(path)[0]) == "parquet":
        _check_parquet(path, columns, most)
    table = read_arrow_table(path, columns=columns, allow_empty=allow_empty, memory=most)
    _check(table.nbytes, table.num_rows, table.schema, most)
    return table


def _check_parquet(path: Path, columns: Sequence[str] | None, most: int) -> None:
    """Decode it once, some rows at a time: how much a Parquet file holds, neither its size nor its footer says."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    held = rows = 0
    for part in part_files(path):
        try:
            with pq.ParquetFile(part, pre_buffer=False) as file:
                # Of columns that only folders name, the reader reads all.
                wanted = [name for name in columns or () if name in file.schema_arrow.names] or None
                for batch in file.iter_batches(_ROWS, columns=wanted):
                    held += batch.nbytes
                    rows += batch.num_rows
                    _check(held, rows, batch.schema, most)
        except (pa.ArrowException, OSError, UnicodeDecodeError):
            return  # the strict reader says what's wrong with it


def _check(held: int, rows: int, schema: Any, most: int) -> None:
    import pyarrow.types as types

    texts = sum(bool(types.is_string(field.type) or types.is_large_string(field.type)) for field in schema)
    objects = len(schema) - texts - sum(bool(types.is_primitive(field.type)) for field in schema)
    if held * _COPIES + rows * (_ROW_BYTES + _TEXT_BYTES * bool(texts) + _OBJECT_BYTES * objects) > most:
        raise DataError(
            f"Great Expectations would need more than memory_limit, which is {most} bytes, for data of that size",
            "raise memory_limit, or ask for nothing that only Great Expectations can compute",
        )
