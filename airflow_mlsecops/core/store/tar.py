"""Tar files of exactly one form: what an export is written as, and all that is read back.

Plain ``ustar`` (POSIX.1-1988), uncompressed: regular files only, sorted by name, each name once, all times, owners and
rights the same, two empty blocks at the end and nothing after them. Equal files make equal archives, byte for byte, and
an archive that says anything in another way is refused, so that no two tools can read it differently: no links,
devices, sparse files, long-name or extended headers, no name twice, nothing that unpacks to more than it is.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Mapping
from typing import IO, ClassVar, NamedTuple

from airflow_mlsecops.core.errors import EvidenceBrokenError, StatementError

BLOCK = 512
MAX_FILES = 100_000
MAX_FILE_BYTES = 1024 * 1024 * 1024
_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]*"
_NAME = re.compile(rf"{_PART}(/{_PART}){{0,9}}\Z")
_END = bytes(2 * BLOCK)


class ArchiveError(EvidenceBrokenError):
    """A file is no export of ours: damaged, cut short, or made by something else."""

    code: ClassVar[str] = "archive"


class Member(NamedTuple):
    """Where a file's bytes stand in the archive."""

    offset: int
    size: int


def is_name(name: str) -> bool:
    """Whether a file can have this name in an archive."""
    return bool(_NAME.match(name))


def tar_chunks(files: Mapping[str, bytes]) -> Iterator[bytes]:
    """The archive of ``files``, piece by piece.

    Raises:
        StatementError: for a name or a size that has no place in such an archive.
    """
    for name in sorted(files):
        data = files[name]
        yield _header(name, len(data))
        yield data
        yield bytes(-len(data) % BLOCK)
    yield _END


def read_index(stream: IO[bytes]) -> dict[str, Member]:
    """Name -> place of every file in an archive; the stream has to be able to seek.

    1. Every header is, byte for byte, the one that is written here for that name and size.
    2. Names ascend, so that none stands twice; they are plain, and lead nowhere else.
    3. Every file's bytes are there, filled up with zeros.
    4. The end is there, and nothing behind it.

    The caller still owes: that the files' content is what their names say.

    Raises:
        ArchiveError: if a step fails.
    """
    total = stream.seek(0, 2)
    stream.seek(0)
    found: dict[str, Member] = {}
    last, offset = "", 0
    while True:
        block = stream.read(BLOCK)
        if block == bytes(BLOCK):
            break
        # 1. and 2.
        name, size = _parse(block, offset)
        if name <= last:
            raise ArchiveError(f"the file {name!r} stands after {last!r}, or twice", _ADVICE)
        # 3.
        padding = -size % BLOCK
        end = offset + BLOCK + size + padding
        if end > total or len(found) >= MAX_FILES:
            raise ArchiveError(f"the archive ends within {name!r}, or holds too many files", _ADVICE)
        stream.seek(end - padding)
        if stream.read(padding) != bytes(padding):
            raise ArchiveError(f"there is something behind {name!r}", _ADVICE)
        found[name] = Member(offset + BLOCK, size)
        last, offset = name, end
    # 4.
    if stream.read(BLOCK) != bytes(BLOCK) or total != offset + len(_END):
        raise ArchiveError("the archive doesn't end where it should", _ADVICE)
    return found


_ADVICE = "take the file as `mlsecops export` wrote it; it may be damaged, or packed anew"


def _header(name: str, size: int) -> bytes:
    if not is_name(name) or not 0 <= size <= MAX_FILE_BYTES:
        raise StatementError(f"a file {name[:200]!r} of {size} bytes has no place in an export")
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    try:
        return info.tobuf(tarfile.USTAR_FORMAT, "ascii", "strict")
    except ValueError as error:  # longer than the format allows
        raise StatementError(f"the name {name[:200]!r} has no place in an export") from error


def _parse(block: bytes, offset: int) -> tuple[str, int]:
    """Name and size of a header; sources: POSIX.1-1988, ``ustar`` header block."""
    try:
        prefix, name = (part.rstrip(b"\0").decode("ascii") for part in (block[345:500], block[0:100]))
        full, size = f"{prefix}/{name}" if prefix else name, int(block[124:136].rstrip(b"\0 "), 8)
        if _header(full, size) == block:
            return full, size
    except (ValueError, StatementError):
        pass
    raise ArchiveError(f"the header at byte {offset} is not one of an export", _ADVICE)
