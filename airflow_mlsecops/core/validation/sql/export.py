"""Write a snapshot's rows to a Parquet file, some at a time; the digest of the result is the file's SHA-256.

The bytes are a function of rows, their order, their types and the version of pyarrow: no time, no random name and no
statistics of the run go in, so writing the same snapshot twice gives the same digest (and is how a query that answers
differently each time is found out).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.validation.parquet_sink import ParquetSink
from airflow_mlsecops.core.validation.sql.snapshot import Snapshot

GROUP_BYTES = 32 * 1024 * 1024
"""A row group is written when it has as many bytes in memory."""
GROUP_ROWS = 122_880


def export(snapshot: Snapshot, path: Path | None) -> tuple[int, Sha256]:
    """Write the rows to ``path``, or nowhere; return how many there are, and the digest of the file.

    Raises:
        DataError: if a value doesn't fit its column's type.
        DatabaseError, DatabaseUnavailableError: if the database breaks off.
    """
    if path is None:
        return _written(snapshot, ParquetSink())
    with path.open("xb") as stream:
        return _written(snapshot, ParquetSink(stream))


def _written(snapshot: Snapshot, sink: ParquetSink) -> tuple[int, Sha256]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([pa.field(column.name, column.type) for column in snapshot.columns])
    rows = 0
    with pq.ParquetWriter(pa.PythonFile(sink, "w"), schema, compression="zstd", write_page_checksum=True) as writer:
        for group in _groups(snapshot, schema):
            writer.write_table(group, row_group_size=GROUP_ROWS)
            rows += group.num_rows
    return rows, sink.sha256()


def _groups(snapshot: Snapshot, schema: Any) -> Iterator[Any]:
    import pyarrow as pa

    waiting: list[Any] = []
    for rows in snapshot.batches():
        arrays = [_array(field, [row[index] for row in rows]) for index, field in enumerate(schema)]
        waiting.append(pa.record_batch(arrays, schema=schema))
        many = sum(batch.num_rows for batch in waiting) >= GROUP_ROWS
        if many or sum(batch.nbytes for batch in waiting) >= GROUP_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _array(field: Any, cells: list[Any]) -> Any:
    import pyarrow as pa

    try:
        return pa.array(cells, type=field.type)
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        pass  # its message quotes the cell
    raise DataError(f"column {field.name!r} holds a value that {field.type} can't hold exactly", "cast it in a query")
