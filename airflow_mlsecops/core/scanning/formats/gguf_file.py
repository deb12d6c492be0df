"""GGUF: metadata and tensor descriptions with bounds, then the tensors.

Source: ggml's docs/gguf.md, versions 2 and 3.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.scanning.formats.text_file import check_template
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.part import Part
    from airflow_mlsecops.core.scanning.scan import Scan

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_STRING, _ARRAY = 8, 9
MAX_KEYS, MAX_TENSORS, MAX_DIMENSIONS, MAX_STRING = 65_536, 1_000_000, 4, 16 * 1024 * 1024
# type -> items in a block, bytes of a block
_BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 40),
           10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
           16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
           23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
           34: (256, 54), 35: (256, 66), 39: (32, 17)}  # fmt: skip


class _Cursor:
    def __init__(self, part: Part) -> None:
        self.part, self.at, self._buffer, self._base = part, 0, b"", 0

    def take(self, count: int) -> bytes:
        if count > self.part.size - self.at:
            raise Refusal("header-bounds", "the metadata end after the file")
        if not (self._base <= self.at and self.at + count <= self._base + len(self._buffer)):
            self._base, self._buffer = self.at, self.part.at(self.at, max(count, 1 << 16))
        begin = self.at - self._base
        self.at += count
        return self._buffer[begin : begin + count]

    def number(self, code: str) -> Any:
        return struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))[0]

    def text(self) -> bytes:
        length = self.number("Q")
        if length > MAX_STRING:
            raise Refusal("header-bounds", f"text of {length} bytes in the metadata")
        return self.take(length)


def scan_gguf(scan: Scan, part: Part) -> None:
    """Follow the metadata, then check that each tensor lies inside the file and on no other.

    Raises:
        Refusal: if something leads out of the file.
    """
    cursor = _Cursor(part)
    cursor.take(4)
    version = cursor.number("I")
    if version not in (2, 3):
        raise Refusal("malformed", f"GGUF version {version}")
    tensors, keys = cursor.number("Q"), cursor.number("Q")
    if tensors > MAX_TENSORS or keys > MAX_KEYS:
        raise Refusal("header-bounds", f"{tensors} tensors and {keys} metadata entries")
    alignment, seen = 32, set()
    for _ in range(keys):
        key = cursor.text()
        if key in seen:
            raise Refusal("malformed", f"metadata entry {key[:60]!r} stands twice")
        seen.add(key)
        value = _value(scan, part, cursor, cursor.number("I"), 0)
        if key == b"general.alignment":
            alignment = value
        if key.startswith(b"tokenizer.chat_template") and isinstance(value, bytes):
            check_template(scan, value.decode("utf-8", "replace"), part.name)
    if not isinstance(alignment, int) or alignment not in (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096):
        raise Refusal("header-bounds", "an alignment that isn't a power of two")
    spans = [_tensor(cursor) for _ in range(tensors)]
    _check_spans(part, (cursor.at + alignment - 1) // alignment * alignment, alignment, spans)


def _value(scan: Scan, part: Part, cursor: _Cursor, kind: int, depth: int) -> Any:
    if kind in _SCALARS:
        return cursor.number(_SCALARS[kind])
    if kind == _STRING:
        text = cursor.text()
        scan.leftovers.search(text, part.name)
        return text
    if kind == _ARRAY and depth < 2:
        inner, count = cursor.number("I"), cursor.number("Q")
        if inner in _SCALARS:
            size = struct.calcsize(f"<{_SCALARS[inner]}") * count
            if size > part.size - cursor.at:
                raise Refusal("header-bounds", "an array in the metadata ends after the file")
            cursor.at += size
            return None
        if count > part.size:
            raise Refusal("header-bounds", f"{count} items in the metadata")
        for _ in range(count):
            _value(scan, part, cursor, inner, depth + 1)
        return None
    raise Refusal("malformed", f"a metadata value of type {kind}")


def _tensor(cursor: _Cursor) -> tuple[int, int]:
    cursor.text()
    dimensions = cursor.number("I")
    if not 0 <= dimensions <= MAX_DIMENSIONS:
        raise Refusal("header-bounds", f"a tensor of {dimensions} dimensions")
    items = 1
    for _ in range(dimensions):
        items *= cursor.number("Q")
    kind, offset = cursor.number("I"), cursor.number("Q")
    if kind not in _BLOCKS:
        raise Refusal("malformed", f"a tensor of type {kind}")
    block, size = _BLOCKS[kind]
    if items % block:
        raise Refusal("header-bounds", "a tensor that isn't made of whole blocks")
    return offset, items // block * size


def _check_spans(part: Part, begin: int, alignment: int, spans: list[tuple[int, int]]) -> None:
    position = begin
    for offset, size in sorted(spans):
        if offset % alignment or begin + offset != position:
            raise Refusal("header-bounds", "tensors overlap, or bytes belong to none")
        if begin + offset + size > part.size:
            raise Refusal("truncated", "a tensor ends after the file")
        position = begin + offset + (size + alignment - 1) // alignment * alignment
    last = max((begin + offset + size for offset, size in spans), default=begin)
    if part.size > max(position, last) or (spans and part.size < last):
        raise Refusal("trailing-bytes", "bytes after the last tensor")
