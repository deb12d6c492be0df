"""The trust policy: who may sign what, and when; what is revoked; how many signers it takes; which log must have it.

A file (YAML or JSON) that operators of the deployment write and keep out of the pipeline's reach::

    version: 1
    signers:
      - name: pipeline
        public_key: |
          -----BEGIN PUBLIC KEY-----
          …
        roles: [control, provenance, sign]
        not_before: 2026-01-01T00:00:00Z
        not_after: 2027-01-01T00:00:00Z
      - name: gate
        identity: https://kubernetes.io/namespaces/airflow/serviceaccounts/gate
        issuer: https://issuer.example
        sigstore: internal
        roles: [gate]
    sigstore:
      - name: internal
        trusted_root: trusted_root.json
        sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    revoked:
      - signer: pipeline
        cause: retired
        since: 2026-06-01T00:00:00Z
    thresholds: {gate: 1}
    people:
      - id: alice
        roles: [ml-lead]
        accounts: {fab: "3"}
    release_policies: [2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae]

Roles: ``control`` (any control's verdict), ``control:<name>`` (that control's only), ``provenance``, ``sign``,
``approve``, ``gate``, ``revoke``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_mlsecops.core.config_file import MAX_BYTES, brief, is_version, load_mapping, only_keys
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import TrustError
from airflow_mlsecops.core.predicates.revocation import voids
from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.trust_people import Person, read_people
from airflow_mlsecops.core.trust_sections import (
    LogRule,
    ReadFile,
    RevokedSigner,
    files_beside,
    read_log,
    read_release_policies,
    read_revoked,
    read_sigstore,
    read_thresholds,
)
from airflow_mlsecops.core.trust_signer import TrustedSigner, read_signer, roles_for

if TYPE_CHECKING:
    from airflow_mlsecops.core.signing.keyless_root import SigstoreRoot

__all__ = ["TrustPolicy", "TrustedSigner"]


@dataclass(frozen=True)
class TrustPolicy:
    """All trusted signers, what limits them, and the digest of the file it came from.

    Attributes:
        signers: by key hint, or by the digest of the identity.
        digest: SHA-256 of the file; it covers trust roots that lie beside it, which the file pins.
        sigstore: the trust roots of the named instances.
        revoked: signers that are withdrawn.
        thresholds: role -> how many different signers have to say the same.
        log: the evidence log that has to have everything; ``None`` if none is asked for.
        people: who can be asked by role, and what Airflow calls them.
        release_policies: digests of the only release policies that count; empty for any.
    """

    signers: Mapping[str, TrustedSigner]
    digest: Sha256
    sigstore: Mapping[str, SigstoreRoot] = field(default_factory=dict)
    revoked: tuple[RevokedSigner, ...] = ()
    thresholds: Mapping[str, int] = field(default_factory=dict)
    log: LogRule | None = None
    people: tuple[Person, ...] = ()
    release_policies: frozenset[Sha256] = frozenset()

    @classmethod
    def from_bytes(cls, data: bytes, read: ReadFile | None = None) -> TrustPolicy:
        """Read a trust policy.

        Args:
            data: the file's bytes.
            read: reads the files that it names by relative paths; without it, it may name none.

        Raises:
            TrustError: if it is malformed, knows nobody, names a key, an identity or a signer twice, or contradicts
                itself.
        """
        value = load_mapping(data, "trust policy", TrustError)
        keys = {"version", "signers", "sigstore", "revoked", "thresholds", "log", "people", "release_policies"}
        only_keys(value, keys, "trust policy", TrustError)
        if not is_version(value.get("version"), 1):
            raise TrustError(f"trust policy of version {brief(value.get('version'))}", "this release reads version 1")
        items = value.get("signers")
        if not isinstance(items, list) or not items:
            raise TrustError("the trust policy knows no signer", "add at least one under 'signers'")
        signers: dict[str, TrustedSigner] = {}
        for item in items:
            signer = read_signer(item)
            if signer.signed_with in signers or signer.name in {known.name for known in signers.values()}:
                raise TrustError(f"signer {signer.name}: its name or key stands twice", "merge the two entries")
            signers[signer.signed_with] = signer
        sigstore = read_sigstore(value["sigstore"], read) if "sigstore" in value else {}
        for signer in signers.values():
            if signer.sigstore and signer.sigstore not in sigstore:
                raise TrustError(
                    f"signer {signer.name}: no Sigstore instance {brief(signer.sigstore)}", "add it under 'sigstore'"
                )
        return cls(
            signers,
            sha256_bytes(data),
            sigstore,
            read_revoked(value["revoked"], signers) if "revoked" in value else (),
            read_thresholds(value["thresholds"], signers) if "thresholds" in value else {},
            read_log(value["log"]) if "log" in value else None,
            read_people(value["people"]) if "people" in value else (),
            read_release_policies(value["release_policies"]) if "release_policies" in value else frozenset(),
        )

    @classmethod
    def from_file(cls, path: Path) -> TrustPolicy:
        """Read a trust policy, and the trust roots beside it that it names.

        Raises:
            TrustError: if it can't be read; see :meth:`from_bytes`.
        """
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise TrustError(f"the trust policy {path} can't be read: {why}", "check the path") from error
        return cls.from_bytes(data, files_beside(path))

    def signer(self, hint: str) -> TrustedSigner:
        """The signer with this key hint.

        Raises:
            TrustError: if the policy doesn't know the key.
        """
        if hint not in self.signers:
            raise TrustError(f"key {hint[:16]}… is not in the trust policy", "whoever signed it is not trusted here")
        return self.signers[hint]

    def identities(self, sigstore: str) -> dict[KeylessIdentity, TrustedSigner]:
        """Who signs keyless at this instance."""
        found = [signer for signer in self.signers.values() if signer.sigstore == sigstore]
        return {signer.identity: signer for signer in found if signer.identity is not None}

    def threshold(self, statement: Statement) -> int:
        """How many different signers have to say what this statement says.

        Raises:
            StatementError: if its predicate isn't known or, of a control's result, is malformed.
        """
        return max(self.thresholds.get(role, 1) for role in roles_for(statement))

    def why_revoked(self, signer: TrustedSigner, trusted_time: datetime | None, now: datetime) -> str:
        """Why the policy no longer lets a signature of this signer count; empty if it does."""
        for rule in self.revoked:
            if rule.signed_with == signer.signed_with and voids(rule.cause, rule.since, trusted_time, now):
                return f"signer {signer.name} is {rule}"
        return ""

    def era(self, now: datetime) -> int:
        """How many of the moments at which somebody's statements begin or cease to count are over."""
        moments = [at for signer in self.signers.values() for at in (signer.not_before, signer.not_after)]
        moments += [rule.since for rule in self.revoked]
        return sum(at is not None and at < now for at in moments)
