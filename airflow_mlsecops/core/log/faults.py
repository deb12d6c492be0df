"""What can be wrong with a log, and how the walk through it decides which of two objects is the wrong one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from airflow_mlsecops.core.log.tiles import Tile


@dataclass(frozen=True)
class LogFault:
    """One thing that is wrong with a log.

    Attributes:
        code: its kind: ``log-gone``, ``log-signature``, ``rollback``, ``fork``, ``root``, ``head``, ``tile-missing``,
            ``tile-wrong``, ``entries-missing``, ``entry-wrong``, ``entry-malformed`` or ``entry-twice``.
        where: the object in the log.
        message: what was expected and what is there.
        entry: the first entry that it concerns, if that can be told.
    """

    code: str
    where: str
    message: str
    entry: int | None = None

    def __str__(self) -> str:
        place = "" if self.entry is None else f", entry {self.entry}"
        return f"[{self.code}] {self.where}{place}: {self.message}"


@dataclass
class Node:
    """A tile between what lies below it and what lies above.

    Attributes:
        tile: which one.
        stored: the root over its own hashes; ``None`` if it can't be read.
        computed: the root over what its children have; ``None`` if that isn't known.
        surely: faults in any case.
        if_right: faults if its own hashes are the right ones: those of its children.
        if_wrong: faults if what its children have is right: its own.
    """

    tile: Tile
    stored: bytes | None
    computed: bytes | None
    surely: list[LogFault] = field(default_factory=list)
    if_right: list[LogFault] = field(default_factory=list)
    if_wrong: list[LogFault] = field(default_factory=list)

    @property
    def best(self) -> bytes | None:
        """What to go on with while nothing above has decided."""
        return self.computed if self.stored is None else self.stored

    def judged_by(self, above: bytes | None) -> list[LogFault]:
        """The faults, given the hash that the tile above has for this one (``None`` if that can't be told)."""
        if above == self.stored or above is None:
            return self.surely + (self.if_wrong if self.stored is None else self.if_right)
        if above == self.computed:
            return self.surely + self.if_wrong
        if self.best is None:  # nothing of it can be read, which is said already
            return self.surely
        foreign = LogFault(
            "tile-wrong", self.tile.name, "isn't the tile that the level above names", first_entry(self.tile)
        )
        return [*self.surely, foreign, *self.if_wrong, *self.if_right]


@dataclass
class Edge:
    """The partial tile of one level: its hashes as they are stored, and as its children have them."""

    node: Node
    stored: list[bytes] | None
    computed: list[bytes | None]

    def choices(self) -> Iterator[tuple[tuple[bytes, ...], list[LogFault]]]:
        """What its hashes can be, and what the faults are if they are."""
        if self.stored is not None:
            yield tuple(self.stored), self.node.surely + self.node.if_right
        known = tuple(value for value in self.computed if value is not None)
        if len(known) == len(self.computed) and list(known) != self.stored:
            yield known, self.node.surely + self.node.if_wrong

    def everything(self) -> list[LogFault]:
        """All that may be wrong here."""
        return self.node.surely + self.node.if_right + self.node.if_wrong


def first_entry(tile: Tile) -> int:
    """The first entry that lies under a tile."""
    return tile.index << 8 * (max(tile.level, 0) + 1)
