"""Where the rows come from: arrays (also memory-mapped), Arrow or Parquet, a chunk at a time, many times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.poisoning.dense import refuse_sparse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK_CELLS = 1 << 22
"""Probabilities in a chunk that is read from a file: 32 MB."""


@dataclass(frozen=True)
class Chunk:
    """Some rows.

    Attributes:
        probabilities: (rows, classes) float32 or float64; single precision is widened exactly.
        labels: (rows,) integers, 0 … classes - 1.
        keys: (rows,) int64 ids, or None.
    """

    probabilities: NDArray[Any]
    labels: NDArray[Any]
    keys: NDArray[np.int64] | None


class Source(Protocol):
    """Rows that can be read several times, in the same order."""

    rows: int
    classes: int
    keyed: bool

    def chunks(self, begin: int = 0, end: int | None = None) -> Iterator[Chunk]:
        """Rows from ``begin`` up to ``end``."""
        ...


class ArraySource:
    """Arrays in memory or memory-mapped; nothing is copied.

    Args:
        labels: (rows,) integers 0 … classes - 1.
        probabilities: (rows, classes) floating point.
        keys: (rows,) ids that are different integers; by default the positions.

    Raises:
        DataError: if shapes or types don't fit, a label isn't a class, or ids repeat.
    """

    def __init__(self, labels: Any, probabilities: Any, keys: Any = None) -> None:
        import numpy as np

        refuse_sparse(probabilities, "probabilities")
        matrix = probabilities if isinstance(probabilities, np.ndarray) else np.asarray(probabilities)
        if matrix.ndim != 2 or matrix.dtype.kind != "f" or matrix.dtype.itemsize not in (4, 8):
            raise DataError(
                f"probabilities are {matrix.dtype} of shape {matrix.shape}, "
                "expected float32 or float64 (rows, classes)",
                "give one column per class",
            )
        self.rows, self.classes = matrix.shape
        self._probabilities = matrix
        self._labels = _checked_labels(np.asarray(labels), self.rows, self.classes)
        self._keys = None if keys is None else checked_keys(np.asarray(keys), self.rows)
        self.keyed = keys is not None

    def chunks(self, begin: int = 0, end: int | None = None) -> Iterator[Chunk]:
        """One chunk: views of the arrays."""
        part = slice(begin, self.rows if end is None else end)
        keys = None if self._keys is None else self._keys[part]
        yield Chunk(self._probabilities[part], self._labels[part], keys)


@dataclass(frozen=True)
class _Columns:
    """Which columns of a table are which, and chunks of its batches."""

    label: str
    probabilities: tuple[str, ...]
    key: str | None

    def names(self) -> list[str]:
        return [self.label, *self.probabilities, *([self.key] if self.key else [])]

    def need(self, present: Sequence[str], where: str) -> None:
        missing = [name for name in self.names() if name not in present]
        if missing:
            raise DataError(f"{where} has no column {missing[0]!r}", "check the names of the columns")

    def chunk(self, batch: Any) -> Chunk:
        import numpy as np

        matrix = np.empty((batch.num_rows, len(self.probabilities)), dtype=np.float64)
        for number, name in enumerate(self.probabilities):
            matrix[:, number] = _numbers(batch, name, "f")
        labels = _checked_labels(_numbers(batch, self.label, "iu"), batch.num_rows, len(self.probabilities))
        keys = None if self.key is None else _numbers(batch, self.key, "iu").astype(np.int64)
        return Chunk(matrix, labels, keys)


class ArrowSource:
    """An Arrow table in memory, or an Arrow IPC file (Feather 2), which is memory-mapped.

    Args:
        table: a ``pyarrow.Table``, or the path of a file.
        label_column: integers 0 … classes - 1, none missing.
        probability_columns: one for each class, in the order of the labels.
        key_column: integers that are unique; by default rows are named by their position.

    Raises:
        DataError: if the file can't be read or a column is missing or isn't numbers.
    """

    def __init__(
        self, table: Any, *, label_column: str, probability_columns: Sequence[str], key_column: str | None = None
    ) -> None:
        self._columns = _Columns(label_column, tuple(probability_columns), key_column)
        self._table = _mapped(table) if isinstance(table, (str, Path)) else table
        self._columns.need(self._table.column_names, "the table")
        self._table = self._table.select(self._columns.names())
        self.rows, self.classes, self.keyed = self._table.num_rows, len(probability_columns), key_column is not None

    def chunks(self, begin: int = 0, end: int | None = None) -> Iterator[Chunk]:
        """Rows from ``begin`` up to ``end``."""
        stop, size = self.rows if end is None else end, max(CHUNK_CELLS // max(self.classes, 1), 1)
        for first in range(begin, stop, size):
            yield self._columns.chunk(self._table.slice(first, min(size, stop - first)))


def _mapped(path: str | Path) -> Any:
    import pyarrow as pa

    try:
        with pa.memory_map(str(path)) as file:
            return pa.ipc.open_file(file).read_all()
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{Path(path).name} is not a whole Arrow file", "write it again") from error


class ParquetSource:
    """Parquet files, one after the other, of which a chunk is in memory at a time.

    Args:
        paths: files with equal columns.
        label_column: integers 0 … classes - 1, none missing.
        probability_columns: one for each class, in the order of the labels.
        key_column: integers that are unique; by default rows are named by their position.

    Raises:
        DataError: if a file can't be read or a column is missing or isn't numbers.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        *,
        label_column: str,
        probability_columns: Sequence[str],
        key_column: str | None = None,
    ) -> None:
        self._paths = list(paths)
        self._columns = _Columns(label_column, tuple(probability_columns), key_column)
        self.classes, self.keyed = len(probability_columns), key_column is not None
        self.rows = sum(self._count(path) for path in self._paths)

    def _count(self, path: Path) -> int:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(path) as file:
                present, rows = file.schema_arrow.names, int(file.metadata.num_rows)
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"{path.name} is not a whole Parquet file", "write it again") from error
        self._columns.need(present, path.name)
        return rows

    def chunks(self, begin: int = 0, end: int | None = None) -> Iterator[Chunk]:
        """Rows from ``begin`` up to ``end``; row groups before it aren't decoded where they can be skipped."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        stop, size, first = self.rows if end is None else end, max(CHUNK_CELLS // max(self.classes, 1), 1), 0
        for path in self._paths:
            try:
                # Buffering ahead would hold the whole file in memory.
                with pq.ParquetFile(path, page_checksum_verification=True, pre_buffer=False) as file:
                    groups: list[int] = []
                    for group in range(file.num_row_groups):
                        if not groups and first + file.metadata.row_group(group).num_rows <= begin:
                            first += file.metadata.row_group(group).num_rows
                        else:
                            groups.append(group)
                    for batch in file.iter_batches(batch_size=size, row_groups=groups, columns=self._columns.names()):
                        low, high = max(begin - first, 0), min(stop - first, batch.num_rows)
                        first += batch.num_rows
                        if low < high:
                            yield self._columns.chunk(batch.slice(low, high - low))
                        if first >= stop:
                            return
            except (pa.ArrowException, OSError) as error:
                raise DataError(f"{path.name} is not a whole Parquet file", "write it again") from error


def _numbers(batch: Any, name: str, kinds: str) -> NDArray[Any]:
    column = batch.column(name)
    if column.null_count:
        raise DataError(f"column {name!r} has missing values", "drop those rows or fill them in")
    flat = column.combine_chunks() if hasattr(column, "combine_chunks") else column
    values: NDArray[Any] = flat.to_numpy(zero_copy_only=False)
    if values.dtype.kind not in kinds:
        expected = "floating point" if kinds == "f" else "integers"
        raise DataError(f"column {name!r} is {values.dtype}, expected {expected}", "encode it first")
    return values


def _checked_labels(labels: NDArray[Any], rows: int, classes: int) -> NDArray[Any]:
    if labels.shape != (rows,):
        raise DataError(f"labels have shape {labels.shape}, expected ({rows},)", "give one label a row")
    if labels.dtype.kind not in "iu":
        raise DataError(f"labels are {labels.dtype}, expected integers 0 … {classes - 1}", "encode them first")
    if rows and not (int(labels.min()) >= 0 and int(labels.max()) < classes):
        raise DataError(
            f"labels go from {labels.min()} to {labels.max()}, expected 0 … {classes - 1}",
            "encode them in the order of the probabilities' columns",
        )
    return labels


def checked_keys(keys: NDArray[Any], rows: int) -> NDArray[np.int64]:
    """Ids as int64, if they are integers and no two are equal: ties would be broken by chance."""
    import numpy as np

    if keys.shape != (rows,) or keys.dtype.kind not in "iu":
        raise DataError(f"row ids are {keys.dtype} of shape {keys.shape}, expected ({rows},) integers", "number them")
    whole = keys.astype(np.int64)
    if len(np.unique(whole)) != rows:
        raise DataError("row ids repeat", "ids must be unique, or a suspect couldn't be found again")
    return whole
