"""The hook: evidence store, signer and trust policy from one Airflow connection of type ``mlsecops``."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import ConfigurationError, SigningError, TrustError
from airflow_mlsecops.core.pinning import Access, Pin, Reuse, pin, pinned_copy, recheck, verified_copy
from airflow_mlsecops.core.predicates import control_run
from airflow_mlsecops.core.report import Report
from airflow_mlsecops.core.signing import KeySigner, Signer, SignerAccess, key_signer_from_uri, signer_from_uri
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import EvidenceStore, open_store
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.hooks.settings import Settings, embedded_settings

if TYPE_CHECKING:
    from airflow_mlsecops.core.log import EvidenceLog, LogTrust
    from airflow_mlsecops.core.store.backend import Backend

DEFAULT_CONN_ID = "mlsecops_default"


class MlsecopsHook(BaseHook):
    """Turns an ``mlsecops`` connection into the core's objects, and does the few steps that every operator shares.

    The connection's extra has ``evidence_root``, ``signer``, ``trust_policy``; for the evidence log ``log_origin`` and
    ``log_signer``; for S3 ``aws_conn_id`` and ``retention``, the former also for AWS's key service; for a Sigstore
    instance ``sigstore_config``. Its password is the passphrase of the signers' keys.
    Without a connection named ``mlsecops_default``, an embedded store and key under ``$AIRFLOW_HOME/mlsecops/`` serve
    for trying out, and say so.
    """

    conn_name_attr = "mlsecops_conn_id"
    default_conn_name = DEFAULT_CONN_ID
    conn_type = "mlsecops"
    hook_name = "ML security evidence"

    def __init__(self, mlsecops_conn_id: str = DEFAULT_CONN_ID) -> None:
        super().__init__()
        self.mlsecops_conn_id = mlsecops_conn_id

    @cached_property
    def settings(self) -> Settings:
        """What the connection says.

        Raises:
            AirflowNotFoundException: if a connection was named that doesn't exist.
            ConfigurationError: if it is incomplete.
        """
        from airflow.sdk.exceptions import AirflowNotFoundException

        try:
            connection = self.get_connection(self.mlsecops_conn_id)
        except AirflowNotFoundException:
            if self.mlsecops_conn_id != DEFAULT_CONN_ID:
                raise
            return embedded_settings()
        return Settings.from_connection(connection)

    @cached_property
    def access(self) -> Access:
        """How artifacts on S3 are reached."""
        from airflow_mlsecops.hooks.aws import s3_client

        aws_conn_id = self.settings.aws_conn_id
        return Access(s3=lambda: s3_client(aws_conn_id))

    @cached_property
    def store(self) -> EvidenceStore:
        """The evidence store, which logs what is written if connection or trust policy name a log; not dialled yet."""
        settings = self.settings
        log = self._open_log if self._is_logged else None
        return open_store(settings.evidence_root, self.access, log=log, retention=settings.retention)

    @cached_property
    def signer(self) -> Signer:
        """The signer.

        Raises:
            SigningError: if there is none, or its key can't be used.
        """
        if not self.settings.signer:
            raise SigningError(
                f"connection {self.mlsecops_conn_id} names no signer", "add one to its extra where tasks have to sign"
            )
        return signer_from_uri(self.settings.signer, access=self.signer_access)

    @property
    def signer_access(self) -> SignerAccess:
        """What a signer's URI doesn't say: secrets, the AWS connection, the Sigstore configuration."""
        from airflow_mlsecops.hooks.aws import kms_client

        settings = self.settings
        return SignerAccess(
            passphrase=settings.passphrase,
            kms=lambda region, endpoint: kms_client(settings.aws_conn_id, region, endpoint),
            sigstore_config=settings.sigstore_config.encode(),
        )

    @cached_property
    def log_signer(self) -> KeySigner:
        """The signer of the evidence log's checkpoints: the signer, unless the connection names another.

        Raises:
            ConfigurationError: if it holds no key of its own.
            SigningError: if there is none, or its key can't be used.
        """
        uri = self.settings.log_signer or self.settings.signer
        if not uri:
            raise SigningError(
                f"connection {self.mlsecops_conn_id} names no signer for the evidence log",
                "add log_signer to its extra where tasks write evidence",
            )
        return key_signer_from_uri(uri, access=self.signer_access)

    @cached_property
    def trust(self) -> TrustPolicy:
        """The trust policy.

        Raises:
            TrustError: if it can't be read.
        """
        return TrustPolicy.from_file(Path(self.settings.trust_policy.removeprefix("file://")))

    def _open_log(self, backend: Backend) -> EvidenceLog:
        """The evidence log for writing; called when the first bundle is put."""
        from airflow_mlsecops.core.log import EvidenceLog

        return EvidenceLog(backend, self._log_trust(), self.log_signer)

    @property
    def _is_logged(self) -> bool:
        """Whether what is written goes into a log. A policy that can't be read is told by whoever needs it."""
        if self.settings.log_origin:
            return True
        with suppress(TrustError):
            return self.trust.log is not None
        return False

    def _log_trust(self) -> LogTrust:
        """The log as the trust policy names it, with all of its keys; without that, as this connection does.

        Raises:
            ConfigurationError: if the two name different logs, or the policy doesn't know the log's signer: what is
                logged so would count for nothing.
        """
        from airflow_mlsecops.core.log import LogTrust

        origin, key = self.settings.log_origin, self.log_signer.public_key
        rule = self.trust.log
        if rule is None:
            return LogTrust(origin, (key,))
        if origin not in ("", rule.trust.origin):
            raise ConfigurationError(
                f"connection {self.mlsecops_conn_id} logs to {origin}, the trust policy asks for {rule.trust.origin}",
                "correct log_origin, or leave it out",
            )
        if key not in rule.trust.keys:
            raise ConfigurationError(
                f"the log's signer, {self.log_signer.name}, is not among the log's keys in the trust policy",
                "add its public key under 'log', or name another log_signer",
            )
        return rule.trust

    def _told_log(self) -> str:
        """What the *Test* button says of the log; raises if it couldn't be written to."""
        if not self._is_logged:
            return ""
        trust = self._log_trust()
        trust.check()
        checkpoint = self.store.log_reader(trust).checkpoint()
        return f"; logging to {checkpoint or f'{trust.origin}, which is empty'}"

    def pin(
        self,
        uri: str,
        *,
        name: str = "",
        kind: Kind | str = Kind.DATASET,
        keep: bool = True,
        reuse: Reuse | None = None,
        remember_local: bool = False,
    ) -> Artifact:
        """Pin what lies at ``uri``; see :func:`airflow_mlsecops.core.pinning.pin`.

        With ``keep`` its manifest becomes a blob of the store; without, nothing is written, so that verifying needs no
        right to write.
        """
        pinned = pin(uri, name=name, kind=Kind(kind), access=self.access, reuse=reuse, remember_local=remember_local)
        for blob in pinned.blobs if keep else ():
            self.store.put_blob(blob)
        return pinned.artifact

    @contextmanager
    def pinned_copy(
        self, uri: str, *, name: str = "", kind: Kind | str = Kind.DATASET, keep: bool = True, within: str = ""
    ) -> Iterator[tuple[Artifact, Path]]:
        """Pin what lies at ``uri`` and make the private copy in one pass over its bytes; the copy is gone afterwards.

        As :meth:`pin`, and then :meth:`verified_copy`.
        """
        with _private_folder(within) as folder:
            pinned, path = pinned_copy(uri, Path(folder), name=name, kind=Kind(kind), access=self.access)
            for blob in pinned.blobs if keep else ():
                self.store.put_blob(blob)
            yield pinned.artifact, path

    @contextmanager
    def verified_copy(self, artifact: Artifact, within: str = "") -> Iterator[Path]:
        """A private copy of the pinned bytes, gone afterwards; in a folder of its own within another, if one is named.

        Raises:
            ArtifactChangedError: if they are no longer the pinned ones.
        """
        with _private_folder(within) as folder:
            yield verified_copy(artifact, Path(folder), access=self.access, blob=self.store.get_blob)

    def recheck(self, artifact: Artifact, reuse: Reuse | None = None) -> Pin:
        """Hash the pinned bytes again where they lie; the pin as it is found now.

        Raises:
            ArtifactChangedError: if they are no longer the pinned ones.
        """
        return recheck(artifact, access=self.access, blob=self.store.get_blob, reuse=reuse)

    def reuse(self, digest: str, *, unsafe_local: bool = False) -> Reuse:
        """An earlier pin whose digests may be taken over; see :func:`airflow_mlsecops.core.reuse.verified_reuse`.

        Raises:
            ReuseRefusedError: if nobody who is trusted signed it.
        """
        from airflow_mlsecops.core.reuse import verified_reuse

        return verified_reuse(digest, self.store, self.trust, utcnow(), unsafe_local=unsafe_local)

    def record(self, report: Report, run: Mapping[str, Any]) -> Sha256:
        """Turn a report into evidence: blobs first, then the signed statement that names them; return its digest."""
        blobs = {name: self.store.put_blob(data) for name, data in report.blobs.items()}
        full = self.store.put_blob(canonical_json(report.to_dict()))
        return self.put(control_run.build(report, finished_at=utcnow(), run=run, report_blob=full, blobs=blobs))

    def put(self, statement: Statement) -> Sha256:
        """Sign a statement and put it into the store; return the bundle's digest."""
        return self.store.put(self.signer.sign(statement))

    def test_connection(self) -> tuple[bool, str]:
        """For the *Test* button: is the store reachable, the trust policy readable, the signer usable and trusted?"""
        try:
            subjects, trusted = len(self.store.subjects()), len(self.trust.signers)
            told = f"{subjects} artifacts in {self.store}; {trusted} trusted signers"
            if not self.settings.signer:
                return True, f"{told}; verifying only, because there is no signer"
            signer, logging_to = self.signer, self._told_log()
            if not isinstance(signer, KeySigner):
                return True, f"{told}; signing as {signer.name}{logging_to}"
            trusted_as = self.trust.signer(signer.public_key.hint)
        except Exception as error:
            return False, str(error)
        roles = ", ".join(sorted(trusted_as.roles))
        return True, f"{told}; signing as {trusted_as.name} with roles {roles}{logging_to}"


def _private_folder(within: str) -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="mlsecops-", dir=within or None, ignore_cleanup_errors=True)
