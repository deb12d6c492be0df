"""Rows that break expectations, kept beside the data with their numbers and reasons; and the data without them.

DuckDB finds the rows, Arrow copies them, a row group at a time: DuckDB would turn some types into others (32-bit
decimals, nanoseconds with a time zone, the writer's own metadata), and write other bytes each time.

1. Mark each row by the expectations of the asked severity that don't hold and that it breaks.
2. Copy marked rows, with number and reasons, into one Parquet file; the others, if asked, into another one.
3. Count: of each expectation as many rows were marked as its outcome says, or nothing is written.
4. Write quarantine, then remainder, each under a name that tells its digest: after a crash the retry makes the same
   bytes under the same names, and until a statement names them they are nothing but files.

The caller still owes: that the path is a private copy of the pinned bytes, and the statement.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.controls.partitions import partition_columns, with_partitions
from airflow_mlsecops.core.controls.parts import part_files, table_format
from airflow_mlsecops.core.controls.tables import read_arrow_table
from airflow_mlsecops.core.csv_records import rewritten_csv
from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.findings import Severity
from airflow_mlsecops.core.validation.evaluation import Evaluation
from airflow_mlsecops.core.validation.marks import Marks
from airflow_mlsecops.core.validation.outcome import Outcome
from airflow_mlsecops.core.validation.row_groups import RowGroups

QUARANTINE, REMAINDER = "quarantine", "remainder"
ROW_COLUMN, REASONS_COLUMN = "__row", "__reasons"
_MARKED_CELLS = 4_000_000
_BATCH = 65_536

Keep = Callable[[Path, str], Artifact]
"""Takes a finished file and what it is (:data:`QUARANTINE`, :data:`REMAINDER`) to its place, and pins it there."""


@dataclass(frozen=True)
class Quarantine:
    """What to keep, and how.

    Attributes:
        keep: see :data:`Keep`.
        severity: rows that break an expectation of at least this severity are kept apart.
        remainder: whether the other rows are kept, too.
    """

    keep: Keep
    severity: Severity = Severity.WARNING
    remainder: bool = False

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the statement."""
        return {"quarantine": {"severity": self.severity.value, "remainder": self.remainder}}


@dataclass(frozen=True)
class Parted:
    """What was kept.

    Attributes:
        rows: how many rows are in the quarantine.
        outputs: the pinned files by what they are; no quarantine when no row broke anything, no remainder when all did,
            or none did: then the remainder is the data set itself.
    """

    rows: int
    outputs: Mapping[str, Artifact]


def part(
    path: Path,
    found: Evaluation,
    broken: Sequence[Outcome],
    quarantine: Quarantine,
    *,
    memory_limit: str,
) -> Parted:
    """Part the rows that break something from those that don't.

    Args:
        path: the table, a private copy.
        found: what was found in it.
        broken: the outcomes that don't hold.
        quarantine: what to keep.
        memory_limit: how much memory DuckDB may use.

    Raises:
        DataError: if the rows of an expectation can't all be told; nothing is written then.
        StoreUnavailableError: if a place can't be written to for now.
    """
    wanted = [each for each in broken if each.unexpected and each.severity.rank >= quarantine.severity.rank]
    if not wanted:
        return Parted(0, {})
    with tempfile.TemporaryDirectory(prefix="mlsecops-") as folder:
        bad, good = Path(folder) / "bad.parquet", Path(folder) / "good.parquet"
        as_csv = table_format(part_files(path)[0]) == "csv" and path.is_file()
        copied = good if quarantine.remainder and not as_csv else None
        with Marks(path, found, wanted, memory_limit=memory_limit) as marks:
            rows = _copy(path, marks, wanted, bad, copied)
        rest = quarantine.remainder and rows < found.rows
        if rest and as_csv:
            good = _csv_without(path, bad, good.with_suffix(".csv"), found.rows - rows)
        outputs = {QUARANTINE: quarantine.keep(bad, QUARANTINE)}
        if rest:
            outputs[REMAINDER] = quarantine.keep(good, REMAINDER)
    return Parted(rows, outputs)


def _copy(path: Path, marks: Marks, wanted: Sequence[Outcome], bad: Path, good: Path | None) -> int:
    """Write the marked rows, and the others if there is a place for them; say how many are marked."""
    import numpy as np
    import pyarrow as pa

    counted = np.zeros(len(wanted), dtype=np.int64)
    start = total = 0
    with ExitStack() as stack:
        kept = stack.enter_context(RowGroups(bad))
        rest = stack.enter_context(RowGroups(good)) if good is not None else None
        for table in _stretches(path, max(1024, min(_BATCH, _MARKED_CELLS // len(wanted)))):
            marked = marks.between(start, start + table.num_rows)
            counted += marked.sum(axis=0)
            rows = marked.any(axis=1)
            kept.write(_with_reasons(table.filter(pa.array(rows)), start, marked, wanted))
            if rest is not None:
                rest.write(table.filter(pa.array(~rows)))
            total += int(rows.sum())
            start += table.num_rows
    for outcome, count in zip(wanted, counted.tolist(), strict=True):
        if count != outcome.unexpected:
            raise DataError(
                f"{outcome.type} says that {outcome.unexpected} rows break it, and {count} can be told",
                "leave the quarantine out for this suite, and report it: the quarantine would not be whole",
            )
    return total


def _csv_without(path: Path, bad: Path, good: Path, rows: int) -> Path:
    """Write the other records with their own bytes, and see that a reader finds as many as there should be."""
    import pyarrow.parquet as pq

    numbers = pq.read_table(bad, columns=pq.read_schema(bad).names[-2:-1]).column(0).to_pylist()
    try:
        good.write_bytes(rewritten_csv(path.read_bytes(), dict.fromkeys(numbers)))
        whole = read_arrow_table(good).num_rows == rows
    except csv.Error:  # such as a cell beyond the csv module's limit
        whole = False
    if not whole:
        raise DataError(f"the records of {path.name} can't be told apart", "write Parquet, or leave the remainder out")
    return good


def _stretches(path: Path, rows: int) -> Iterator[Any]:
    """The table in pieces of at most so many rows; parts whose schemas differ are read at once, to be made one."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts = part_files(path)
    partitions = partition_columns(path, parts)
    if table_format(parts[0]) == "parquet" and _alike([pq.read_schema(part) for part in parts]):
        for index, file in enumerate(parts):
            try:
                with pq.ParquetFile(file, page_checksum_verification=True, pre_buffer=False) as opened:
                    for batch in opened.iter_batches(batch_size=rows):
                        table = pa.Table.from_batches([batch], schema=opened.schema_arrow)
                        yield with_partitions(table, partitions, index)
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{file.name} is not a whole Parquet file", "write it again") from error
        return
    table = read_arrow_table(path)
    for start in range(0, table.num_rows, rows):
        yield table.slice(start, rows)


def _alike(schemas: Sequence[Any]) -> bool:
    return all(schema.equals(schemas[0], check_metadata=True) for schema in schemas)


def _with_reasons(table: Any, start: int, marked: Any, wanted: Sequence[Outcome]) -> Any:
    """The rows with two columns more: number in the data set, and what each of them breaks."""
    import numpy as np
    import pyarrow as pa

    kind = pa.struct([("index", pa.int32()), ("expectation", pa.string()), ("columns", pa.list_(pa.string()))])
    every = pa.array(
        [{"index": each.index, "expectation": each.type, "columns": list(each.columns)} for each in wanted], type=kind
    )
    rows = np.flatnonzero(marked.any(axis=1))
    _, places = np.nonzero(marked[rows])
    ends = np.concatenate([[0], np.cumsum(marked[rows].sum(axis=1))]).astype(np.int32)
    reasons = pa.ListArray.from_arrays(pa.array(ends), every.take(pa.array(places)))
    taken = {name.casefold() for name in table.column_names}
    table = table.append_column(free_name(ROW_COLUMN, taken), pa.array(rows + start, type=pa.int64()))
    return table.append_column(free_name(REASONS_COLUMN, taken), reasons)


def free_name(name: str, taken: set[str]) -> str:
    """The name, with as many more underscores before it as it takes to be no column's, in any case.

    >>> free_name("__row", {"__row", "a"})
    '___row'
    """
    while name.casefold() in taken:
        name = f"_{name}"
    return name
