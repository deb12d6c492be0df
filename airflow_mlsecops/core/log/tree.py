"""Reading one state of the log from its tiles: hashes, proofs and entries, each from O(log n) objects.

What comes from here is what the store says. A proof is worth something once it is verified against a signed root.
"""

from __future__ import annotations

from collections import OrderedDict

from airflow_mlsecops.core.errors import EvidenceBrokenError
from airflow_mlsecops.core.log.errors import LogBrokenError
from airflow_mlsecops.core.log.frontier import Frontier
from airflow_mlsecops.core.log.merkle import (
    HASH_BYTES,
    consistency_ranges,
    fold,
    full_subtrees,
    inclusion_ranges,
    tree_root,
)
from airflow_mlsecops.core.log.tiles import (
    ENTRIES,
    HEIGHT,
    ROOT,
    WIDTH,
    Tile,
    decode_entries,
    edge_tiles,
    split_hashes,
    tile_for,
)
from airflow_mlsecops.core.store.backend import Backend

_CACHED = 64
_MAX_INDEX_BYTES = 32


def index_key(leaf: bytes) -> str:
    """Where it is noted in which tile this leaf is. Derived from the entries, and only ever a hint."""
    return f"{ROOT}index/{leaf.hex()}"


def fetch(backend: Backend, tile: Tile) -> bytes | None:
    """A tile's bytes, unchecked but for their number; ``None`` if it is gone.

    A partial tile may be removed once the full one is there, so that one is read in its place.

    Raises:
        LogBrokenError: if there are more bytes than the tile can have.
        StoreUnavailableError: if the store can't be reached.
    """
    try:
        found = backend.peek(tile.key, tile.max_bytes)
        if found is None and tile.width < WIDTH:
            whole = Tile(tile.level, tile.index, WIDTH)
            found = backend.peek(whole.key, whole.max_bytes)
            if found is not None:
                return _first(found[0], tile)
    except EvidenceBrokenError as error:
        raise LogBrokenError(f"{tile.name}: {error.message}", "restore the tile; find out who wrote to it") from error
    return None if found is None else found[0]


def _first(data: bytes, tile: Tile) -> bytes:
    if tile.level != ENTRIES:
        return data[: tile.width * HASH_BYTES]
    at = 0
    for _ in range(tile.width):
        at += 2 + int.from_bytes(data[at : at + 2], "big")
    return data[:at]


class Tree:
    """The log at one size."""

    def __init__(self, backend: Backend, size: int) -> None:
        self._backend = backend
        self.size = size
        self._cache: OrderedDict[Tile, list[bytes]] = OrderedDict()

    def hashes(self, level: int, index: int) -> list[bytes]:
        """The hashes of a tile.

        Raises:
            LogBrokenError: if it is gone or hasn't the length that it must have.
            StoreUnavailableError: if the store can't be reached.
        """
        tile = tile_for(level, index, self.size)
        if tile in self._cache:
            self._cache.move_to_end(tile)
            return self._cache[tile]
        data = self._fetch(tile)
        if len(data) != tile.width * HASH_BYTES:
            raise LogBrokenError(f"{tile.name} has {len(data)} bytes, expected {tile.width * HASH_BYTES}", _ADVICE)
        self._cache[tile] = split_hashes(data)
        if len(self._cache) > _CACHED:
            self._cache.popitem(last=False)
        return self._cache[tile]

    def entries(self, index: int) -> list[bytes]:
        """The entries of the ``index``-th bundle of 256. Not compared with their hashes.

        Raises:
            LogBrokenError: if it is gone.
            LogEntryError: if it isn't the number of entries that it must be.
            StoreUnavailableError: if the store can't be reached.
        """
        tile = tile_for(ENTRIES, index, self.size)
        return decode_entries(self._fetch(tile), tile.width)

    def frontier(self, size: int | None = None) -> Frontier:
        """The right edge, as it is or as it was when the tree had ``size`` leaves.

        Raises:
            LogBrokenError: if one of its tiles is gone or hasn't the right length.
            StoreUnavailableError: if the store can't be reached.
        """
        size = self.size if size is None else size
        return Frontier.of(
            size, {tile.level: self.hashes(tile.level, tile.index)[: tile.width] for tile in edge_tiles(size)}
        )

    def subtree(self, lo: int, hi: int) -> bytes:
        """The root over the leaves from ``lo`` up to ``hi``, where that is a range of a proof.

        Raises:
            LogBrokenError: if a tile is gone or hasn't the right length.
            StoreUnavailableError: if the store can't be reached.
        """
        return fold(self._node(height, index) for height, index in full_subtrees(lo, hi))

    def inclusion(self, index: int) -> list[bytes]:
        """The inclusion proof of an entry, the leaf's sibling first (RFC 6962, section 2.1.1).

        Raises:
            LogBrokenError: if a tile is gone or hasn't the right length.
            StoreUnavailableError: if the store can't be reached.
        """
        return [self.subtree(lo, hi) for lo, hi in inclusion_ranges(index, self.size)]

    def consistency(self, old: int) -> list[bytes]:
        """The proof that the tree of ``old`` entries is the beginning of this one (RFC 6962, section 2.1.2).

        Raises:
            LogBrokenError: if a tile is gone or hasn't the right length.
            StoreUnavailableError: if the store can't be reached.
        """
        return [self.subtree(lo, hi) for lo, hi in consistency_ranges(old, self.size)]

    def find(self, leaf: bytes) -> int | None:
        """The place of a leaf; ``None`` if it isn't in this tree, or the index doesn't know it.

        Reads two objects: the index names a tile of level 0, and the tile has it or hasn't.

        Raises:
            LogBrokenError: if the tile is gone or hasn't the right length.
            StoreUnavailableError: if the store can't be reached.
        """
        try:
            found = self._backend.peek(index_key(leaf), _MAX_INDEX_BYTES)
        except EvidenceBrokenError:
            return None
        text = b"" if found is None else found[0]
        index = int(text) if text.isdigit() else self.size
        if index * WIDTH >= self.size:
            return None
        hashes = self.hashes(0, index)
        return index * WIDTH + hashes.index(leaf) if leaf in hashes else None

    def _node(self, height: int, index: int) -> bytes:
        level, rest = divmod(height, HEIGHT)
        start = index << rest
        hashes = self.hashes(level, start // WIDTH)
        return tree_root(hashes[start % WIDTH : start % WIDTH + (1 << rest)])

    def _fetch(self, tile: Tile) -> bytes:
        data = fetch(self._backend, tile)
        if data is None:
            raise LogBrokenError(f"{tile.name} is gone", _ADVICE)
        return data


_ADVICE = "run `mlsecops log verify`; restore the log from a backup, and find out who wrote to it"
