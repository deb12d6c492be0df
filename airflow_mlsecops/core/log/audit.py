"""Comparing everything that a log consists of with its signed root, and saying what exactly is wrong.

The tree is walked from left to right. Each tile is held against what lies below it and, once that is read, against what
lies above. Two of three that agree tell which one was changed: a tile whose hashes differ from its children is wrong if
its parent has the hash of the children, and right if its parent has its own. In the end the right edge is held against
the signed root in the same way. Of each level, one tile is kept in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice, product

from airflow_mlsecops.core.log.checkpoint import CHECKPOINT, Checkpoint
from airflow_mlsecops.core.log.errors import LogBrokenError, LogEntryError
from airflow_mlsecops.core.log.faults import Edge, LogFault, Node, first_entry
from airflow_mlsecops.core.log.frontier import Frontier
from airflow_mlsecops.core.log.merkle import HASH_BYTES, leaf_hash, tree_root
from airflow_mlsecops.core.log.tiles import ENTRIES, ROOT, WIDTH, Tile, decode_entries, split_hashes, tile_for
from airflow_mlsecops.core.log.tree import fetch
from airflow_mlsecops.core.store.backend import Backend

Visit = Callable[[int, list[bytes]], object]
_COMBINATIONS = 4096


class Audit:
    """Walks one state of a log."""

    def __init__(self, backend: Backend, checkpoint: Checkpoint, limit: int) -> None:
        self._backend = backend
        self._checkpoint = checkpoint
        self._limit = limit
        self._open: dict[int, list[Node]] = {}
        self._done: dict[int, int] = {}

    def run(self, visit: Visit) -> list[LogFault]:
        """Compare everything; hand each bundle of entries to ``visit``, with the place of its first entry.

        Returns:
            The faults, ``limit`` of them at most.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        size, edges = self._checkpoint.size, {}
        for index in range(-(-size // WIDTH)):
            edge = self._bottom(index, visit)
            if edge.node.tile.width == WIDTH:
                self._push(1, edge.node)
            else:
                edges[0] = edge
        for level in sorted(self._open):
            if self._open[level]:
                edges[level] = self._inner(level)
        return self._judge(edges)[: self._limit]

    def _push(self, level: int, node: Node) -> None:
        self._open.setdefault(level, []).append(node)
        if len(self._open[level]) == WIDTH:
            above = self._inner(level).node
            self._open[level] = []
            self._done[level] = self._done.get(level, 0) + 1
            self._push(level + 1, above)

    def _bottom(self, index: int, visit: Visit) -> Edge:
        """A tile of leaf hashes, and the entries under it."""
        tile = tile_for(0, index, self._checkpoint.size)
        stored, surely = self._hashes(tile)
        entries, more = self._entries(tile_for(ENTRIES, index, self._checkpoint.size))
        computed: list[bytes | None] = [None] * tile.width
        if entries is not None:
            visit(index * WIDTH, entries)
            computed = [leaf_hash(entry) for entry in entries]
        if stored is None or entries is None or stored == computed:
            return _edge(tile, stored, computed, surely + more)
        wrong = [at for at in range(tile.width) if stored[at] != computed[at]]
        where = Tile(ENTRIES, index, tile.width).name
        below = []
        for at in wrong[: self._limit]:
            message = "isn't the entry that was logged"
            if (found := computed[at]) in stored and found is not None:
                message += f"; it is the one that belongs at {index * WIDTH + stored.index(found)}: reordered"
            below.append(LogFault("entry-wrong", where, message, index * WIDTH + at))
        return _edge(tile, stored, computed, surely + more, below, [_changed(tile, wrong)])

    def _inner(self, level: int) -> Edge:
        """A tile of roots, and the tiles under it."""
        tile = tile_for(level, self._done.get(level, 0), self._checkpoint.size)
        children = self._open[level]
        stored, surely = self._hashes(tile)
        computed = [child.best for child in children]
        if stored is None:
            free = [fault for child in children for fault in child.judged_by(None)]
            return _edge(tile, stored, computed, surely, [], free[: self._limit])
        below = [fault for child, above in zip(children, stored, strict=True) for fault in child.judged_by(above)]
        wrong = [at for at, value in enumerate(computed) if value is not None and value != stored[at]]
        own = [_changed(tile, wrong)] if wrong else []
        own += [fault for child in children for fault in child.judged_by(None)]
        return _edge(tile, stored, computed, surely, below[: self._limit], own[: self._limit])

    def _judge(self, edges: dict[int, Edge]) -> list[LogFault]:
        """Hold the right edge against the signed root."""
        levels = range(max(edges, default=-1) + 1)
        options: list[list[tuple[tuple[bytes, ...], list[LogFault]]]] = [
            list(edges[level].choices()) if level in edges else [((), [])] for level in levels
        ]
        for choice in islice(product(*options), _COMBINATIONS):
            edge = tuple(hashes for hashes, _ in choice)
            if Frontier(self._checkpoint.size, edge).root == self._checkpoint.root:
                return [fault for _, faults in reversed(choice) for fault in faults]
        message = f"the tiles don't add up to the root of {self._checkpoint}: the log was rewritten"
        everything = [fault for level in reversed(edges) for fault in edges[level].everything()]
        return [LogFault("root", CHECKPOINT.removeprefix(ROOT), message), *everything]

    def _hashes(self, tile: Tile) -> tuple[list[bytes] | None, list[LogFault]]:
        data, faults = self._fetch(tile, "tile-missing")
        if data is not None and len(data) != tile.width * HASH_BYTES:
            message = f"has {len(data)} bytes, expected {tile.width * HASH_BYTES}"
            return None, [LogFault("tile-wrong", tile.name, message, first_entry(tile))]
        return None if data is None else split_hashes(data), faults

    def _entries(self, tile: Tile) -> tuple[list[bytes] | None, list[LogFault]]:
        data, faults = self._fetch(tile, "entries-missing")
        try:
            return None if data is None else decode_entries(data, tile.width), faults
        except LogEntryError as error:
            return None, [LogFault("entry-wrong", tile.name, error.message, first_entry(tile))]

    def _fetch(self, tile: Tile, code: str) -> tuple[bytes | None, list[LogFault]]:
        try:
            data = fetch(self._backend, tile)
        except LogBrokenError as error:
            return None, [LogFault("tile-wrong", tile.name, error.message, first_entry(tile))]
        return data, [] if data is not None else [LogFault(code, tile.name, "is gone", first_entry(tile))]


def _changed(tile: Tile, wrong: list[int]) -> LogFault:
    each = 1 << 8 * tile.level
    places = [first_entry(tile) + at * each for at in wrong]
    what = "entry" if tile.level == 0 else f"entries from {each} to {each}, the first"
    message = f"was changed in {len(wrong)} places, beginning at the hash of {what} {places[0]}"
    return LogFault("tile-wrong", tile.name, message, places[0])


def _edge(
    tile: Tile,
    stored: list[bytes] | None,
    computed: list[bytes | None],
    surely: list[LogFault],
    if_right: list[LogFault] | None = None,
    if_wrong: list[LogFault] | None = None,
) -> Edge:
    known = [value for value in computed if value is not None]
    own = None if stored is None else tree_root(stored)
    below = own if known == stored else tree_root(known) if len(known) == tile.width else None
    return Edge(Node(tile, own, below, surely, if_right or [], if_wrong or []), stored, computed)
