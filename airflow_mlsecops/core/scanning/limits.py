"""How much of an artifact is followed before the scan says that it can't vouch for it."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True)
class Limits:
    """Bounds of one scan. Whatever exceeds one is refused, never skipped.

    Attributes:
        depth: containers within containers.
        members: files in one container, and parts of one artifact in all.
        unpacked_bytes: what compressed parts may unpack to, together, on disk.
        ratio: unpacked to packed size of one part.
        memo: objects that one pickle may remember (8 bytes each).
        kept: distinct strings and tuples that are kept while one pickle is read.
        stack: objects on one pickle's stack.
    marks: open marks of one pickle.
        header_bytes: of a JSON or text header.
        findings: kept for one part; the count goes on.
    """

    depth: int = 5
    members: int = 100_000
    unpacked_bytes: int = 16 * 1024 * MIB
    ratio: int = 200
    memo: int = 16_000_000
    kept: int = 65_536
    stack: int = 1_000_000
    marks: int = 10_000
    header_bytes: int = 64 * MIB
    findings: int = 50
