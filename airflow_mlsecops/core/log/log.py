"""The evidence log for those who write to it.

    log = EvidenceLog(backend, LogTrust("example.com/evidence", (signer.public_key,)), signer)
    log.append([Entry.of(bundle).encode()], deposit=lambda: store_the_bundle(bundle))

Any number of threads, processes and machines may append at once, with nothing between them but the store.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.canonical import MAX_JSON_BYTES
from airflow_mlsecops.core.errors import EvidenceBrokenError, MlsecopsError, StatementError, StoreUnavailableError
from airflow_mlsecops.core.log.checkpoint import Checkpoint, LogTrust
from airflow_mlsecops.core.log.commit import Committer
from airflow_mlsecops.core.log.entry import Entry
from airflow_mlsecops.core.log.errors import LogBusyError, LogEntryError, LogSignatureError
from airflow_mlsecops.core.log.head import MAX_BATCH_BYTES, MAX_BATCH_ENTRIES
from airflow_mlsecops.core.log.merkle import leaf_hash
from airflow_mlsecops.core.log.reader import LogReader
from airflow_mlsecops.core.log.tiles import MAX_ENTRY_BYTES, ROOT
from airflow_mlsecops.core.log.tree import Tree
from airflow_mlsecops.core.log.waiting import EXPIRY_SECONDS, STALE_SECONDS, Queue, age
from airflow_mlsecops.core.signing import KeySigner
from airflow_mlsecops.core.store.backend import Backend
from airflow_mlsecops.core.store.spread import spread

_logger = logging.getLogger(__name__)
_TURN = f"{ROOT}turn"
_PATIENCE_SECONDS = 180.0
_LINGER_SECONDS = 0.2
_FAILURES = 4
_MAX_TAKEN = 1024


@dataclass(frozen=True)
class Appended:
    """Where entries stand, and a published checkpoint that covers them.

    Attributes:
        indices: the place of each entry, in the order in which they were given.
        checkpoint: the log after it.
    """

    indices: tuple[int, ...]
    checkpoint: Checkpoint


@dataclass
class _Announced:
    """Entries by leaf hash, and the key under which they wait."""

    key: str
    entries: dict[bytes, bytes]
    places: dict[bytes, int] = field(default_factory=dict)


class EvidenceLog:
    """Appends to one log. Make one per process, and share it between threads."""

    def __init__(
        self, backend: Backend, trust: LogTrust, signer: KeySigner, admit: Callable[[bytes], bool] | None = None
    ) -> None:
        """Nothing is dialled yet.

        Args:
            backend: the evidence store's backend.
            trust: the log's name and keys, the signer's among them.
            signer: signs checkpoints.
            admit: whether an entry that somebody else queued may be committed for them. By default, if it is evidence
                whose bundle lies in the store.
        """
        self.reader = LogReader(backend, trust)
        self._backend = backend
        self._signer = signer
        self._admit = admit or self._is_deposited
        self._queue = Queue(backend)
        self._committer = Committer(backend, trust, signer)
        self._mutex = threading.Lock()
        self._mine: set[str] = set()
        self._linger = 0.0  # seconds to wait before the next commit
        self._usual = 0.0  # seconds that an append takes here these days

    def append(self, entries: Sequence[bytes], deposit: Callable[[], object] | None = None) -> Appended:
        """Log entries; return once they are committed, with all their tiles, in a published checkpoint.

        1. Queue the entries.
        2. ``deposit()`` what they speak of. Whoever dies before it leaves an announcement that expires; what was queued
           by one who dies after it is committed by the next writer.
        3. Commit them with all that others have queued, or see that somebody else has done so.

        An entry that is in the log already isn't logged twice.

        Raises:
            LogEntryError: without entries, or with one that is too large.
            LogBrokenError: if the log isn't what it was.
            LogSignatureError: if its checkpoint isn't signed by the log's key, or name or key can't be a log's.
            LogBusyError: if other writers were faster for minutes.
            SigningError: if the key can't sign.
            StoreUnavailableError: if the store can't be reached; trying again does no harm.
        """
        if self._signer.public_key not in self.reader.trust.keys:
            raise LogSignatureError(
                "the log's signer isn't among the log's keys", "add its public key to the log's trust"
            )
        self.reader.trust.check()
        leaves = [leaf_hash(entry) for entry in entries]
        # 1.
        waiting = [_Announced(self._queue.add(list(part.values())), part) for part in _parts(leaves, entries)]
        self._mine.update(item.key for item in waiting)
        try:
            # 2.
            try:
                if deposit is not None:
                    deposit()
            except MlsecopsError as error:
                if not error.transient:  # else some of it may lie there: the next writer sees, or it expires
                    self._take_off([item.key for item in waiting])
                raise
            # 3.
            checkpoint = [self._settle(item) for item in waiting][-1]
        finally:
            self._mine.difference_update([item.key for item in waiting])
        places = {leaf: index for item in waiting for leaf, index in item.places.items()}
        return Appended(tuple(places[leaf] for leaf in leaves), checkpoint)

    def _settle(self, mine: _Announced) -> Checkpoint:
        start, failures = time.monotonic(), 0
        time.sleep(self._linger)
        while True:
            began = time.monotonic()
            try:
                with self._mutex, self._backend.turn(_TURN) as alone:
                    checkpoint = self._round(mine, alone, began - start)
                failures = 0
            except StoreUnavailableError:  # also a conditional write that the server couldn't decide
                checkpoint, failures = None, failures + 1
                if failures == _FAILURES:
                    raise
            if checkpoint is not None:
                self._usual += (time.monotonic() - start - self._usual) / 4
                return checkpoint
            if began - start > _PATIENCE_SECONDS:
                raise LogBusyError(f"not committed in {_PATIENCE_SECONDS:.0f} s", "try again; the entries are queued")
            # As long as things take here, so that a near store isn't waited for and a far one isn't stormed.
            pause = min(max(2 * (time.monotonic() - began), self._usual / 6, 0.001), 1.0)
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - spreads writers out, keeps no secret

    def _round(self, mine: _Announced, alone: bool | None, waited: float) -> Checkpoint | None:
        if alone is False and waited < STALE_SECONDS and self._queue.has(mine.key):
            return None  # another process is committing, and will take this up now or next
        keys = self._queue.waiting()
        if mine.key not in keys:
            checkpoint = self._find(mine)
            if checkpoint is None:  # taken off the queue, but not by a commit
                self._mine.discard(mine.key)
                mine.key = self._queue.add(list(mine.entries.values()))
                self._mine.add(mine.key)
            return checkpoint
        oldest = next(key for key in keys if age(key) < STALE_SECONDS or key in self._mine)
        if not alone and oldest not in self._mine:
            return None  # where nobody can tell who is committing, the oldest does it for all
        return self._commit(keys, mine)

    def _find(self, mine: _Announced) -> Checkpoint | None:
        checkpoint = self.reader.checkpoint()
        if checkpoint is None:
            return None
        mine.places = _places(self.reader.tree(checkpoint), list(mine.entries))
        return checkpoint if len(mine.places) == len(mine.entries) else None

    def _commit(self, keys: list[str], mine: _Announced) -> Checkpoint | None:
        began = time.monotonic()
        state = self._committer.load()
        taken = dict(self._take(keys, mine))
        wanted = {leaf: entry for entries in taken.values() for leaf, entry in entries.items()}
        places = _places(Tree(self._backend, state.size), list(wanted))
        fresh = [leaf for leaf in wanted if leaf not in places]
        checkpoint = state.head.checkpoint if state.head else None
        if fresh:
            checkpoint = self._committer.extend(state, [wanted[leaf] for leaf in fresh])
            if checkpoint is None:
                return None
            places.update((leaf, state.size + at) for at, leaf in enumerate(fresh))
        self._take_off(list(taken))
        # Where several writers meet, waiting a little before the next commit lets it serve more of them.
        self._linger = min((time.monotonic() - began) / 3, _LINGER_SECONDS) if len(taken) > 1 else 0.0
        if mine.key not in taken:
            return None
        mine.places = {leaf: places[leaf] for leaf in mine.entries}
        return checkpoint

    def _take(self, keys: list[str], mine: _Announced) -> Iterator[tuple[str, dict[bytes, bytes]]]:
        """Queued entries, the oldest first, as many as fit into one commit."""
        keys = [key for key in keys[:_MAX_TAKEN] if key != mine.key] + [mine.key]
        found = [*spread(self._read, keys[:-1]), mine.entries]
        count = size = 0
        for key, entries in sorted(zip(keys, found, strict=True)):
            if entries is None:
                continue
            count, size = count + len(entries), size + sum(map(len, entries.values()))
            if count > MAX_BATCH_ENTRIES or size > MAX_BATCH_BYTES:
                return
            yield key, entries

    def _read(self, key: str) -> dict[bytes, bytes] | None:
        """What another writer queued; ``None`` if it can't be committed (yet); nothing if it only has to go.

        Whoever announced several and died while putting them into the store gets a day to come back; then what lies
        there is committed, and the rest forgotten.
        """
        entries = self._queue.read(key)
        if entries is None:
            return None
        there = {leaf_hash(entry): entry for entry in entries if self._admit(entry)}
        return there if len(there) == len(set(entries)) or age(key) > EXPIRY_SECONDS else None

    def _is_deposited(self, data: bytes) -> bool:
        """Whether the entry says what its bundle says, and that lies under each of its subjects.

        A writer that died between two subjects left some without: the bundle's bytes are there, so it is put there too.
        """
        try:
            entry = Entry.parse(data)
            found = [self._backend.peek(key, MAX_JSON_BYTES) for key in entry.keys]
            raws = {item[0] for item in found if item is not None}
            if len(raws) != 1 or Entry.of(Bundle.parse(min(raws))) != entry:
                return False
        except (LogEntryError, EvidenceBrokenError, StatementError):
            return False
        return not self._backend.create_same(
            [key for key, item in zip(entry.keys, found, strict=True) if item is None], min(raws)
        )

    def _take_off(self, keys: list[str]) -> None:
        try:
            spread(self._queue.remove, keys)
        except MlsecopsError as error:
            _logger.warning("what is done stays in the evidence log's queue, which only costs time: %s", error)


def _places(tree: Tree, leaves: list[bytes]) -> dict[bytes, int]:
    """Where these leaves are in the tree; those that aren't in it are left out."""
    found = zip(leaves, spread(tree.find, leaves), strict=True)
    return {leaf: index for leaf, index in found if index is not None}


def _parts(leaves: list[bytes], entries: Iterable[bytes]) -> list[dict[bytes, bytes]]:
    """Entries by leaf hash, each once, in parts that fit into one commit."""
    parts: list[dict[bytes, bytes]] = [{}]
    size = 0
    for leaf, entry in dict(zip(leaves, entries, strict=True)).items():
        if len(entry) > MAX_ENTRY_BYTES:
            raise LogEntryError(f"an entry of {len(entry)} bytes, more than the {MAX_ENTRY_BYTES} that a log takes")
        size += len(entry)
        if len(parts[-1]) == MAX_BATCH_ENTRIES or size > MAX_BATCH_BYTES:
            parts.append({})
            size = len(entry)
        parts[-1][leaf] = entry
    if not parts[0]:
        raise LogEntryError("nothing to append")
    return parts
