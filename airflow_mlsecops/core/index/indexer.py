"""Brings the index up to what the store holds: from the log what came since, from the store's list all the rest.

What is to be done stands in the index itself (``pending``, ``dirty``), and is done in small transactions: pages see how
far it is, and a process that ends half-way loses nothing.
"""

from __future__ import annotations

import json
import re
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.core.index.database import IndexDatabase
from airflow_mlsecops.core.index.rows import Row, rank_of, row_of
from airflow_mlsecops.core.index.settle import SECONDS_A_DAY, count_days, revoked_by, settle
from airflow_mlsecops.core.log import LogMemory
from airflow_mlsecops.core.predicates import REVOCATION, TEST_RESULT
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.store.spread import spread
from airflow_mlsecops.core.trust import TrustPolicy

_BATCH = 500
_KEY = re.compile(r"bundles/[0-9a-f]{64}/")
_UNSURE = "('evidence-broken', 'evidence-withheld')"
"""What is looked at again whenever the store is listed: it may have been restored."""


@dataclass(frozen=True)
class Refreshed:
    """What one refresh did.

    Attributes:
        added: how many objects were read.
        removed: how many are gone.
        seconds: how long it took.
    """

    added: int
    removed: int
    seconds: float


class Indexer:
    """Refreshes one index. Make one per process."""

    def __init__(self, database: IndexDatabase, store: EvidenceStore, trust: TrustPolicy, memory: LogMemory) -> None:
        """Nothing is opened yet.

        Args:
            database: the index.
            store: what it is derived from.
            trust: who may sign what, and which log must have it.
            memory: of the log that the trust policy names.
        """
        self.database = database
        self._store = store
        self._trust = trust
        self._memory = memory
        self._mutex = threading.Lock()

    def refresh(self, now: datetime, *, sweep: bool = True) -> Refreshed | None:
        """Bring the index up to date.

        1. The log's new entries name what came since.
        2. The store's list names everything, also what isn't in the log, and what is gone.
        3. What is new is read and judged; of every artifact that it touches all statements are put in order again.

        Args:
            now: the time at which statements are judged.
            sweep: whether to take step 2, which costs a listing of the whole store.

        Returns:
            What was done; ``None`` if somebody else is at it.

        Raises:
            StoreUnavailableError: if the store can't be reached; what was done until then is kept.
        """
        if not self._mutex.acquire(blocking=False):
            return None
        try:
            with self.database.turn() as mine:
                if not mine:
                    return None
                begin = time.monotonic()
                self._follow()
                removed = self._sweep() if sweep else 0
                added = self._work(now)
                self._settle()
                seconds = time.monotonic() - begin
                if sweep:
                    self._note(built="1", swept_at=str(now.timestamp()), sweep_seconds=f"{seconds:.3f}")
                self._note(refreshed_at=str(now.timestamp()))
                return Refreshed(added, removed, seconds)
        finally:
            self._mutex.release()

    def rebuild(self, now: datetime) -> Refreshed | None:
        """Throw the index away, and make it anew."""
        self.database.remove()
        return self.refresh(now)

    def _follow(self) -> None:
        rule = self._trust.log
        if rule is None:
            return
        reader = self._store.log_reader(rule.trust)
        try:
            checkpoint = reader.checkpoint()
            if checkpoint is None or not self._memory.grow(reader, checkpoint):
                return
        except MlsecopsError as error:
            if error.transient:
                raise
            return  # a log that can't be read: whoever verifies is told so
        known = int(self._noted("log_size") or 0)
        entries = self._memory.since(known if known <= checkpoint.size else 0)
        with self.database.writing() as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO pending SELECT ?1 WHERE ?1 NOT IN "
                f"(SELECT key FROM statement WHERE refused NOT IN {_UNSURE})",
                ((key,) for entry in entries for key in entry.keys),
            )
            connection.executemany(
                "INSERT OR IGNORE INTO dirty VALUES (?)",
                {(subject,) for entry in entries for subject in entry.subjects},
            )
            _note(connection, log_size=str(checkpoint.size))

    def _sweep(self) -> int:
        with self.database.writing() as connection:
            connection.execute("CREATE TEMP TABLE listed (key TEXT PRIMARY KEY) WITHOUT ROWID")
            keys = (key for key in self._store.backend.scan("bundles/") if _KEY.match(key))
            for batch in _batches(keys):
                connection.executemany("INSERT OR IGNORE INTO listed VALUES (?)", [(key,) for key in batch])
            connection.execute(
                "INSERT OR IGNORE INTO pending SELECT key FROM listed WHERE key NOT IN "
                f"(SELECT key FROM statement WHERE refused NOT IN {_UNSURE})"
            )
            gone = connection.execute(
                "SELECT id, key, subject, slug, digest, refused, at FROM statement "
                "WHERE key NOT IN (SELECT key FROM listed)"
            ).fetchall()
            for row in gone:
                if self._is_logged(row["subject"], row["digest"]):
                    if row["refused"] != "evidence-withheld":
                        _touch(connection, [row])
                        connection.execute(
                            "UPDATE statement SET refused = 'evidence-withheld' WHERE id = ?", (row["id"],)
                        )
                else:
                    _touch(connection, [row])
                    _remove(connection, row["key"])
            return len(gone)

    def _work(self, now: datetime) -> int:
        added = 0
        while True:
            with self.database.reading() as connection:
                keys = [row[0] for row in connection.execute("SELECT key FROM pending LIMIT ?", (_BATCH,))]
            if not keys:
                return added
            found = spread(self._store.at, keys)
            rows = [row_of(item, item.key.split("/")[1], self._trust, now) for item in found]
            with self.database.writing() as connection:
                for row in rows:
                    _remove(connection, row.values["key"])
                    _insert(connection, row)
                _touch(connection, [row.values for row in rows])
                connection.executemany("DELETE FROM pending WHERE key = ?", [(key,) for key in keys])
            added += len(rows)

    def _settle(self) -> None:
        while True:
            with self.database.writing() as connection:
                dirty = [row[0] for row in connection.execute("SELECT subject FROM dirty LIMIT ?", (_BATCH // 5,))]
                if not dirty:
                    count_days(connection, [row[0] for row in connection.execute("SELECT day FROM dirty_day")])
                    connection.execute("DELETE FROM dirty_day")
                    return
                settle(connection, dirty, self._logged)
                connection.executemany("DELETE FROM dirty WHERE subject = ?", [(subject,) for subject in dirty])

    def _logged(self, subject: str) -> frozenset[str] | None:
        rule = self._trust.log
        if rule is None or not rule.required:
            return None
        return frozenset(entry.bundle for _, entry in self._memory.about(subject, len(self._memory)))

    def _is_logged(self, subject: str, digest: str) -> bool:
        return any(entry.bundle == digest for _, entry in self._memory.about(subject, len(self._memory)))

    def _noted(self, name: str) -> str:
        with self.database.reading() as connection:
            row = connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return row[0] if row else ""

    def _note(self, **values: str) -> None:
        with self.database.writing() as connection:
            _note(connection, **values)


def _batches(keys: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(keys)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def _note(connection: sqlite3.Connection, **values: str) -> None:
    connection.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(values.items()))


def _touch(connection: sqlite3.Connection, rows: Iterable[sqlite3.Row | Mapping[str, Any]]) -> None:
    """Mark what has to be put in order again because of these statements."""
    subjects, revocations, days = set(), set(), set()
    for row in rows:
        subjects.add(row["subject"])
        if row["slug"] == REVOCATION.slug:
            revocations.add(row["subject"])
        if row["slug"] == TEST_RESULT.slug and not row["refused"]:
            days.add(int(row["at"] // SECONDS_A_DAY))
    if revocations:
        subjects |= revoked_by(connection, revocations)
    connection.executemany("INSERT OR IGNORE INTO dirty VALUES (?)", [(subject,) for subject in subjects])
    connection.executemany("INSERT OR IGNORE INTO dirty_day VALUES (?)", [(day,) for day in days])


def _remove(connection: sqlite3.Connection, key: str) -> None:
    row = connection.execute("SELECT id FROM statement WHERE key = ?", (key,)).fetchone()
    if row:
        connection.execute("DELETE FROM finding WHERE statement = ?", (row[0],))
        connection.execute("DELETE FROM edge WHERE statement = ?", (row[0],))
        connection.execute("DELETE FROM statement WHERE id = ?", (row[0],))


def _insert(connection: sqlite3.Connection, row: Row) -> None:
    names = list(row.values)
    marks = ", ".join(f":{name}" for name in names)
    cursor = connection.execute(
        f"INSERT INTO statement ({', '.join(names)}) VALUES ({marks})",
        row.values,
    )
    statement = cursor.lastrowid
    values = row.values
    connection.executemany(
        "INSERT INTO finding VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                statement,
                place,
                rank_of(seen.severity),
                values["at"],
                values["dag_id"],
                seen.rule[:200],
                seen.severity[:50],
                seen.message[:500],
                seen.where[:200],
                _json_list(seen.techniques),
            )
            for place, seen in enumerate(row.findings)
        ],
    )
    connection.executemany(
        "INSERT OR IGNORE INTO edge VALUES (?, ?, ?)",
        [(source, values["subject"], statement) for source in row.sources],
    )


def _json_list(items: Iterable[str]) -> str:
    return json.dumps([item[:100] for item in items][:20])
