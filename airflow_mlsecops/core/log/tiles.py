"""Tiles: how a tree lies in a store (https://c2sp.org/tlog-tiles).

A tile holds up to 256 hashes of one level; a hash of level ``l`` is the root over ``256**l`` leaves. Entry bundles hold
the entries of a level-0 tile, each after its length as two bytes. Nothing here touches a store.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_mlsecops.core.log.errors import LogEntryError
from airflow_mlsecops.core.log.merkle import HASH_BYTES

WIDTH = 256
HEIGHT = 8
ENTRIES = -1
"""The level that stands for entry bundles."""
MAX_ENTRY_BYTES = 2**16 - 1
MAX_SIZE = 2**62
ROOT = "log/"
"""Where the log lies in the evidence store."""


@dataclass(frozen=True, slots=True)
class Tile:
    """One tile or entry bundle.

    Attributes:
        level: 0 for leaf hashes, up to 7; :data:`ENTRIES` for an entry bundle.
        index: its place in the level.
        width: how many hashes or entries it holds, 1 to 256.
    """

    level: int
    index: int
    width: int

    @property
    def key(self) -> str:
        """Where it lies in the store."""
        return f"{self.partials}{self.width}" if self.width < WIDTH else self.whole

    @property
    def whole(self) -> str:
        """Where the full tile lies or will lie."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        return f"{ROOT}tile/{level}/{encode_index(self.index)}"

    @property
    def partials(self) -> str:
        """The folder of all widths of this tile as long as it isn't full, ending in ``/``."""
        return f"{self.whole}.p/"

    @property
    def name(self) -> str:
        """Its key without the log's folder, as the specification writes it."""
        return self.key.removeprefix(ROOT)

    @property
    def max_bytes(self) -> int:
        """The most that a tile of this width can have."""
        return self.width * (2 + MAX_ENTRY_BYTES if self.level == ENTRIES else HASH_BYTES)


def encode_index(index: int) -> str:
    """1234067 -> ``x001/x234/067``."""
    parts = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        parts.append(f"x{index % 1000:03d}")
    return "/".join(reversed(parts))


def tile_for(level: int, index: int, size: int) -> Tile:
    """The tile of this level and index in a tree of ``size``; its width may be below 1 if the tree has none."""
    count = size if level == ENTRIES else size >> (HEIGHT * level)
    return Tile(level, index, min(WIDTH, count - index * WIDTH))


def edge_tiles(size: int) -> list[Tile]:
    """The partial tiles of a tree, from level 0 up: its right edge, of which its root can be made."""
    tiles, level = [], 0
    while size >> (HEIGHT * level):
        count = size >> (HEIGHT * level)
        if count % WIDTH:
            tiles.append(Tile(level, count // WIDTH, count % WIDTH))
        level += 1
    return tiles


def split_hashes(data: bytes) -> list[bytes]:
    """The hashes of a tile. The caller has checked its length."""
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def encode_entries(entries: Iterable[bytes]) -> bytes:
    """An entry bundle.

    Raises:
        LogEntryError: if an entry is too large.
    """
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise LogEntryError(f"an entry of {len(entry)} bytes, more than the {MAX_ENTRY_BYTES} that a log takes")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def decode_entries(data: bytes, width: int | None = None) -> list[bytes]:
    """The entries of a bundle.

    Raises:
        LogEntryError: if it is cut short, has bytes left over, or hasn't ``width`` entries.
    """
    entries: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        start = at + 2
        at = start + int.from_bytes(data[at:start], "big")
        if start > end or at > end:
            raise LogEntryError(f"entry {len(entries)} of the bundle is cut short")
        entries.append(data[start:at])
    if width is not None and len(entries) != width:
        raise LogEntryError(f"expected {width} entries in the bundle, got {len(entries)}")
    return entries
