"""The evidence store as the api-server reads it: with the hook's connection, and without any key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.evidence import EvidenceSet
from airflow_mlsecops.core.evidence_reader import EvidenceReader
from airflow_mlsecops.core.signing import Signer
from airflow_mlsecops.core.store import EvidenceStore, Found
from airflow_mlsecops.core.telling import dag_of
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook
from airflow_mlsecops.hooks.settings import Settings, embedded_settings
from airflow_mlsecops.plugin.problems import nothing_yet


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
        dags: bundle digest -> Dag id. Of a refused bundle only a claim: good enough to hide it, for nothing else.
    """

    evidence: EvidenceSet
    dags: dict[str, str]


class Source:
    """Store and trust policy, opened for one request."""

    def __init__(self, store: EvidenceStore, trust: TrustPolicy, *, embedded: bool) -> None:
        self.store = store
        self.trust = trust
        self.embedded = embedded

    @classmethod
    def open(cls) -> Source:
        """Through the default connection.

        Raises:
            Problem: if there is nothing yet.
            MlsecopsError: if connection or trust policy can't be used.
        """
        hook = ReadOnlyHook()
        return cls(hook.store, hook.trust, embedded=hook.connection is None)

    def read(self, subject: str, now: datetime) -> Reading:
        """Read and judge all that lies under a subject.

        Raises:
            StoreUnavailableError: if the store can't be reached.
        """
        reader = EvidenceReader.open(self.store, self.trust, now)
        found = self.store.find(subject)  # after the reader took the log's newest state: what that names was there then
        dags = {item.digest: dag_of(item.bundle.statement) for item in found if item.bundle is not None}
        evidence = reader.complete({subject: reader.judge(subject, found)})[subject]
        return Reading(evidence, dags)

    def bundle(self, digest: str) -> Found:
        """One bundle, wherever it lies. See :meth:`EvidenceStore.get`."""
        return self.store.get(digest)
