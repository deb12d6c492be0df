"""Reading the log: its newest checkpoint, proofs that are verified before they are handed out, and what it holds."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from airflow_mlsecops.core.errors import EvidenceBrokenError
from airflow_mlsecops.core.log.checkpoint import CHECKPOINT, Checkpoint, LogTrust
from airflow_mlsecops.core.log.entry import Entry
from airflow_mlsecops.core.log.errors import LogBrokenError, LogSignatureError, NotLoggedError, ProofError
from airflow_mlsecops.core.log.frontier import Frontier
from airflow_mlsecops.core.log.merkle import leaf_hash, verify_consistency
from airflow_mlsecops.core.log.note import MAX_NOTE_BYTES
from airflow_mlsecops.core.log.proof import LogProof
from airflow_mlsecops.core.log.tiles import WIDTH
from airflow_mlsecops.core.log.tree import Tree
from airflow_mlsecops.core.store.backend import Backend

_DIGEST = re.compile(rb"[0-9a-f]{64}")


class LogReader:
    """Reads one log. Needs no key of its own, and no trust in the store."""

    def __init__(self, backend: Backend, trust: LogTrust) -> None:
        self._backend = backend
        self.trust = trust

    @property
    def backend(self) -> Backend:
        """Where it lies."""
        return self._backend

    def checkpoint(self) -> Checkpoint | None:
        """The newest published checkpoint, verified; ``None`` if nothing was ever logged, or all of it is gone.

        Raises:
            LogSignatureError: if it isn't signed by the log's key.
            StoreUnavailableError: if the store can't be reached.
        """
        try:
            found = self._backend.peek(CHECKPOINT, MAX_NOTE_BYTES)
        except EvidenceBrokenError as error:
            raise LogSignatureError(f"checkpoint: {error.message}", "the store was tampered with") from error
        return None if found is None else Checkpoint.parse(found[0], self.trust)

    def tree(self, checkpoint: Checkpoint) -> Tree:
        """The tiles of one state; keep it while asking for several proofs, because it remembers tiles."""
        return Tree(self._backend, checkpoint.size)

    def prove(self, entry: bytes, checkpoint: Checkpoint, tree: Tree | None = None) -> LogProof:
        """Prove that an entry is in the log at this checkpoint.

        1. It is found, with the help of an index that is only a hint.
        2. The proof made from the tiles leads from the entry at that place to the signed root.

        Raises:
            NotLoggedError: if step 1 fails.
            ProofError: if step 2 fails.
            LogBrokenError: if a tile is gone or hasn't the right length.
            StoreUnavailableError: if the store can't be reached.
        """
        tree = tree or self.tree(checkpoint)
        # 1.
        index = tree.find(leaf_hash(entry))
        if index is None:
            raise NotLoggedError(
                f"not in the log of {checkpoint.size} entries", "put it into the store again; a second time is no harm"
            )
        # 2.
        proof = LogProof(index, tuple(tree.inclusion(index)), checkpoint.raw)
        proof.verify(entry, self.trust)
        return proof

    def check_consistency(self, old: Checkpoint, new: Checkpoint) -> None:
        """Check that the log at ``old`` is the beginning of the log at ``new``.

        Raises:
            ProofError: if it isn't: the log was rolled back, forked or rewritten.
            LogBrokenError: if a tile is gone or hasn't the right length.
            StoreUnavailableError: if the store can't be reached.
        """
        if old.size > new.size:
            raise ProofError(f"the log was rolled back from {old} to {new}", _REWRITTEN)
        if old.size == new.size and old.root != new.root:
            raise ProofError(f"the log was forked: {old} and {new} have one size and two roots", _REWRITTEN)
        proof = self.tree(new).consistency(old.size)
        if not verify_consistency(old.size, new.size, proof, old.root, new.root):
            raise ProofError(f"the first {old.size} entries of {new} aren't those of {old}", _REWRITTEN)

    def entries(self, checkpoint: Checkpoint) -> Iterator[tuple[int, bytes]]:
        """All entries with their places, in order. Whoever takes them to the end knows that they are the signed ones.

        Raises:
            LogBrokenError: if a bundle of entries is gone; at the end, if they don't add up to the signed root.
            LogEntryError: if a bundle of entries is cut short.
            StoreUnavailableError: if the store can't be reached.
        """
        tree, frontier = self.tree(checkpoint), Frontier()
        for start in range(0, checkpoint.size, WIDTH):
            batch = tree.entries(start // WIDTH)
            frontier, _ = frontier.grow(map(leaf_hash, batch))
            yield from enumerate(batch, start)
        if frontier.root != checkpoint.root:
            raise LogBrokenError(f"the entries aren't those of {checkpoint}", "run `mlsecops log verify`")

    def about(self, subject: str, checkpoint: Checkpoint) -> list[tuple[int, Entry]]:
        """All entries about one subject, complete: also those whose bundle somebody removed from the store.

        Reads the whole log; use :meth:`prove` for what is at hand.

        Raises:
            LogBrokenError: if the entries aren't those that the checkpoint signs.
            LogEntryError: if an entry is none.
            StoreUnavailableError: if the store can't be reached.
        """
        wanted = subject.encode()
        candidates = [(index, data) for index, data in self.entries(checkpoint) if wanted in data]
        parsed = [(index, Entry.parse(data)) for index, data in candidates]
        return [(index, entry) for index, entry in parsed if subject in entry.subjects]

    def about_all(self, subjects: Collection[str], checkpoint: Checkpoint) -> dict[str, list[tuple[int, Entry]]]:
        """What :meth:`about` tells of each of several subjects, in one pass over the log.

        Raises:
            LogBrokenError: if the entries aren't those that the checkpoint signs.
            LogEntryError: if an entry is none.
            StoreUnavailableError: if the store can't be reached.
        """
        wanted = frozenset(subject.encode() for subject in subjects)
        found: dict[str, list[tuple[int, Entry]]] = {subject: [] for subject in subjects}
        for index, data in self.entries(checkpoint):
            if wanted.isdisjoint(_DIGEST.findall(data)):
                continue
            entry = Entry.parse(data)
            for subject in entry.subjects:
                if subject in found:
                    found[subject].append((index, entry))
        return found


_REWRITTEN = "whoever holds the log's key rewrote it, or put an old state back; find out who, and restore it"
