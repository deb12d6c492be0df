"""Committing to the log: one compare-and-swap, and everything that follows from it.

The steps of a commit, each of which can be the last one of a process that is killed:

1. Read the published checkpoint and the head. If the head is ahead, complete it (steps 4 to 6 with its entries).
2. Compute the larger tree from the tiles' right edge, whose root must be the signed one.
3. Swap the head: the new signed checkpoint with the entries that it adds. *This is the commit.*
4. Write tiles and entry bundles, create-only. What lies there already must be the same.
5. Note each entry's place in the index.
6. Publish the checkpoint, never backwards. Readers see it only now, when all its tiles are there.
7. Remove partial tiles whose full tile is there.

A head is only ever replaced when all of its steps up to 6 are done, so that at most one is ever open.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from airflow_mlsecops.core.errors import EvidenceBrokenError, MlsecopsError, StoreUnavailableError
from airflow_mlsecops.core.log.checkpoint import CHECKPOINT, Checkpoint, LogTrust
from airflow_mlsecops.core.log.errors import LogBrokenError
from airflow_mlsecops.core.log.frontier import Frontier
from airflow_mlsecops.core.log.head import HEAD, MAX_HEAD_BYTES, Head
from airflow_mlsecops.core.log.merkle import leaf_hash
from airflow_mlsecops.core.log.note import MAX_NOTE_BYTES
from airflow_mlsecops.core.log.tiles import ENTRIES, WIDTH, Tile, encode_entries
from airflow_mlsecops.core.log.tree import Tree, index_key
from airflow_mlsecops.core.signing import KeySigner
from airflow_mlsecops.core.store.backend import Backend
from airflow_mlsecops.core.store.spread import spread

_log = logging.getLogger(__name__)
_ATTEMPTS = 5


@dataclass(frozen=True)
class State:
    """What lay in the store at one moment.

    Attributes:
        head: the last commit, if there ever was one.
        head_tag: names that state of the head.
        published: the published checkpoint, if there is one.
        published_tag: names that state of it.
    """

    head: Head | None
    head_tag: str | None
    published: Checkpoint | None
    published_tag: str | None

    @property
    def size(self) -> int:
        """How many entries are committed."""
        return self.head.checkpoint.size if self.head else 0

    def problem(self) -> str:
        """Why head and checkpoint can't both be right; empty if they can."""
        if self.head is None:
            return "" if self.published is None else f"the head is gone, but {self.published} was published"
        size = self.published.size if self.published else 0
        if size == self.size and self.published and self.published.root != self.head.checkpoint.root:
            return f"the head says {self.head.checkpoint}, the checkpoint {self.published}"
        if size not in (self.head.base, self.size):
            return f"the head goes from {self.head.base} to {self.size} entries, but {size} were published"
        return ""


class Committer:
    """Reads the head, completes it and replaces it. It holds no lock: the swap decides."""

    def __init__(self, backend: Backend, trust: LogTrust, signer: KeySigner) -> None:
        self._backend = backend
        self._trust = trust
        self._signer = signer
        self._newest: Checkpoint | None = None

    def load(self) -> State:
        """Read head and checkpoint, and complete the head if its writer didn't.

        Raises:
            LogBrokenError: if they contradict each other or what this process saw before, or tiles aren't right.
            LogSignatureError: if one isn't signed by the log's key.
            StoreUnavailableError: if the store can't be reached.
        """
        state, before = self._read(), None
        while state.problem() and state != before:  # both moved between the two reads
            state, before = self._read(), state
        seen = self._newest
        if state.problem():
            raise LogBrokenError(state.problem(), "an old state was put back: run `mlsecops log verify`")
        if seen and (
            state.size < seen.size
            or (state.head and state.size == seen.size and state.head.checkpoint.root != seen.root)
        ):
            raise LogBrokenError(f"the log was rolled back behind {seen}", "run `mlsecops log verify`")
        if state.head is None:
            return state
        self._newest = state.head.checkpoint
        if state.published is None or state.published.size < state.size:
            self._complete(state.head, state.published_tag)
        return state

    def extend(self, state: State, entries: Sequence[bytes]) -> Checkpoint | None:
        """Commit ``entries`` on top of ``state``.

        Returns:
            The new checkpoint, published; or ``None`` if another writer was faster.

        Raises:
            LogBrokenError: if the tiles aren't those that the head signs.
            SigningError: if the key can't sign.
            StoreUnavailableError: if the store can't be reached; then the entries may have been committed.
        """
        tree = Tree(self._backend, state.size)
        frontier = tree.frontier()
        if state.head and frontier.root != state.head.checkpoint.root:
            raise LogBrokenError(f"the right edge of the tree isn't that of {state.head.checkpoint}", _ADVICE)
        grown, tiles = frontier.grow(map(leaf_hash, entries))
        checkpoint = Checkpoint.sign(grown.size, grown.root, self._trust.origin, self._signer)
        head = Head(state.size, tuple(entries), checkpoint)
        objects = {**tiles, **_bundles(head, tree, frontier)}  # before the swap, because it can find a fault
        if not self._backend.swap(HEAD, state.head_tag, head.encode()):
            return None
        self._newest = checkpoint
        self._write(head, objects, state.published_tag)
        return checkpoint

    def _read(self) -> State:
        # The checkpoint first: it never overtakes the head, so that what was read second is never behind.
        try:
            published = self._backend.peek(CHECKPOINT, MAX_NOTE_BYTES)
            head = self._backend.peek(HEAD, MAX_HEAD_BYTES)
        except EvidenceBrokenError as error:
            raise LogBrokenError(error.message, _ADVICE) from error
        return State(
            Head.parse(head[0], self._trust) if head else None,
            head[1] if head else None,
            Checkpoint.parse(published[0], self._trust) if published else None,
            published[1] if published else None,
        )

    def _complete(self, head: Head, tag: str | None) -> None:
        tree = Tree(self._backend, head.base)
        frontier = tree.frontier()
        grown, tiles = frontier.grow(map(leaf_hash, head.entries))
        if grown.root != head.checkpoint.root:  # as Head.follows, but the tiles are needed too
            raise LogBrokenError(f"head and tiles don't lead to the root of {head.checkpoint}", _ADVICE)
        self._write(head, {**tiles, **_bundles(head, tree, frontier)}, tag)

    def _write(self, head: Head, objects: Mapping[Tile, bytes], tag: str | None) -> None:
        """Steps 4 to 7. Any number of writers may do this for one head at once."""
        jobs = [partial(self._ensure, tile, data) for tile, data in objects.items()]
        jobs.append(partial(note_places, self._backend, head.base, head.entries))
        spread(lambda job: job(), jobs, at_once=True)  # each waits for the disk, and they may wait together
        self._publish(head.checkpoint, tag)
        self._tidy([tile for tile in objects if tile.width == WIDTH])

    def _ensure(self, tile: Tile, data: bytes) -> None:
        for attempt in range(_ATTEMPTS):
            if self._backend.create(tile.key, data):
                return
            found = self._backend.peek(tile.key, tile.max_bytes)
            if found is not None and found[0] != data:
                raise LogBrokenError(f"other bytes lie under {tile.name}", _ADVICE)
            if found is not None:
                return
            time.sleep(0.05 * 2**attempt)  # another writer is at it, and the server shows neither its end nor its bytes
        raise StoreUnavailableError(f"{tile.name} is neither there nor not there", "try again")

    def _publish(self, checkpoint: Checkpoint, tag: str | None) -> None:
        for _ in range(_ATTEMPTS):
            if self._backend.swap(CHECKPOINT, tag, checkpoint.raw):
                return
            found = self._backend.peek(CHECKPOINT, MAX_NOTE_BYTES)
            if found and Checkpoint.parse(found[0], self._trust).size >= checkpoint.size:
                return
            tag = found[1] if found else None
        raise LogBrokenError(f"{checkpoint} can't be published", "is somebody else writing to the log's checkpoint?")

    def _tidy(self, full: Sequence[Tile]) -> None:
        """Remove what the specification allows to; also what a killed writer left of the tile before."""
        folders = {Tile(tile.level, max(tile.index - back, 0), WIDTH).partials for tile in full for back in (0, 1)}
        try:
            for folder in sorted(folders):
                spread(self._backend.remove, self._backend.list(folder))
        except MlsecopsError as error:
            _log.warning("partial tiles of the evidence log stay, which only costs space: %s", error)


def note_places(backend: Backend, base: int, entries: Sequence[bytes]) -> None:
    """Note in the index in which tile each of these entries is, which stand one after the other from ``base`` on."""
    tiles: dict[int, list[str]] = {}
    for at, entry in enumerate(entries, base):
        tiles.setdefault(at // WIDTH, []).append(index_key(leaf_hash(entry)))
    for tile, keys in tiles.items():
        note = str(tile).encode()
        for key in backend.create_same(keys, note):
            found = backend.peek(key, MAX_NOTE_BYTES)
            if found is None or found[0] != note:  # derived, and so put right
                backend.remove(key)
                backend.create(key, note)


def _bundles(head: Head, tree: Tree, frontier: Frontier) -> dict[Tile, bytes]:
    """The entry bundles that the commit fills; the entries that stand in the first one already are checked."""
    first, rest = divmod(head.base, WIDTH)
    entries = [*(tree.entries(first) if rest else ()), *head.entries]
    for at, (entry, leaf) in enumerate(zip(entries, frontier.edge[0] if rest else (), strict=False)):
        if leaf_hash(entry) != leaf:
            raise LogBrokenError(f"entry {first * WIDTH + at} isn't the one that was logged", _ADVICE)
    parts = [entries[at : at + WIDTH] for at in range(0, len(entries), WIDTH)]
    return {Tile(ENTRIES, first + at, len(part)): encode_entries(part) for at, part in enumerate(parts)}


_ADVICE = "nothing is appended to it; run `mlsecops log verify`, and restore it"
