"""Parquet files whose footer lies about what stands in the pages."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq


def lying_footer(path: Path, lies: dict[float, float], **columns: Any) -> Path:
    """Write a file, and in the statistics of its footer another number in place of each of some.

    Args:
        path: of the file.
        lies: a least or greatest value as it is -> as the footer shall tell it; a float, or a whole number of 64 bits.
        columns: of one row group each thousand rows.
    """
    pq.write_table(pa.table(columns), path, row_group_size=1000)
    data = path.read_bytes()
    (length,) = struct.unpack("<I", data[-8:-4])
    body, footer = data[: -8 - length], data[-8 - length :]
    for true, told in lies.items():
        kind = "<d" if isinstance(true, float) else "<q"
        assert struct.pack(kind, true) in footer
        footer = footer.replace(struct.pack(kind, true), struct.pack(kind, told))
    path.write_bytes(body + footer)
    return path
