"""Digests: SHA-256 over exact bytes, streamed.

SHA-256 only, because other verifiers of in-toto subjects accept nothing outside SHA-2, and because hashlib reaches the
CPU's SHA instructions through OpenSSL.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO, NewType

from airflow_mlsecops.core.errors import StatementError

Sha256 = NewType("Sha256", str)
"""64 lower-case hexadecimal digits."""

CHUNK_BYTES = 1024 * 1024
_HEX = re.compile(r"[0-9a-f]{64}\Z")


def sha256_bytes(data: bytes) -> Sha256:
    """The SHA-256 of ``data``, as ``sha256sum`` prints it."""
    return Sha256(hashlib.sha256(data).hexdigest())


def sha256_file(path: Path) -> Sha256:
    """The SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return Sha256(hashlib.file_digest(stream, "sha256").hexdigest())


def parse_sha256(text: object) -> Sha256:
    """Check that ``text`` is 64 lower-case hex digits (also what keeps ``..`` out of store paths).

    Raises:
        StatementError: if it isn't.
    """
    if not isinstance(text, str) or not _HEX.match(text):
        raise StatementError(f"expected a SHA-256 of 64 lower-case hex digits, got {str(text)[:80]!r}")
    return Sha256(text)


class HashingSink:
    """A write-only stream that hashes and counts what passes, and hands it on to ``copy_to`` if given.

    One pass serves both to hash and to make the private copy that a control then reads. ``meter`` is told the size of
    each piece before it is taken, and may raise to stop the reading.
    """

    def __init__(self, copy_to: IO[bytes] | None = None, meter: Callable[[int], None] | None = None) -> None:
        self._hash = hashlib.sha256()
        self._copy_to = copy_to
        self._meter = meter
        self.size = 0

    def write(self, data: bytes | memoryview) -> int:
        """Take the next bytes."""
        size = len(data)
        if self._meter is not None:
            self._meter(size)
        self._hash.update(data)
        self.size += size
        if self._copy_to is not None:
            self._copy_to.write(data)
        return size

    def sha256(self) -> Sha256:
        """The digest of all bytes so far."""
        return Sha256(self._hash.hexdigest())
