"""The right edge of a tree: all that is needed to know its root and to append to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from airflow_mlsecops.core.log.merkle import fold, tree_root
from airflow_mlsecops.core.log.tiles import HEIGHT, WIDTH, Tile


@dataclass(frozen=True)
class Frontier:
    """The partial tiles of a tree.

    Attributes:
        size: how many leaves the tree has.
        edge: the hashes of each level's partial tile, from level 0 up; a level whose tiles are all full has none.
    """

    size: int = 0
    edge: tuple[tuple[bytes, ...], ...] = ()

    @classmethod
    def of(cls, size: int, hashes: Mapping[int, list[bytes]]) -> Frontier:
        """From the partial tiles' hashes by level."""
        levels = max(hashes, default=-1) + 1
        return cls(size, tuple(tuple(hashes.get(level, ())) for level in range(levels)))

    @property
    def root(self) -> bytes:
        """The tree's root."""
        subtrees: list[bytes] = []
        for hashes in reversed(self.edge):
            start = 0
            for bit in reversed(range(HEIGHT)):
                if len(hashes) >> bit & 1:
                    subtrees.append(tree_root(hashes[start : start + (1 << bit)]))
                    start += 1 << bit
        return fold(subtrees)

    def grow(self, leaves: Iterable[bytes]) -> tuple[Frontier, dict[Tile, bytes]]:
        """Append leaf hashes.

        Returns:
            The larger tree's edge, and the tiles that it has and this tree hasn't, lower levels first.
        """
        edge = [list(hashes) for hashes in self.edge] or [[]]
        done = [(self.size >> HEIGHT * (level + 1)) for level in range(len(edge))]
        tiles: dict[Tile, bytes] = {}
        size = self.size
        for leaf in leaves:
            size += 1
            _push(edge, done, 0, leaf, tiles)
        for level, hashes in enumerate(edge):
            old = self.edge[level] if level < len(self.edge) else ()
            moved = done[level] != self.size >> HEIGHT * (level + 1)
            if hashes and (moved or len(hashes) != len(old)):
                tiles[Tile(level, done[level], len(hashes))] = b"".join(hashes)
        ordered = {tile: tiles[tile] for tile in sorted(tiles, key=lambda tile: (tile.level, tile.index))}
        return Frontier(size, tuple(tuple(hashes) for hashes in edge)), ordered


def _push(edge: list[list[bytes]], done: list[int], level: int, value: bytes, tiles: dict[Tile, bytes]) -> None:
    if level == len(edge):
        edge.append([])
        done.append(0)
    edge[level].append(value)
    if len(edge[level]) == WIDTH:
        tiles[Tile(level, done[level], WIDTH)] = b"".join(edge[level])
        root, edge[level] = tree_root(edge[level]), []
        done[level] += 1
        _push(edge, done, level + 1, root, tiles)
