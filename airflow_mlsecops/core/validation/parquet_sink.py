"""Where Parquet is written to while its digest is made."""

from __future__ import annotations

from airflow_mlsecops.core.digest import HashingSink


class ParquetSink(HashingSink):
    """A hashing stream with what else pyarrow wants of a file."""

    closed = False

    def tell(self) -> int:
        """How much was written."""
        return self.size

    def flush(self) -> None:
        """Nothing is held back here."""

    def close(self) -> None:
        """The stream is its owner's to close."""
