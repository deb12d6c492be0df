"""Write a Parquet file from many small pieces: a row group is written once enough has come together."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

_ROWS = 131_072
_BYTES = 64 * 1024 * 1024


class RowGroups:
    """A Parquet file that is being written; the same pieces give the same bytes. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """The file is made when the first piece comes."""
        self._path = path
        self._writer: Any = None
        self._held: list[Any] = []
        self._rows = 0
        self._bytes = 0

    def __enter__(self) -> RowGroups:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def write(self, table: Any) -> None:
        """Take a ``pyarrow.Table``; all of them have one schema."""
        import pyarrow.parquet as pq

        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd", write_page_checksum=True)
        if not table.num_rows:
            return
        self._held.append(table)
        self._rows += table.num_rows
        self._bytes += table.nbytes
        if self._rows >= _ROWS or self._bytes >= _BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._held:
            self._writer.write_table(pa.concat_tables(self._held))
        self._held, self._rows, self._bytes = [], 0, 0
