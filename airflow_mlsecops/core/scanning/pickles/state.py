"""What the parts of the verifier share, by name and type."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.allow_list import AllowList
    from airflow_mlsecops.core.scanning.limits import Limits
    from airflow_mlsecops.core.scanning.pickles.machine import Reading
    from airflow_mlsecops.core.scanning.pickles.reader import Reader


class State:
    """The attributes of :class:`~airflow_mlsecops.core.scanning.pickles.machine.Machine`."""

    table: ClassVar[list[Callable[[Any], None] | None]]
    reader: Reader
    allow_list: AllowList
    limits: Limits
    reading: Reading
    stack: list[Any]
    marks: list[list[Any]]
    memo: list[Any]
    texts: list[bytes]
    known: dict[tuple[bytes, bytes], object]
    keep: Callable[[Any], object]
    hit: Callable[[str, str], None]
    flush: Callable[[], None]
    storage: Callable[[object], object]
    pos: int
    start: int
    frame_end: int
    in_frame: bool
    memo_shift: bool
    tensors: bool
    joblib: bool
    lenient: bool
