"""Comparing the log with the store: each entry's bundle lies there, and each bundle that lies there is in the log.

Both may have millions of items and are read once. Of each place that the log names, eight bytes of a keyed hash are
kept; its key is new in each run, so that nobody can prepare two places with one hash.
"""

from __future__ import annotations

import hashlib
import secrets
from array import array
from bisect import bisect_left

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.canonical import MAX_JSON_BYTES
from airflow_mlsecops.core.errors import EvidenceNotFoundError, StatementError
from airflow_mlsecops.core.log.checkpoint import Checkpoint
from airflow_mlsecops.core.log.entry import Entry
from airflow_mlsecops.core.log.errors import LogError
from airflow_mlsecops.core.log.faults import LogFault
from airflow_mlsecops.core.log.reader import LogReader
from airflow_mlsecops.core.log.tiles import ENTRIES, WIDTH, Tile
from airflow_mlsecops.core.log.waiting import Queue
from airflow_mlsecops.core.store.backend import Backend


class Stock:
    """What the log says that the store has."""

    def __init__(self, backend: Backend, limit: int) -> None:
        self._backend = backend
        self._limit = limit
        self._secret = secrets.token_bytes(16)
        self._places = array("Q")
        self.faults: list[LogFault] = []

    def visit(self, start: int, entries: list[bytes]) -> None:
        """Take the entries of one bundle, the first of which stands at ``start``."""
        for index, data in enumerate(entries, start):
            try:
                self._places.extend(map(self._hash, Entry.parse(data).keys))
            except LogError as error:
                self._fault(LogFault("entry-malformed", _bundle(index), error.message, index))

    def compare(
        self, reader: LogReader, checkpoint: Checkpoint, bundles: bool
    ) -> tuple[list[tuple[int, str]], list[str]]:
        """Find entries that stand there twice and, if ``bundles`` are asked for, compare with what lies in the store.

        Bundles that were logged after ``checkpoint``, or are queued to be, aren't unlogged.

        Returns:
            What is logged and doesn't lie in the store, with its place in the log; and what lies there and isn't
            logged. ``limit`` of each at most.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        places = array("Q", sorted(self._places))
        twice = {places[at] for at in range(1, len(places)) if places[at] == places[at - 1]}
        if twice:
            places = array("Q", sorted(set(places)))
        seen = bytearray(len(places))
        strange: list[str] = []
        for key in self._backend.scan("bundles/") if bundles else ():
            place = self._hash(key)
            at = bisect_left(places, place)
            if at < len(places) and places[at] == place:
                seen[at] = 1
            elif len(strange) < self._limit:
                strange.append(key)
        gone = {place for place, found in zip(places, seen, strict=True) if not found} if bundles else set()
        missing = self._name(reader, checkpoint, gone, twice) if gone or twice else []
        return missing, self.unlogged(reader, sorted(strange)) if strange else []

    def unlogged(self, reader: LogReader, keys: list[str]) -> list[str]:
        """Of these places, those that still aren't in the log, nor on their way there.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        queue, newest = Queue(self._backend), reader.checkpoint()
        queued = {key for name in queue.waiting() for data in queue.read(name) or () for key in _keys(data)}
        result = []
        for key in keys:
            try:
                entry = Entry.of(Bundle.parse(self._backend.read(key, MAX_JSON_BYTES)))
                if key in queued:
                    continue
                if newest is not None and key in entry.keys:
                    reader.prove(entry.encode(), newest)
                    continue
            except (StatementError, LogError, EvidenceNotFoundError):
                pass
            result.append(key)
        return result

    def _name(
        self, reader: LogReader, checkpoint: Checkpoint, gone: set[int], twice: set[int]
    ) -> list[tuple[int, str]]:
        """A second walk through the log, because hashes have no names."""
        missing: list[tuple[int, str]] = []
        first: dict[str, int] = {}
        for start in range(0, checkpoint.size, WIDTH):
            try:
                batch = reader.tree(checkpoint).entries(start // WIDTH)
            except LogError:  # the audit has said so
                continue
            for index, data in enumerate(batch, start):
                for key in _keys(data):
                    place = self._hash(key)
                    if place in twice and first.setdefault(key, index) != index:
                        message = f"{key} is logged at {first[key]} already"
                        self._fault(LogFault("entry-twice", _bundle(index), message, index))
                    if place in gone and len(missing) < self._limit and self._backend.peek(key, MAX_JSON_BYTES) is None:
                        missing.append((index, key))
        return missing

    def _hash(self, key: str) -> int:
        return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8, key=self._secret).digest(), "big")

    def _fault(self, fault: LogFault) -> None:
        if len(self.faults) < self._limit:
            self.faults.append(fault)


def _keys(data: bytes) -> tuple[str, ...]:
    try:
        return Entry.parse(data).keys
    except LogError:
        return ()


def _bundle(index: int) -> str:
    return Tile(ENTRIES, index // WIDTH, WIDTH).name
