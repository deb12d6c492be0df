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
        end: where the stream's bytes in the window end; what stands after them is padding.
        size: of the stream.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self.buf = b""
        self.base = 0
        self.end = 0
        self.size = size

    def refill(self, pos: int) -> int:
        """Move the window so that it begins at ``pos`` of the present one; return the new position (0).

        After the stream's last byte stand zeros, so that an argument that is cut off can be sliced without a check: the
        position is beyond the end then, and whoever reads on notices.
        """
        self.base += pos
        self._stream.seek(self.base)
        data = self._stream.read(min(WINDOW, self.size - self.base)) if self.base < self.size else b""
        self.end = len(data)
        self.buf = data if self.base + self.end < self.size else data + bytes(AHEAD)
        return 0

    def safe_end(self) -> int:
        """The position up to which an opcode with a short argument is whole, or the end of the stream."""
        return self.end if self.base + self.end >= self.size else self.end - AHEAD

    def take(self, pos: int, count: int) -> tuple[bytes, int]:
        """The next ``count`` bytes, at most a window of them, and the position after them.

        Raises:
            Refusal: if the stream ends before.
        """
        if pos + count > self.end:
            self._check(pos, count)
            pos = self.refill(pos)
            if count > self.end:
                raise Refusal("too-large", f"an argument of {count} bytes where a short one belongs")
        return self.buf[pos : pos + count], pos + count

    def skip(self, pos: int, count: int) -> int:
        """Pass over ``count`` bytes.

        Raises:
            Refusal: if the stream ends before.
        """
        if pos + count <= self.end:
            return pos + count
        self._check(pos, count)
        return self.refill(pos + count)

    def _check(self, pos: int, count: int) -> None:
        if self.base + pos + count > self.size:
            raise Refusal("truncated", f"an argument of {count} bytes ends after the file")

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
                raise Refusal("truncated" if self.end < MAX_LINE else "too-large", "a line has no end")
        if end - pos > MAX_LINE:
            raise Refusal("too-large", f"a line of {end - pos} bytes")
        return self.buf[pos:end], end + 1

    def line_length(self, pos: int) -> int:
        """How many bytes stand before the next newline, however many that are; the window stays where it is.

        Raises:
            Refusal: if there is no newline.
        """
        end = self.buf.find(b"\n", pos, self.end)
        if end >= 0:
            return end - pos
        length, at = self.end - pos, self.base + self.end
        while at < self.size:
            self._stream.seek(at)
            data = self._stream.read(min(WINDOW, self.size - at))
            found = data.find(b"\n")
            if found >= 0:
                return length + found
            length, at = length + len(data), at + len(data)
            if not data:
                break
        raise Refusal("truncated", "a line has no end")
