"""A few values that aren't as expected, for the HTML report of somebody who may see the data and asked for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.controls.partitions import constant, partition_columns
from airflow_mlsecops.core.controls.parts import part_files, table_format
from airflow_mlsecops.core.controls.tables import read_arrow_table
from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.validation.outcome import Outcome

EXAMPLES = 10
"""How many row numbers stand beside an expectation in the report; the blob of row numbers has more."""
MAX_BROKEN = 200
"""How many expectations that don't hold the report tells in detail."""
MAX_VALUE = 100
"""Letters of a value that are shown."""


@dataclass(frozen=True)
class Example:
    """One cell.

    Attributes:
        row: its 0-based number in the data set.
        column: its name.
        value: as text, cut; a reader of HTML still has to escape it.
    """

    row: int
    column: str
    value: str


def examples(path: Path, broken: Sequence[Outcome]) -> dict[int, tuple[Example, ...]]:
    """The cells in the first rows that break each expectation, by the outcome's index.

    Args:
        path: the table, a private copy.
        broken: the outcomes that don't hold.

    Raises:
        DataError: if the table can't be read.
    """
    told = [outcome for outcome in broken[:MAX_BROKEN] if outcome.rows and outcome.columns]
    wanted: dict[str, set[int]] = {}
    for outcome in told:
        for column in outcome.columns:
            wanted.setdefault(column, set()).update(outcome.rows[:EXAMPLES])
    cells = _cells(path, wanted) if wanted else {}
    return {
        outcome.index: tuple(
            Example(row, column, cells[column, row]) for row in outcome.rows[:EXAMPLES] for column in outcome.columns
        )
        for outcome in told
    }


def _text(scalar: Any) -> str:
    """An Arrow scalar as text, cut."""
    try:
        value = scalar.as_py()
    except (ValueError, OverflowError):  # a time beyond what Python can say
        return "(no value of Python)"
    text = "null" if value is None else str(value[: MAX_VALUE + 1] if isinstance(value, (str, bytes)) else value)
    return text if len(text) <= MAX_VALUE else f"{text[:MAX_VALUE]}…"


def _cells(path: Path, wanted: Mapping[str, Iterable[int]]) -> dict[tuple[str, int], str]:
    """Values by column and row; of Parquet only the row groups that hold one are read, one column at a time."""
    found: dict[tuple[str, int], str] = {}
    for before, count, read in _pieces(path):
        for column, rows in wanted.items():
            here = [row for row in rows if before <= row < before + count]
            if here:
                values = read(column)
                found |= {(column, row): _text(values[row - before]) for row in here}
    return found


def _pieces(path: Path) -> Iterator[tuple[int, int, Any]]:
    """For each stretch of rows: the number of its first one, how many there are, and how to read a column of it."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = part_files(path)
    if table_format(parts[0]) != "parquet":
        table = read_arrow_table(path)
        yield 0, table.num_rows, table.column
        return
    partitions = partition_columns(path, parts)
    before = 0
    for index, part in enumerate(parts):
        try:
            with pq.ParquetFile(part, page_checksum_verification=True, pre_buffer=False) as file:
                for group in range(file.num_row_groups):
                    count = file.metadata.row_group(group).num_rows
                    same = {column.name: partial(constant, column, index, count) for column in partitions}
                    yield before, count, partial(_column, file, group, same)
                    before += count
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{part.name} is not a whole Parquet file", "write it again") from error


def _column(file: Any, group: int, same: Mapping[str, Callable[[], Any]], name: str) -> Any:
    return same[name]() if name in same else file.read_row_group(group, columns=[name]).column(name)
