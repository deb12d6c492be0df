"""Models of XGBoost (JSON, UBJSON), LightGBM (text) and CatBoost (binary): data only, checked for form and bounds."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.part import Part
    from airflow_mlsecops.core.scanning.scan import Scan

_FIXED = {b"i": 1, b"U": 1, b"I": 2, b"l": 4, b"L": 8, b"d": 4, b"D": 8, b"C": 1, b"Z": 0, b"N": 0, b"T": 0, b"F": 0}
_INTEGERS = {b"i": "b", b"U": "B", b"I": ">h", b"l": ">i", b"L": ">q"}
MAX_DEPTH, MAX_VALUES = 128, 50_000_000
_LINE = re.compile(rb"[\x09\x20-\x7e\x80-\xff]*\r?")


class _Ubjson:
    """Walks UBJSON without building it. Source: https://ubjson.org, draft 12, as XGBoost writes it."""

    def __init__(self, scan: Scan, part: Part) -> None:
        self.scan, self.part, self.at, self.values = scan, part, 0, 0
        self.buffer, self.base = b"", 0

    def take(self, count: int) -> bytes:
        if count < 0 or self.at + count > self.part.size:
            raise Refusal("truncated", "UBJSON ends after the file")
        if not (self.base <= self.at and self.at + count <= self.base + len(self.buffer)):
            self.base, self.buffer = self.at, self.part.at(self.at, max(count, 1 << 16))
        begin = self.at - self.base
        self.at += count
        return self.buffer[begin : begin + count]

    def length(self) -> int:
        kind = self.take(1)
        if kind not in _INTEGERS:
            raise Refusal("malformed", "a length that is no number")
        value = struct.unpack(_INTEGERS[kind], self.take(_FIXED[kind]))[0]
        if not 0 <= value <= self.part.size:
            raise Refusal("header-bounds", f"a length of {value}")
        return int(value)

    def text(self) -> None:
        length = self.length()
        if length > 1 << 24:
            raise Refusal("header-bounds", f"text of {length} bytes")
        self.scan.leftovers.search(self.take(length), self.part.name)

    def value(self, kind: bytes, depth: int) -> None:
        self.values += 1
        if depth > MAX_DEPTH or self.values > MAX_VALUES:
            raise Refusal("too-large", "more values than are followed")
        if kind in _FIXED:
            self.take(_FIXED[kind])
        elif kind in (b"S", b"H"):
            self.text()
        elif kind == b"[":
            self.container(depth, b"]", keys=False)
        elif kind == b"{":
            self.container(depth, b"}", keys=True)
        else:
            raise Refusal("malformed", f"0x{kind.hex()} is no type of UBJSON")

    def container(self, depth: int, end: bytes, *, keys: bool) -> None:
        kind, count = b"", -1
        first = self.take(1)
        if first == b"$":
            kind, first = self.take(1), self.take(1)
            if first != b"#":
                raise Refusal("malformed", "a typed container without a count")
        if first == b"#":
            count = self.length()
        else:
            self.at -= 1
        if kind in _FIXED and not keys and count >= 0:
            size = _FIXED[kind] * count
            if self.at + size > self.part.size:
                raise Refusal("truncated", "UBJSON ends after the file")
            self.at += size
            return
        while count:
            if count < 0 and self.take(1) == end:
                return
            self.at -= 1 if count < 0 else 0
            if keys:
                self.text()
            self.value(kind or self.take(1), depth + 1)
            count -= 1 if count > 0 else 0


def scan_ubjson(scan: Scan, part: Part) -> None:
    """XGBoost's default format.

    Raises:
        Refusal: if it can't be followed to the last byte.
    """
    walker = _Ubjson(scan, part)
    walker.value(walker.take(1), 0)
    if walker.at != part.size:
        raise Refusal("trailing-bytes", "bytes after the model")


def scan_lightgbm(scan: Scan, part: Part) -> None:
    """LightGBM's text format: lines of text.

    Raises:
        Refusal: if a line isn't text, or the end is missing.
    """
    rest, ended = b"", False
    for chunk in part.chunks():
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        for line in lines:
            if not _LINE.fullmatch(line):
                raise Refusal("malformed", "a line that isn't text")
            ended = ended or line.strip() == b"end of trees"
        scan.leftovers.search(b"\n".join(line for line in lines if len(line) < 10_000), part.name)
        if len(rest) > scan.limits.header_bytes:
            raise Refusal("too-large", "a line without an end")
    if not ended or not _LINE.fullmatch(rest):
        raise Refusal("truncated", "a LightGBM model without its end")


def scan_catboost(scan: Scan, part: Part) -> None:
    """CatBoost's ``.cbm``: a magic, a size, and one flat buffer whose root lies inside.

    Raises:
        Refusal: if the size isn't the file's.
    """
    size = int.from_bytes(part.at(4, 4), "little")
    root = int.from_bytes(part.at(8, 4), "little")
    if size + 8 > part.size or root >= size:
        raise Refusal("header-bounds", f"a model of {size} bytes in a file of {part.size}")
    if size + 8 != part.size:
        raise Refusal("not-examined", "parts after the trees of a CatBoost model, which aren't followed")
    for chunk in part.chunks():
        scan.leftovers.search(chunk, part.name)
