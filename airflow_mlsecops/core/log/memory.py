"""The log's entries, verified once and kept in this process, for those who verify again and again.

A verification reads the whole log, because only its entries name what should be there. A server that answers one every
second would read the same entries every second. Here they stay in memory with the right edge of their tree: of a newer
checkpoint only the entries that came since are read, and all of them together have to lead to the root that it signs.
What can't be joined so is read as a whole, as if nothing were remembered. Nothing is taken from a disk on trust.
"""

from __future__ import annotations

import re
import threading
from array import array
from collections.abc import Collection

from airflow_mlsecops.core.log.checkpoint import Checkpoint
from airflow_mlsecops.core.log.entry import Entry
from airflow_mlsecops.core.log.errors import LogError
from airflow_mlsecops.core.log.frontier import Frontier
from airflow_mlsecops.core.log.merkle import leaf_hash
from airflow_mlsecops.core.log.reader import LogReader
from airflow_mlsecops.core.log.tiles import WIDTH

_DIGEST = re.compile(rb"[0-9a-f]{64}")


class LogMemory:
    """Entries of one log, by subject. Share it between threads; about 400 bytes an entry."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._frontier = Frontier()
        self._entries: list[bytes] = []
        self._about: dict[bytes, array[int]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def grow(self, reader: LogReader, checkpoint: Checkpoint) -> bool:
        """Take in what the log has at this checkpoint.

        1. The entries after those that are known are read.
        2. All together lead to the root that the checkpoint signs; otherwise everything is forgotten.

        Returns:
            Whether all entries of the checkpoint, and no others, are known now.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        with self._lock:
            if checkpoint.size < len(self._entries):
                return False
            try:
                frontier, fresh = self._read(reader, checkpoint)
            except LogError:
                self._forget()
                return False
            if frontier.root != checkpoint.root:
                self._forget()
                return False
            for place, data in enumerate(fresh, len(self._entries)):
                for digest in _digests(data):
                    self._about.setdefault(digest, array("L")).append(place)
            self._entries += fresh
            self._frontier = frontier
            return True

    def since(self, size: int) -> list[Entry]:
        """The entries from this place on.

        Raises:
            LogEntryError: if one is none.
        """
        with self._lock:
            fresh = self._entries[size:]
        return [Entry.parse(data) for data in fresh]

    def about(self, subject: str, size: int) -> list[tuple[int, Entry]]:
        """The entries about one subject among the first ``size``, with their places.

        Raises:
            LogEntryError: if one is none.
        """
        with self._lock:
            places = [place for place in self._about.get(subject.encode(), ()) if place < size]
            found = [(place, self._entries[place]) for place in places]
        parsed = [(place, Entry.parse(data)) for place, data in found]
        return [(place, entry) for place, entry in parsed if subject in entry.subjects]

    def _read(self, reader: LogReader, checkpoint: Checkpoint) -> tuple[Frontier, list[bytes]]:
        tree, known = reader.tree(checkpoint), len(self._entries)
        frontier, fresh = self._frontier, list[bytes]()
        for start in range(known - known % WIDTH, checkpoint.size, WIDTH):
            batch = tree.entries(start // WIDTH)[max(known - start, 0) :]
            frontier, _ = frontier.grow(map(leaf_hash, batch))
            fresh += batch
        return frontier, fresh


def _digests(data: bytes) -> set[bytes]:
    """The subjects of an entry; of something that is none, every digest in it, so that it is met by whoever asks."""
    try:
        return {subject.encode() for subject in Entry.parse(data).subjects}
    except LogError:
        return set(_DIGEST.findall(data))


class RememberingLogReader(LogReader):
    """A reader with a memory; see :class:`LogMemory`."""

    def __init__(self, reader: LogReader, memory: LogMemory) -> None:
        """Take over from another reader.

        Args:
            reader: of the same log.
            memory: of that log alone.
        """
        super().__init__(reader.backend, reader.trust)
        self._memory = memory

    def about_all(self, subjects: Collection[str], checkpoint: Checkpoint) -> dict[str, list[tuple[int, Entry]]]:
        """See :meth:`LogReader.about_all`."""
        if not self._memory.grow(self, checkpoint):
            return super().about_all(subjects, checkpoint)
        return {subject: self._memory.about(subject, checkpoint.size) for subject in subjects}
