"""Containers: zip by what is in it, tar, compressed streams, 7z."""

from __future__ import annotations

import bz2
import lzma
import tarfile
import zlib
from typing import TYPE_CHECKING, Protocol

from airflow_mlsecops.core.scanning.formats.zip_file import members, open_member
from airflow_mlsecops.core.scanning.part import CHUNK, Part, scratch
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

if TYPE_CHECKING:
    from airflow_mlsecops.core.scanning.scan import Scan


class _Unpacker(Protocol):
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


def scan_zip(scan: Scan, part: Part) -> None:
    """Every member, by its own format."""
    for info in members(scan, part):
        if not info.is_dir():
            inner = open_member(scan, part, info)
            scan.part(inner)
            if info.compress_type:
                inner.stream.close()
        elif info.file_size:
            raise Refusal("archive-irregular", f"folder {info.filename[:80]!r} has bytes")


def scan_compressed(scan: Scan, part: Part) -> None:
    """gzip, bzip2, xz and zlib: unpack to disk, within limits, and scan what comes out.

    Raises:
        Refusal: if it can't be unpacked whole, is a bomb, or bytes follow.
    """
    kind = compression(part.at(0, 8))
    made: dict[str, _Unpacker] = {
        "gzip": zlib.decompressobj(31),
        "zlib": zlib.decompressobj(15),
        "bzip2": bz2.BZ2Decompressor(),
        "xz": lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=256 * CHUNK),
    }
    target, size, unpacker = scratch(), 0, made[kind]
    for chunk in part.chunks():
        data = chunk
        while True:
            if getattr(unpacker, "eof", False):
                raise Refusal("trailing-bytes", f"bytes after the end of {kind} data")
            try:
                out = unpacker.decompress(data, CHUNK)
            except (zlib.error, OSError, lzma.LZMAError, EOFError) as error:
                raise Refusal("malformed", f"{kind} data can't be read: {error}") from error
            target.write(out)
            size += len(out)
            scan.claim(part, len(out))
            if size > max(16 * CHUNK, part.size * scan.limits.ratio):
                raise Refusal("archive-bomb", f"{part.size} bytes unpack to more than {size}")
            data = getattr(unpacker, "unconsumed_tail", b"")
            if getattr(unpacker, "eof", False) or (
                not data and getattr(unpacker, "needs_input", not out or len(out) < CHUNK)
            ):
                break
    if not getattr(unpacker, "eof", False):
        raise Refusal("truncated", f"{kind} data has no end")
    if getattr(unpacker, "unused_data", b""):
        raise Refusal("trailing-bytes", f"bytes after the end of {kind} data")
    with target:
        scan.part(part.unpacked(_without_suffix(part), target, size))


def compression(head: bytes) -> str:
    """Which compression begins like this; empty if none."""
    for magic, kind in ((b"\x1f\x8b\x08", "gzip"), (b"BZh", "bzip2"), (b"\xfd7zXZ\0", "xz"), (b"\x5d\0\0", "xz")):
        if head.startswith(magic):
            return kind
    if len(head) >= 2 and head[0] == 0x78 and int.from_bytes(head[:2], "big") % 31 == 0 and not head[1] & 0x20:
        return "zlib"
    return ""


def _without_suffix(part: Part) -> str:
    name = part.short_name
    return name[: -len(part.suffix)] if part.suffix in (".gz", ".bz2", ".xz", ".lzma", ".z") else name


def scan_tar(scan: Scan, part: Part) -> None:
    """Plain files only, with names that stay inside, and nothing after the end.

    Raises:
        Refusal: on a link, a device, a name that leads elsewhere or stands twice.
    """
    seen: set[str] = set()
    end = 0
    try:
        with tarfile.open(fileobj=part.stream, mode="r:") as archive:
            for count, member in enumerate(archive):
                name = member.name.rstrip("/")
                if count > scan.limits.members:
                    raise Refusal("too-large", "more members than are followed")
                if not (member.isreg() or member.isdir()) or member.issparse():
                    raise Refusal("archive-name", f"member {name[:80]!r} is a link or a device")
                if name.startswith("/") or "\\" in name or any(item in ("", "..", ".") for item in name.split("/")):
                    raise Refusal("archive-name", f"a member named {name[:80]!r}, which leads elsewhere")
                if name.casefold() in seen:
                    raise Refusal("archive-duplicate", f"two members named {name[:80]!r}")
                seen.add(name.casefold())
                end = member.offset_data + (member.size + 511) // 512 * 512
                if member.isreg():
                    if member.offset_data + member.size > part.size:
                        raise Refusal("truncated", f"member {name[:80]!r} ends after the archive")
                    scan.part(part.member(name, member.offset_data, member.size))
    except tarfile.TarError as error:
        raise Refusal("malformed", f"the tar archive can't be read: {error}") from error
    if any(chunk.strip(b"\0") for chunk in part.chunks(end)):
        raise Refusal("trailing-bytes", "bytes after the end of a tar archive")


def scan_7z(scan: Scan, part: Part) -> None:
    """7z, with py7zr when it is installed (extra ``sevenzip``).

    Raises:
        Refusal: if it isn't, or the archive is irregular.
    """
    try:
        import py7zr
    except ImportError:
        raise Refusal("not-examined", "a 7z archive; install airflow-mlsecops[sevenzip] to look inside") from None
    import tempfile
    from pathlib import Path

    part.stream.seek(0)
    try:
        with tempfile.TemporaryDirectory(prefix="mlsecops-7z-") as folder, py7zr.SevenZipFile(part.stream) as archive:
            if archive.needs_password():
                raise Refusal("archive-encrypted", "an encrypted 7z archive")
            listed = archive.list()
            names = [item.filename for item in listed]
            if len(set(map(str.casefold, names))) != len(names) or any(
                name.startswith("/") or ".." in name.split("/") or item.is_symlink
                for name, item in zip(names, listed, strict=True)
            ):
                raise Refusal("archive-name", "a member whose name leads elsewhere, or stands twice")
            size = sum(item.uncompressed or 0 for item in listed)
            if size > max(CHUNK, part.size * scan.limits.ratio):
                raise Refusal("archive-bomb", f"{part.size} bytes unpack to {size}")
            scan.claim(part, size)
            archive.extractall(folder)  # noqa: S202 - names, links and sizes were checked above
            for path in sorted(Path(folder).rglob("*")):
                if path.is_file() and not path.is_symlink():
                    with path.open("rb") as stream:
                        name = path.relative_to(folder).as_posix()
                        scan.part(part.unpacked(name, stream, path.stat().st_size))
    except py7zr.exceptions.ArchiveError as error:
        raise Refusal("malformed", f"the 7z archive can't be read: {error}") from error
