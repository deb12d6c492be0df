"""The wire format of protocol buffers, as far as reading needs it. Source: https://protobuf.dev/programming-guides/encoding/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from airflow_mlsecops.core.scanning.part import Part
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class Span(NamedTuple):
    """A stretch of the file."""

    begin: int
    end: int


class Field(NamedTuple):
    """One field: its number, and its value or where its bytes lie."""

    number: int
    wire: int
    value: int
    span: Span


class Wire:
    """Reads fields of messages that lie in a part, without reading what they hold."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._buffer, self._base = b"", 0

    def fields(self, span: Span) -> Iterator[Field]:
        """The fields of the message in this stretch.

        Raises:
            Refusal: if it is no message.
        """
        at = span.begin
        while at < span.end:
            key, at = self._varint(at, span.end)
            number, wire = key >> 3, key & 7
            if number == 0:
                raise Refusal("malformed", "a field without a number")
            if wire == VARINT:
                value, at = self._varint(at, span.end)
                yield Field(number, wire, value, Span(at, at))
                continue
            size = {FIXED64: 8, FIXED32: 4}.get(wire)
            if wire == BYTES:
                size, at = self._varint(at, span.end)
            if size is None or at + size > span.end:
                raise Refusal("malformed" if size is None else "header-bounds", "a field ends after its message")
            yield Field(number, wire, 0, Span(at, at + size))
            at += size

    def bytes(self, span: Span, limit: int = 1 << 20) -> bytes:
        """What lies there, if it isn't huge.

        Raises:
            Refusal: if it is.
        """
        if span.end - span.begin > limit:
            raise Refusal("too-large", f"a name of {span.end - span.begin} bytes")
        return self._part.at(span.begin, span.end - span.begin)

    def text(self, span: Span) -> str:
        """A name."""
        return self.bytes(span).decode("utf-8", "replace")

    def _byte(self, at: int) -> int:
        if not self._base <= at < self._base + len(self._buffer):
            self._base, self._buffer = at, self._part.at(at, 1 << 16)
            if not self._buffer:
                raise Refusal("truncated", "a message ends after the file")
        return self._buffer[at - self._base]

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = 0
        for shift in range(0, 70, 7):
            if at >= end:
                raise Refusal("truncated", "a number ends after its message")
            byte = self._byte(at)
            at += 1
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value, at
        raise Refusal("malformed", "a number of more than ten bytes")
