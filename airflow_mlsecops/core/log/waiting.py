"""The queue: what writers announce before anybody commits it.

One create-only object for each call of ``append``, named by time and chance. Whoever commits takes up what all have
queued, so that a hundred writers need a few commits and not a hundred. It is also the intent that survives a writer's
death: what it queued, and had put into the store, is committed by the next.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

from airflow_mlsecops.core.errors import EvidenceBrokenError
from airflow_mlsecops.core.log.errors import LogEntryError
from airflow_mlsecops.core.log.head import MAX_BATCH_BYTES, MAX_BATCH_ENTRIES
from airflow_mlsecops.core.log.tiles import ROOT, decode_entries, encode_entries
from airflow_mlsecops.core.store.backend import Backend

QUEUE = f"{ROOT}pending/"
STALE_SECONDS = 5.0
"""After this, a queued writer is taken for dead: others no longer wait for it to commit."""
EXPIRY_SECONDS = 24 * 3600.0
"""After this, what was queued and never put into the store is forgotten: its writer died before."""
_MAX_BYTES = MAX_BATCH_BYTES + 2 * MAX_BATCH_ENTRIES


class Queue:
    """The objects under ``log/pending/``."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def add(self, entries: Sequence[bytes]) -> str:
        """Announce entries; return the announcement's key.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        key = f"{QUEUE}{time.time_ns() // 1_000_000:013d}-{secrets.token_hex(8)}"
        self._backend.create(key, encode_entries(entries))
        return key

    def waiting(self) -> list[str]:
        """All announcements, the oldest first.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        return self._backend.list(QUEUE)

    def has(self, key: str) -> bool:
        """Whether this announcement still waits.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        return self._backend.peek(key, _MAX_BYTES) is not None

    def read(self, key: str) -> list[bytes] | None:
        """What was announced; ``None`` if it is gone; nothing if it isn't an announcement.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        try:
            found = self._backend.peek(key, _MAX_BYTES)
            entries = None if found is None else decode_entries(found[0])
        except (LogEntryError, EvidenceBrokenError):
            return []
        return [] if entries and len(entries) > MAX_BATCH_ENTRIES else entries

    def remove(self, key: str) -> None:
        """Take an announcement back, or off the list because it is done.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        self._backend.remove(key)


def age(key: str) -> float:
    """Seconds since the announcement was made, by the clocks of two machines; a foreign name is as old as can be."""
    stamp = key.removeprefix(QUEUE).partition("-")[0]
    return time.time() - (int(stamp) / 1000 if stamp.isdigit() and len(stamp) == 13 else 0)
