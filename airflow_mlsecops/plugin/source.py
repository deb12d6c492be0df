"""The evidence store as the api-server reads it: with the hook's connection, and without any key."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.evidence import EvidenceSet
from airflow_mlsecops.core.evidence_reader import EvidenceReader
from airflow_mlsecops.core.log import LogMemory, LogReader, LogTrust, RememberingLogReader
from airflow_mlsecops.core.signing import Signer
from airflow_mlsecops.core.store import EvidenceStore, Found
from airflow_mlsecops.core.telling import dag_of
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook
from airflow_mlsecops.hooks.settings import Settings, embedded_settings
from airflow_mlsecops.plugin.problems import nothing_yet


class RememberingStore(EvidenceStore):
    """The store, for a process that verifies all day: what it verified of the log it doesn't read again."""

    def log_reader(self, trust: LogTrust) -> LogReader:
        """See :meth:`EvidenceStore.log_reader`."""
        return RememberingLogReader(super().log_reader(trust), _memory(str(self), trust))


_MEMORIES: dict[tuple[str, LogTrust], LogMemory] = {}
_LOCK = threading.Lock()
_MOST = 4


def memory_of(store: EvidenceStore, trust: TrustPolicy) -> LogMemory:
    """What this process remembers of the log that a trust policy names; a new memory if it names none."""
    return _memory(str(store), trust.log.trust) if trust.log is not None else LogMemory()


def _memory(store: str, trust: LogTrust) -> LogMemory:
    with _LOCK:
        memory = _MEMORIES.pop((store, trust), None)
        if memory is None:  # one that is still empty is false, and somebody holds it already
            memory = LogMemory()
        _MEMORIES[store, trust] = memory
        while len(_MEMORIES) > _MOST:
            del _MEMORIES[next(iter(_MEMORIES))]
        return memory


class ReadOnlyHook(MlsecopsHook):
    """The hook, for those who only look: it makes nothing and signs nothing.

    In the api-server there is no supervisor to ask for connections; Airflow then looks through the secrets backends of
    a server process: the configured one, the environment, the metadata database.
    """

    @cached_property
    def connection(self) -> Any | None:
        """The connection, or ``None`` if the embedded default stands in for it."""
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            return self.get_connection(self.mlsecops_conn_id)
        except AirflowNotFoundException:
            return None

    @cached_property
    def settings(self) -> Settings:
        """See :attr:`MlsecopsHook.settings`; what isn't there is not made.

        Raises:
            Problem: if there is neither a connection nor an embedded store.
            ConfigurationError: if the connection is incomplete.
        """
        if self.connection is not None:
            return Settings.from_connection(self.connection)
        settings = embedded_settings(make=False)
        if not Path(settings.trust_policy).exists():
            raise nothing_yet()
        return settings

    @cached_property
    def signer(self) -> Signer:
        """There is none.

        Raises:
            ConfigurationError: always.
        """
        raise ConfigurationError("pages sign nothing", "sign in a task")


@dataclass(frozen=True)
class Reading:
    """What was found under one subject: judged, and which Dag each bundle says it is from.

    Attributes:
        evidence: what counts, what doesn't, what is broken.
        bundles: bundle digest -> bundle, whether or not it counts.
    """

    evidence: EvidenceSet
    bundles: dict[str, Bundle]

    @cached_property
    def dags(self) -> dict[str, str]:
        """Bundle digest -> Dag id. Of a refused bundle only a claim: good enough to hide it, for nothing else."""
        return {digest: dag_of(bundle.statement) for digest, bundle in self.bundles.items()}

    def dag_for(self, digest: str, readable: frozenset[str]) -> str:
        """The Dag as whose reader somebody may see a bundle; empty if they may not.

        What counts and names no Dag, as a waiver or a revocation from a command line, goes with its subject: whoever
        may see anything else that counts about that may see it.
        """
        own = self.dags.get(digest, "")
        if own or digest not in self._counting:
            return own if own in readable else ""
        return next((dag for each in self._counting if (dag := self.dags[each]) in readable), "")

    @cached_property
    def _counting(self) -> dict[str, None]:
        return dict.fromkeys(item.digest for item in self.evidence.verified)


class Source:
    """Store and trust policy, opened for one request."""

    def __init__(self, store: EvidenceStore, trust: TrustPolicy, *, embedded: bool, trust_path: str = "") -> None:
        self.store = store
        self.trust = trust
        self.embedded = embedded
        self.trust_path = trust_path

    @classmethod
    def open(cls) -> Source:
        """Through the default connection.

        Raises:
            Problem: if there is nothing yet.
            MlsecopsError: if connection or trust policy can't be used.
        """
        hook = ReadOnlyHook()
        return cls(
            RememberingStore(hook.store.backend),
            hook.trust,
            embedded=hook.connection is None,
            trust_path=hook.settings.trust_policy.removeprefix("file://"),
        )

    def read(self, subject: str, now: datetime) -> Reading:
        """Read and judge all that lies under a subject.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        return self.read_all([subject], now)[subject]

    def read_all(self, subjects: Iterable[str], now: datetime) -> Mapping[str, Reading]:
        """Read and judge all that lies under each of these subjects, against one state of the log.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        reader = EvidenceReader.open(self.store, self.trust, now)
        # After the reader took the log's newest state: what that names was there then.
        found = self.store.find_all(subjects)
        judged = reader.complete({subject: reader.judge(subject, items) for subject, items in found.items()})
        return {
            subject: Reading(
                judged[subject],
                {item.digest: item.bundle for item in items if item.bundle is not None},
            )
            for subject, items in found.items()
        }

    def bundle(self, digest: str, keys: Iterable[str]) -> Found:
        """One bundle, wherever it lies.

        Args:
            digest: of the bundle.
            keys: where an index says that it lies; if it doesn't, all of the store is looked through.

        Raises:
            EvidenceNotFoundError: if there is none.
        """
        for key in keys:
            found = self.store.at(key)
            if found.bundle is not None and found.digest == digest:
                return found
        return self.store.get(digest)
