"""The index behind the lists: one for each store, refreshed beside the requests that look at it.

A request waits for a refresh only as long as nobody minds: a small store is up to date on every page, a large one a few
seconds behind, and while its index is made for the first time pages say how far it is.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import ConfigurationError, MlsecopsError
from airflow_mlsecops.core.index import IndexDatabase, Indexer
from airflow_mlsecops.plugin.source import Source, memory_of

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 0.12
FIRST_PATIENCE_SECONDS = 2.0
SWEEP_SHARE = 30
"""The whole store is listed again after this many times what the last refresh with a listing took."""
FOLLOW_SECONDS = 1.0


class Kept:
    """One index, and when it was last refreshed."""

    def __init__(self, indexer: Indexer) -> None:
        self.indexer = indexer
        self.failed: MlsecopsError | None = None
        self._lock = threading.Lock()
        self._running: threading.Thread | None = None
        self._followed = self._swept = -1e9
        self._cost = 0.0
        self._ready = False

    def refresh(self) -> None:
        """Have it refreshed if it is time to, and wait a little for that.

        Raises:
            MlsecopsError: what the last refresh failed with, as long as there is no index to show instead.
        """
        with self._lock:
            now = time.monotonic()
            if self._running is None or not self._running.is_alive():
                sweep = now - self._swept >= SWEEP_SHARE * self._cost
                if sweep or now - self._followed >= FOLLOW_SECONDS:
                    self._running = threading.Thread(
                        target=self._run, args=(sweep,), name="mlsecops index", daemon=True
                    )
                    self._running.start()
            running = self._running
        if running is not None:
            running.join(PATIENCE_SECONDS if self._ready else FIRST_PATIENCE_SECONDS)
        if self.failed is not None and not self._ready:
            raise self.failed

    def _run(self, sweep: bool) -> None:
        begin = time.monotonic()
        try:
            try:
                done = self.indexer.refresh(utcnow(), sweep=sweep)
            except sqlite3.DatabaseError:
                log.exception("The index of the evidence store can't be read; it is made anew")
                sweep, done = True, self.indexer.rebuild(utcnow())
        except MlsecopsError as error:
            log.error("The index of the evidence store can't be refreshed: %s", error)
            self.failed = error
            return
        except Exception:
            log.exception("The index of the evidence store can't be refreshed")
            self.failed = ConfigurationError("the index can't be refreshed", "see the log")
            return
        self.failed = None
        if done is None:
            return  # another process is at it
        end = time.monotonic()
        self._followed = end
        if sweep:
            self._swept, self._cost = end, end - begin
        self._ready = True


_KEPT: dict[Path, Kept] = {}
_LOCK = threading.Lock()
_MOST = 8


def kept_for(source: Source) -> Kept:
    """The index of a store under its trust policy.

    Raises:
        ConfigurationError: if there is no place for it.
    """
    # A statement is judged once, as it comes into the index: when others begin or cease to count, there is a new one.
    database = IndexDatabase.within(
        index_folder(), str(source.store), f"{source.trust.digest}\n{source.trust.era(utcnow())}"
    )
    with _LOCK:
        kept = _KEPT.pop(database.path, None)
        if kept is None or not database.path.exists():
            kept = Kept(_indexer(database, source))
        elif kept.failed is not None:  # credentials may have changed since: this request has those of today
            kept.indexer = _indexer(database, source)
        _KEPT[database.path] = kept
        while len(_KEPT) > _MOST:
            del _KEPT[next(iter(_KEPT))]
        return kept


def _indexer(database: IndexDatabase, source: Source) -> Indexer:
    return Indexer(database, source.store, source.trust, memory_of(source.store, source.trust))


@contextmanager
def index_of(source: Source) -> Iterator[sqlite3.Connection]:
    """Read the index, as fresh as can be had at once.

    Raises:
        MlsecopsError: if there is none, and none can be made.
    """
    kept = kept_for(source)
    kept.refresh()
    with kept.indexer.database.reading() as connection:
        yield connection


def index_folder() -> Path:
    """Where indexes lie: ``[mlsecops] index_folder``, or ``$AIRFLOW_HOME/mlsecops-index``.

    Where that can't be written, as in a container with a read-only root, each process has a private one of its own.
    """
    from airflow.configuration import conf

    named = str(conf.get("mlsecops", "index_folder", fallback="") or "")
    if named:
        return Path(named).expanduser()
    usual = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "mlsecops-index"
    if os.access(usual if usual.exists() else usual.parent, os.W_OK):
        return usual
    return _private()


def _private() -> Path:
    global _PRIVATE
    with _LOCK:
        if _PRIVATE is None:
            _PRIVATE = tempfile.TemporaryDirectory(prefix="mlsecops-index-")
        return Path(_PRIVATE.name)


_PRIVATE: tempfile.TemporaryDirectory[str] | None = None
