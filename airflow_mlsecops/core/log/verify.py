"""Verifying a whole log: it is the one that was signed, it grew from an earlier state, and it fits the store."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_mlsecops.core.errors import EvidenceBrokenError
from airflow_mlsecops.core.log.audit import Audit
from airflow_mlsecops.core.log.checkpoint import CHECKPOINT, Checkpoint, LogTrust
from airflow_mlsecops.core.log.errors import LogError, LogSignatureError
from airflow_mlsecops.core.log.faults import LogFault
from airflow_mlsecops.core.log.frontier import Frontier
from airflow_mlsecops.core.log.head import HEAD, MAX_HEAD_BYTES, Head
from airflow_mlsecops.core.log.merkle import verify_consistency
from airflow_mlsecops.core.log.reader import LogReader
from airflow_mlsecops.core.log.stock import Stock
from airflow_mlsecops.core.log.tiles import ROOT
from airflow_mlsecops.core.log.waiting import Queue
from airflow_mlsecops.core.store.backend import Backend

LIMIT = 1000


@dataclass(frozen=True)
class LogVerification:
    """What was found; ``bool(verification)`` is true only if there is a log and nothing is wrong.

    Attributes:
        checkpoint: the state that was verified, to be kept for the next ``since``; ``None`` if there is none.
        faults: what is wrong with the log itself.
        missing: what is logged and doesn't lie in the store: (place in the log, key in the store).
        unlogged: keys in the store that aren't in the log.
        unpublished: entries that were committed, and whose tiles the next writer will write.
        queued: announcements that wait to be committed.
        cut: whether a list was cut because it grew too long.
    """

    checkpoint: Checkpoint | None
    faults: tuple[LogFault, ...] = ()
    missing: tuple[tuple[int, str], ...] = ()
    unlogged: tuple[str, ...] = ()
    unpublished: int = 0
    queued: int = 0
    cut: bool = False

    def __bool__(self) -> bool:
        return self.checkpoint is not None and not (self.faults or self.missing or self.unlogged)


def verify_log(
    backend: Backend, trust: LogTrust, since: Checkpoint | None = None, *, bundles: bool = True, limit: int = LIMIT
) -> LogVerification:
    """Verify everything that a log consists of.

    1. Its checkpoint is signed by one of the log's keys, for this log.
    2. The head isn't behind it, is signed too, and its entries lead from what was before to what it signs.
    3. The log at ``since`` is the beginning of this log: not rolled back, not forked, not rewritten.
    4. Entries, tiles and the signed root fit together. What doesn't is named: which tile, which entry.
    5. Each entry is evidence, and stands there once.
    6. Each entry's bundle lies in the store, and each bundle in the store is in the log.

    The caller still owes: to keep ``checkpoint`` where whoever writes to the store can't, for the next time; and the
    verification of the bundles themselves.

    Args:
        backend: the evidence store's backend.
        trust: the log's name and keys.
        since: a state that was seen before, verified when it was parsed.
        bundles: whether to do step 6, which lists the store.
        limit: how many faults of a kind are named.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    reader = LogReader(backend, trust)
    # 1.
    try:
        checkpoint = reader.checkpoint()
    except LogSignatureError as error:
        return LogVerification(None, (LogFault("log-signature", _CHECKPOINT, error.message),))
    if checkpoint is None:
        return _without(reader, backend, since, limit)
    # 2.
    head, faults = _head(backend, trust, checkpoint)
    # 3.
    faults += _since(reader, since, checkpoint)
    # 4.
    stock = Stock(backend, limit)
    audited = Audit(backend, checkpoint, limit).run(stock.visit)
    # 5., 6.
    missing, unlogged = stock.compare(reader, checkpoint, bundles)
    if head is not None and not audited:
        faults += _follows(reader, head, checkpoint)
    unpublished = head.checkpoint.size - checkpoint.size if head is not None else 0
    faults += audited + stock.faults
    cut = limit in (len(audited), len(stock.faults), len(missing), len(unlogged))
    queued = len(Queue(backend).waiting())
    return LogVerification(checkpoint, tuple(faults), tuple(missing), tuple(unlogged), unpublished, queued, cut)


def _without(reader: LogReader, backend: Backend, since: Checkpoint | None, limit: int) -> LogVerification:
    """There is no checkpoint: nothing was ever logged, everything is gone, or the first writer died before the end."""
    faults: list[LogFault] = []
    head = None
    left = [key for key in backend.list(ROOT) if key.startswith((f"{ROOT}tile/", f"{ROOT}index/", HEAD))]
    if left and since is None:
        head, faults = _head(backend, reader.trust, None)
    if since is not None or (left and (head is None or head.base or not head.follows(Frontier()))):
        message = f"is gone; it was {since}" if since else "is gone, but tiles are there"
        faults.append(LogFault("log-gone", _CHECKPOINT, message))
    unlogged = Stock(backend, limit).unlogged(reader, sorted(backend.scan("bundles/")))
    unpublished = head.checkpoint.size if head is not None else 0
    queued = len(Queue(backend).waiting())
    cut = len(unlogged) > limit
    return LogVerification(None, tuple(faults), (), tuple(unlogged[:limit]), unpublished, queued, cut)


def _head(backend: Backend, trust: LogTrust, checkpoint: Checkpoint | None) -> tuple[Head | None, list[LogFault]]:
    try:
        found = backend.peek(HEAD, MAX_HEAD_BYTES)
        head = Head.parse(found[0], trust) if found else None
    except (LogError, EvidenceBrokenError) as error:
        return None, [LogFault("head", _HEAD, error.message)]
    if head is None:
        published = f"is gone, but {checkpoint} was published"
        return None, [LogFault("head", _HEAD, published)] if checkpoint else []
    size = checkpoint.size if checkpoint else 0
    behind = head.checkpoint.size < size
    if behind or (checkpoint and head.checkpoint.size == size and head.checkpoint.root != checkpoint.root):
        message = f"says {head.checkpoint}, but {checkpoint} was published: an old head was put back, or the log forked"
        return None, [LogFault("rollback" if behind else "fork", _HEAD, message)]
    return head, []


def _follows(reader: LogReader, head: Head, checkpoint: Checkpoint) -> list[LogFault]:
    """Whether the head's entries lead to what it signs. Asked of sound tiles only, whose faults would look like its."""
    message = f"its entries don't lead from {head.base} to {head.checkpoint}"
    try:
        newest = reader.checkpoint() or checkpoint  # others may have gone on meanwhile
        if head.base <= newest.size and head.follows(reader.tree(newest).frontier(head.base)):
            return []
    except LogError as error:
        message += f": {error.message}"
    return [LogFault("head", _HEAD, message, head.base)]


def _since(reader: LogReader, since: Checkpoint | None, checkpoint: Checkpoint) -> list[LogFault]:
    if since is None:
        return []
    if since.size > checkpoint.size:
        return [LogFault("rollback", _CHECKPOINT, f"expected at least {since}, got {checkpoint}", checkpoint.size)]
    if since.size == checkpoint.size:
        message = f"expected {since}, got {checkpoint}: one size, two roots"
        return [] if since.root == checkpoint.root else [LogFault("fork", _CHECKPOINT, message)]
    try:
        proof = reader.tree(checkpoint).consistency(since.size)
    except LogError as error:  # step 4 names the tile
        return [LogFault("fork", _CHECKPOINT, f"can't be shown to have grown from {since}: {error.message}")]
    if verify_consistency(since.size, checkpoint.size, proof, since.root, checkpoint.root):
        return []
    return [LogFault("fork", _CHECKPOINT, f"the first {since.size} entries of {checkpoint} aren't those of {since}")]


_CHECKPOINT = CHECKPOINT.removeprefix(ROOT)
_HEAD = HEAD.removeprefix(ROOT)
