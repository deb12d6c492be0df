"""Zip archives, strictly: one reading only, in which every byte belongs to a member or to the directory.

Readers of zip files differ (some trust the local headers, some the central directory, some search for it), so that one
file can hold different models for different readers. Refused: anything before, between or after the members; headers
that disagree; names that stand twice, also after folding case and Unicode, or lead elsewhere; encryption; methods other
than stored and deflated; comments; bombs. Source: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.4.
"""

from __future__ import annotations

import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from airflow_mlsecops.core.scanning.part import CHUNK, Part, scratch
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.scan import Scan

_LOCAL = struct.Struct("<4s5H3L2H")
_FLAGS = 0x08 | 0x800 | 0x06  # data descriptor, UTF-8 names, deflate's level
_UNSET = 0xFFFFFFFF
_DESCRIPTORS = (0, 12, 16, 20, 24)


def members(scan: Scan, part: Part) -> list[zipfile.ZipInfo]:
    """The members, in the order in which they lie, after every check that needs no unpacking.

    Raises:
        Refusal: naming what is irregular.
    """
    try:
        with zipfile.ZipFile(part.stream) as archive:
            found, start, comment = archive.infolist(), archive.start_dir, archive.comment
    except (zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError, EOFError, struct.error) as error:
        raise Refusal("malformed", f"the zip archive can't be read: {error}") from error
    if comment:
        raise Refusal("archive-irregular", "a zip archive with a comment")
    if len(found) > scan.limits.members:
        raise Refusal("too-large", f"{len(found)} members")
    found.sort(key=lambda info: info.header_offset)
    _check_names([info.orig_filename for info in found])
    position = 0
    for index, info in enumerate(found):
        following = found[index + 1].header_offset if index + 1 < len(found) else start
        position = _check_member(scan, part, info, position, following)
    if position != start:
        raise Refusal("polyglot", "bytes between the members and the directory of a zip archive")
    _check_end(part, start, len(found))
    return found


def _check_names(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        plain = name.rstrip("/")
        parts = plain.split("/")
        bad = not plain or "\\" in name or ":" in name or any(ord(char) < 32 for char in name)
        if bad or any(part in ("", "..", ".") for part in parts):
            raise Refusal("archive-name", f"a member named {name[:80]!r}, which leads elsewhere")
        folded = unicodedata.normalize("NFKC", plain).casefold()
        if folded in seen:
            raise Refusal("archive-duplicate", f"two members named {name[:80]!r}")
        seen.add(folded)


def _check_member(scan: Scan, part: Part, info: zipfile.ZipInfo, position: int, following: int) -> int:
    """Compare the local header with the directory's entry; return where the member ends."""
    if info.header_offset != position:
        raise Refusal("polyglot", "bytes before or between the members of a zip archive")
    header = part.at(position, _LOCAL.size)
    if len(header) < _LOCAL.size:
        raise Refusal("truncated", "a member of a zip archive has no header")
    magic, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(header)
    name = part.at(position + _LOCAL.size, name_length)
    if info.flag_bits & 0x41 or flags & 0x41:
        raise Refusal("archive-encrypted", f"member {info.filename[:80]!r} is encrypted")
    same = magic == b"PK\x03\x04" and flags == info.flag_bits and method == info.compress_type
    encoding = "utf-8" if flags & 0x800 else "cp437"
    if not same or flags & ~_FLAGS or method not in (0, 8) or name.decode(encoding, "replace") != info.orig_filename:
        raise Refusal("archive-irregular", f"the two headers of member {info.filename[:80]!r} disagree, or are unusual")
    if not flags & 0x08:
        for local, central in ((crc, info.CRC), (packed, info.compress_size), (size, info.file_size)):
            if local != central and not (local == _UNSET and central >= 0):
                raise Refusal("archive-irregular", f"the two headers of member {info.filename[:80]!r} disagree")
    if method == 0 and info.compress_size != info.file_size:
        raise Refusal("archive-irregular", f"stored member {info.filename[:80]!r} has two sizes")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refusal("archive-name", f"member {info.filename[:80]!r} is a link or a device")
    if info.file_size > max(CHUNK, info.compress_size * scan.limits.ratio):
        raise Refusal("archive-bomb", f"member {info.filename[:80]!r} unpacks to {info.file_size} bytes")
    end = position + _LOCAL.size + name_length + extra_length + info.compress_size
    rest = following - end
    if rest < 0 or rest not in (_DESCRIPTORS if flags & 0x08 else (0,)):
        raise Refusal("polyglot", "the members of a zip archive overlap, or bytes lie between them")
    return following


def _check_end(part: Part, start: int, count: int) -> None:
    """The directory's entries, then perhaps the zip64 records, then the end record, and nothing else."""
    end = part.at(part.size - 22, 22)
    if end[:4] != b"PK\x05\x06":
        raise Refusal("polyglot", "bytes after the end of a zip archive")
    if int.from_bytes(end[10:12], "little") not in (count, 0xFFFF):
        raise Refusal("archive-irregular", "the directory of a zip archive has another number of entries than it says")
    position = start
    for _ in range(count):
        entry = part.at(position, 46)
        if entry[:4] != b"PK\x01\x02":
            raise Refusal("archive-irregular", "the directory of a zip archive can't be followed")
        if int.from_bytes(entry[32:34], "little"):
            raise Refusal("archive-irregular", "a member of a zip archive with a comment")
        position += 46 + sum(int.from_bytes(entry[at : at + 2], "little") for at in (28, 30, 32))
    if part.size - 22 - position not in (0, 76):
        raise Refusal("polyglot", "bytes in the directory of a zip archive that belong to no entry")


def open_member(scan: Scan, part: Part, info: zipfile.ZipInfo) -> Part:
    """The member's bytes, with their checksum verified; a stored one isn't copied.

    Raises:
        Refusal: if the checksum or the size is wrong.
    """
    header = part.at(info.header_offset, _LOCAL.size)
    begin = info.header_offset + _LOCAL.size + sum(_LOCAL.unpack(header)[-2:])
    packed = part.member(info.filename, begin, info.compress_size)
    if info.compress_type == 0:
        crc = 0
        for chunk in packed.chunks():
            crc = zlib.crc32(chunk, crc)
        _check_sum(info, crc, packed.size)
        return packed
    scan.claim(part, info.file_size)
    target, unpacker, crc, size = scratch(), zlib.decompressobj(-15), 0, 0
    for data in _inflated(unpacker, packed, info.file_size):
        crc, size = zlib.crc32(data, crc), size + len(data)
        target.write(data)
    if not unpacker.eof or unpacker.unused_data:
        raise Refusal("archive-irregular", f"member {info.filename[:80]!r} doesn't end where its header says")
    _check_sum(info, crc, size)
    return part.unpacked(info.filename, target, size)


def _inflated(unpacker: zlib._Decompress, packed: Part, expected: int) -> Iterator[bytes]:
    total = 0
    for chunk in packed.chunks():
        while chunk and not unpacker.eof:
            try:
                data = unpacker.decompress(chunk, CHUNK)
            except zlib.error as error:
                raise Refusal("malformed", f"compressed data can't be read: {error}") from error
            chunk = unpacker.unconsumed_tail  # noqa: PLW2901 - what the limit left over
            total += len(data)
            if total > expected:
                raise Refusal("archive-bomb", "a member unpacks to more than its header says")
            yield data
    yield unpacker.flush()


def _check_sum(info: zipfile.ZipInfo, crc: int, size: int) -> None:
    if crc != info.CRC or size != info.file_size:
        raise Refusal("archive-irregular", f"the checksum of member {info.filename[:80]!r} is wrong")
