"""A frame in memory, written as Parquet: pandas, Polars, Arrow, or whatever hands out an Arrow stream.

A frame and its file must say the same. So a pandas index that isn't a plain one is refused (it would become a column,
or vanish), and so are names that aren't text or stand twice, and values for which there is no type.

Source: the Arrow PyCapsule interface, https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.validation.parquet_sink import ParquetSink

_ROWS = 122_880


def write_frame(frame: Any, path: Path) -> Sha256:
    """Write a frame to a new file, some rows at a time; return the file's SHA-256.

    Raises:
        DataError: if it isn't a frame, or can't be written as it is. The message quotes no cell.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    reader = _reader(frame)
    schema = pa.schema([field.with_type(_common(field.type)).remove_metadata() for field in reader.schema])
    names = schema.names
    if not names or len(set(names)) != len(names) or not all(names):
        raise DataError("the frame has no columns, or names stand twice or are empty", "give each column its own name")
    try:
        with path.open("xb") as stream:
            sink = ParquetSink(stream)
            with pq.ParquetWriter(
                pa.PythonFile(sink, "w"), schema, compression="zstd", write_page_checksum=True
            ) as out:
                for batch in reader:
                    out.write_table(pa.Table.from_batches([batch]).cast(schema), row_group_size=_ROWS)
    except pa.ArrowException as error:
        raise DataError(f"the frame can't be written as Parquet ({type(error).__name__})", "change its types") from None
    return sink.sha256()


def _reader(frame: Any) -> Any:
    import pyarrow as pa

    try:
        if type(frame).__module__.split(".")[0] == "pandas":
            return _of_pandas(frame).to_reader(max_chunksize=_ROWS)
        if isinstance(frame, pa.RecordBatch):
            frame = pa.Table.from_batches([frame])
        if hasattr(frame, "__arrow_c_stream__") and hasattr(frame, "schema"):
            return pa.RecordBatchReader.from_stream(frame)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"the frame holds values of several types, or of none that Parquet has ({type(error).__name__})",
            "give each column one type",
        ) from None
    raise DataError(
        f"expected a frame, got {type(frame).__name__}", "hand over a pandas or Polars data frame, or an Arrow table"
    )


def _common(of: Any) -> Any:
    """Polars' views of text and bytes, as the types that every reader knows."""
    import pyarrow as pa

    return {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}.get(of, of)


def _of_pandas(frame: Any) -> Any:
    import pandas as pd
    import pyarrow as pa

    if not isinstance(frame, pd.DataFrame):
        raise DataError(f"expected a frame, got {type(frame).__name__}", "a series becomes one by .to_frame(name)")
    if not (isinstance(frame.index, pd.RangeIndex) and frame.index.start == 0 and frame.index.step == 1):
        raise DataError("the frame has an index of its own", "make it a column: frame.reset_index()")
    if not all(isinstance(name, str) for name in frame.columns) or not frame.columns.is_unique:
        raise DataError("the frame has column names that aren't text, or stand twice", "rename them")
    return pa.Table.from_pandas(frame, preserve_index=False)
