"""A part of an artifact: a file, or a member of a container, readable at any place without being copied."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, BinaryIO, cast

CHUNK = 1024 * 1024


class Window(io.RawIOBase):
    """A stretch of a seekable stream, as a stream of its own."""

    def __init__(self, stream: BinaryIO, begin: int, size: int) -> None:
        self._stream, self._begin, self._size, self._at = stream, begin, size, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """As for files."""
        self._at = offset + (0, self._at, self._size)[whence]
        return self._at

    def tell(self) -> int:
        """As for files."""
        return self._at

    def read(self, size: int = -1) -> bytes:
        """As for files; never beyond the stretch."""
        left = max(0, self._size - self._at)
        count = left if size < 0 else min(size, left)
        self._stream.seek(self._begin + self._at)
        data = self._stream.read(count)
        self._at += len(data)
        return data


@dataclass(frozen=True)
class Part:
    """Bytes with a name.

    Attributes:
        name: the file's, then for each container ``!`` and the member's.
        stream: to read from; seekable.
        size: of it.
        depth: how many containers it lies in.
    """

    name: str
    stream: BinaryIO
    size: int
    depth: int = 0

    @property
    def suffix(self) -> str:
        """The last extension of the innermost name, in lower case, with its dot."""
        return PurePosixPath(self.name.rsplit("!", 1)[-1]).suffix.lower()

    @property
    def short_name(self) -> str:
        """The last component of the innermost name."""
        return PurePosixPath(self.name.rsplit("!", 1)[-1]).name

    def at(self, offset: int, count: int) -> bytes:
        """``count`` bytes at ``offset``, or fewer at the end."""
        self.stream.seek(offset)
        return self.stream.read(count)

    def chunks(self, begin: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``begin`` to ``end``, piece by piece."""
        end = self.size if end is None else end
        while begin < end:
            data = self.at(begin, min(CHUNK, end - begin))
            if not data:
                return
            begin += len(data)
            yield data

    def member(self, name: str, begin: int, size: int) -> Part:
        """A stretch of this part, as one of its own."""
        return Part(f"{self.name}!{name}", cast("BinaryIO", Window(self.stream, begin, size)), size, self.depth + 1)

    def unpacked(self, name: str, stream: IO[bytes], size: int) -> Part:
        """What a packed member unpacked to."""
        return Part(f"{self.name}!{name}", cast("BinaryIO", stream), size, self.depth + 1)


def scratch() -> IO[bytes]:
    """A file that is gone when it is closed; small ones stay in memory."""
    return tempfile.SpooledTemporaryFile(max_size=4 * CHUNK)
