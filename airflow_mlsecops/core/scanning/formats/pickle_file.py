"""Pickle files: of pickle itself, of joblib, and torch's before it used zip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlsecops.core.scanning.pickles.machine import Machine, Reading
from airflow_mlsecops.core.scanning.pickles.reader import Reader
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.part import Part
    from airflow_mlsecops.core.scanning.scan import Scan

MAX_STREAMS = 10_000
TORCH_MAGIC = 0x1950A86A20F9469CFC6C
TORCH_MAGIC_PICKLE = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."


def scan_pickles(scan: Scan, part: Part) -> None:
    """One pickle after another, each with a memo of its own, up to the last byte.

    Raises:
        Refusal: if bytes follow that are no pickle.
    """
    position, streams = 0, 0
    while position < part.size:
        if streams and not _looks_like_pickle(part.at(position, 2)):
            raise Refusal("trailing-bytes", f"{part.size - position} bytes after the pickle, which are no pickle")
        streams += 1
        if streams > MAX_STREAMS:
            raise Refusal("too-large", "more pickles in one file than are followed")
        reading = one_pickle(scan, part, position)
        if not reading.complete:
            return
        position = reading.end


def one_pickle(scan: Scan, part: Part, offset: int = 0, *, tensors: bool = False, joblib: bool = True) -> Reading:
    """Follow the pickle at ``offset``; what it did goes into the outcome."""
    machine = Machine(
        Reader(part.stream, part.size),
        scan.allow_list,
        scan.limits,
        sink=lambda pieces: scan.leftovers.search_all(pieces, part.name),
        tensors=tensors,
        joblib=joblib,
    )
    reading = machine.read(offset)
    for rule, message, at in reading.hits:
        scan.outcome.add(rule, message, f"{part.name} at byte {at}")
    scan.outcome.globals.update(reading.globals)
    scan.leftovers.rows(reading.row_names, part.name)
    if any(name.startswith(("pandas.core.frame.", "pandas.DataFrame")) for name in reading.globals):
        scan.outcome.add("table-inside", "a table of pandas is in it", part.name)
    return reading


def _looks_like_pickle(head: bytes) -> bool:
    return len(head) == 2 and head[0] == 0x80 and head[1] <= 5


def scan_torch_legacy(scan: Scan, part: Part) -> None:
    """Five pickles (magic number, version, system, object, keys), then the storages.

    Source: ``torch/serialization.py``, ``_legacy_save``.

    Raises:
        Refusal: if a storage has another size than the object says, or bytes are left.
    """
    position = 0
    readings: list[Reading] = []
    for index in range(5):
        readings.append(one_pickle(scan, part, position, tensors=index == 3, joblib=False))
        if not readings[-1].complete:
            return
        position = readings[-1].end
    for _, size in sorted(readings[3].storages.items()):
        numel = int.from_bytes(part.at(position, 8), "little")
        if size not in (numel, numel * 2, numel * 4, numel * 8, numel * 16):
            raise Refusal("header-bounds", "a storage has another size than the object says")
        position += 8 + size
    if position != part.size:
        raise Refusal("trailing-bytes" if position < part.size else "truncated", "the storages don't end with the file")
