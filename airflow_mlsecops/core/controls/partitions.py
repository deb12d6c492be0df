"""Columns that stand in the names of folders, as Hive and Spark write them: ``country=AT/day=2/a.parquet``.

Readers guess types from such names, each in its own way. Here a column is whole numbers if all of its values are
written as such, on which all agree, else text. What two readers could take for two things is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from airflow_mlsecops.core.errors import DataError

NULL = "__HIVE_DEFAULT_PARTITION__"
"""Stands for null. Source: Hive's ``hive.exec.default.partition.name``, which the others took over."""
_WHOLE = re.compile(r"-?[0-9]{1,18}", re.ASCII)


@dataclass(frozen=True)
class PartitionColumn:
    """A column that no part file holds.

    Attributes:
        name: its name.
        whole: whether it holds whole numbers (64 bits), or else text.
        values: its value in each part, in their order.
    """

    name: str
    whole: bool
    values: tuple[int | str | None, ...]


def is_partition(folder: Path) -> bool:
    """Whether a folder's name says ``column=value``."""
    name, sign, value = folder.name.partition("=")
    return bool(name and sign and value) and not name.startswith((".", "_"))


def partition_columns(root: Path, parts: Sequence[Path]) -> tuple[PartitionColumn, ...]:
    """The columns that the folders between ``root`` and its parts name, in their order; none of a flat folder.

    Raises:
        DataError: if not all parts lie in folders of the same columns, a column stands twice, a name can't be decoded,
            or two folders stand for one partition.
    """
    if root.is_file():
        return ()
    named = [[_decoded(folder) for folder in part.relative_to(root).parts[:-1]] for part in parts]
    names = [name for name, _ in named[0]]
    for part, pairs in zip(parts, named, strict=True):
        if [name for name, _ in pairs] != names:
            raise DataError(
                f"{part.relative_to(root)} and {parts[0].relative_to(root)} lie in folders of different columns",
                "write all parts with the same partition columns",
            )
    if len({name.casefold() for name in names}) != len(names):
        raise DataError(f"{parts[0].relative_to(root)} names a column twice", "give each column its own name")
    columns = tuple(_column(name, [pairs[k][1] for pairs in named]) for k, name in enumerate(names))
    folders: dict[tuple[Any, ...], Path] = {}
    for part, *values in zip(parts, *(column.values for column in columns), strict=True):
        other = folders.setdefault(tuple(values), part.parent)
        if other != part.parent:
            raise DataError(
                f"{other.relative_to(root)} and {part.parent.relative_to(root)} stand for one partition",
                "write each value in one way",
            )
    return columns


def with_partitions(table: Any, columns: Sequence[PartitionColumn], index: int) -> Any:
    """A part's ``pyarrow.Table`` with the columns that its folders name, behind its own.

    Args:
        table: of the part.
        columns: of the data set.
        index: the part's place among the parts.
    """
    for column in columns:
        table = table.append_column(arrow_field(column), constant(column, index, table.num_rows))
    return table


def arrow_field(column: PartitionColumn) -> Any:
    """The column's ``pyarrow.Field``."""
    import pyarrow as pa

    return pa.field(column.name, pa.int64() if column.whole else pa.string())


def constant(column: PartitionColumn, index: int, rows: int) -> Any:
    """The column's values in one part, a ``pyarrow.Array``."""
    import pyarrow as pa

    return pa.repeat(pa.scalar(column.values[index], arrow_field(column).type), rows)


def _decoded(folder: str) -> tuple[str, str]:
    name, _, value = folder.partition("=")
    try:
        found = unquote(name, errors="strict"), unquote(value, errors="strict")
    except UnicodeDecodeError as error:
        raise DataError(f"the folder {folder!r} is not UTF-8", "write percent-encoded UTF-8") from error
    if not all(found) or "\0" in "".join(found):
        raise DataError(f"the folder {folder!r} holds a NUL, or names nothing", "write column=value")
    return found


def _column(name: str, texts: Sequence[str]) -> PartitionColumn:
    held = [text for text in texts if text != NULL]
    whole = bool(held) and all(_WHOLE.fullmatch(text) for text in held)
    return PartitionColumn(name, whole, tuple(None if text == NULL else int(text) if whole else text for text in texts))
