"""Which files a tabular data set is made of, and in which order: one file, or parts in a folder, also partitioned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from airflow_mlsecops.core.controls.partitions import is_partition
from airflow_mlsecops.core.errors import DataError

_READABLE = ".csv, .csv.gz, .parquet or .pq"


def part_files(path: Path) -> list[Path]:
    """The files that the table readers read, sorted by name; of a partitioned folder by their paths in it.

    Raises:
        DataError: if there are none, or something lies among them that isn't a part file.
    """
    if path.is_file():
        table_format(path)
        return [path]
    if not path.is_dir():
        raise DataError(f"nothing lies at {path.name}", "check the path and the task that writes it")
    parts = sorted(_files(path), key=lambda item: item.relative_to(path).as_posix())
    formats = {table_format(item): item.name for item in parts}
    if not formats:
        raise DataError(f"the folder {path.name} holds no part files", f"expected files that end in {_READABLE}")
    if len(formats) > 1:
        raise DataError(
            f"{path.name} mixes formats: {', '.join(sorted(formats.values()))}", "write all parts in one format"
        )
    return parts


def _files(folder: Path) -> Iterator[Path]:
    for item in folder.iterdir():
        if item.is_dir() and is_partition(item):
            yield from _files(item)
        elif not item.is_file():
            raise DataError(
                f"{folder.name} holds a folder, {item.name!r}, that isn't named column=value",
                "write the part files into one folder, or into folders that name a column and its value",
            )
        elif not _left_behind(item):
            yield item


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
