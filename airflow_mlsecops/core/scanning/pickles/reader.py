"""Reads a pickle through a window of bounded size; what is large is passed over without being kept."""

from __future__ import annotations

from typing import BinaryIO

from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

WINDOW = 256 * 1024
AHEAD = 1024
"""An opcode with its short argument, and the one after it, fit in so many bytes."""
MAX_LINE = 64 * 1024


class Reader:
    """A window on a seekable stream.

    Attributes:
        buf: the bytes in the window.
        base: where the window begins in the stream.
        size: of the stream.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self.buf = b""
        self.base = 0
        self.size = size

    def refill(self, pos: int) -> int:
        """Move the window so that it begins at ``pos`` of the present one; return the new position (0)."""
        self.base += pos
        self._stream.seek(self.base)
        self.buf = self._stream.read(min(WINDOW, self.size - self.base)) if self.base < self.size else b""
        return 0

    def safe_end(self) -> int:
        """The position up to which an opcode with a short argument is whole, or the end of the stream."""
        end = len(self.buf)
        return end if self.base + end >= self.size else end - AHEAD

    def take(self, pos: int, count: int) -> tuple[bytes, int]:
        """The next ``count`` bytes, at most a window of them, and the position after them.

        Raises:
            Refusal: if the stream ends before.
        """
        if pos + count > len(self.buf):
            if self.base + pos + count > self.size:
                raise Refusal("truncated", f"an argument of {count} bytes ends after the file")
            pos = self.refill(pos)
            if count > len(self.buf):
                raise Refusal("too-large", f"an argument of {count} bytes where a short one belongs")
        return self.buf[pos : pos + count], pos + count

    def skip(self, pos: int, count: int) -> int:
        """Pass over ``count`` bytes.

        Raises:
            Refusal: if the stream ends before.
        """
        if pos + count <= len(self.buf):
            return pos + count
        if self.base + pos + count > self.size:
            raise Refusal("truncated", f"an argument of {count} bytes ends after the file")
        self.base += pos + count
        self.buf = b""
        return self.refill(0)

    def line(self, pos: int) -> tuple[bytes, int]:
        """The bytes up to the next newline, and the position after it.

        Raises:
            Refusal: if there is none, or only after more than any pickler writes.
        """
        end = self.buf.find(b"\n", pos)
        if end < 0:
            pos = self.refill(pos)
            end = self.buf.find(b"\n", pos)
            if end < 0:
                raise Refusal("truncated" if len(self.buf) < MAX_LINE else "too-large", "a line has no end")
        if end - pos > MAX_LINE:
            raise Refusal("too-large", f"a line of {end - pos} bytes")
        return self.buf[pos:end], end + 1
