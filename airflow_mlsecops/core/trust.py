"""The trust policy: who may sign what, and when.

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

Roles: ``control`` (any control's verdict), ``control:<name>`` (that control's only), ``provenance``, ``sign``,
``approve``, ``gate``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.config_file import brief, is_version, load_mapping, only_keys
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import StatementError, TrustError
from airflow_mlsecops.core.predicates import TEST_RESULT, predicate_by_uri
from airflow_mlsecops.core.predicates.control_run import parse as parse_control_run
from airflow_mlsecops.core.predicates.types import ROLES
from airflow_mlsecops.core.signing.keys import PublicKey
from airflow_mlsecops.core.statement import Statement


@dataclass(frozen=True)
class TrustedSigner:
    """One signer that the policy knows."""

    name: str
    key: PublicKey
    roles: frozenset[str]
    not_before: datetime | None = None
    not_after: datetime | None = None

    def check_valid(self, at: datetime) -> None:
        """Check the validity period.

        Raises:
            TrustError: if ``at`` lies outside it.
        """
        if self.not_before and at < self.not_before:
            raise TrustError(f"signer {self.name} is valid from {to_text(self.not_before)} on", "not yet trusted")
        if self.not_after and at > self.not_after:
            raise TrustError(
                f"signer {self.name} was valid until {to_text(self.not_after)}", "sign again with a valid key"
            )

    def check_role(self, statement: Statement) -> None:
        """Check that this signer may make this kind of statement.

        Raises:
            TrustError: if it has none of the roles that allow it.
        """
        kind = predicate_by_uri(statement.predicate_type)
        allowed = {kind.role}
        if kind is TEST_RESULT:
            allowed.add(f"{kind.role}:{parse_control_run(statement).control}")
        if not allowed & self.roles:
            raise TrustError(
                f"signer {self.name} has roles {sorted(self.roles)}, none of {sorted(allowed)}",
                "give the role in the trust policy, or sign with the key that has it",
            )


@dataclass(frozen=True)
class TrustPolicy:
    """All trusted signers, by key hint, and the digest of the file they came from."""

    signers: Mapping[str, TrustedSigner]
    digest: Sha256

    @classmethod
    def from_bytes(cls, data: bytes) -> TrustPolicy:
        """Read a trust policy.

        Raises:
            TrustError: if it is malformed, knows nobody, or names a key or signer twice.
        """
        value = load_mapping(data, "trust policy", TrustError)
        only_keys(value, {"version", "signers"}, "trust policy", TrustError)
        if not is_version(value.get("version"), 1):
            raise TrustError(f"trust policy of version {brief(value.get('version'))}", "this release reads version 1")
        items = value.get("signers")
        if not isinstance(items, list) or not items:
            raise TrustError("the trust policy knows no signer", "add at least one under 'signers'")
        signers: dict[str, TrustedSigner] = {}
        for item in items:
            signer = _signer(item)
            if signer.key.hint in signers or signer.name in {known.name for known in signers.values()}:
                raise TrustError(f"signer {signer.name}: its name or key stands twice", "merge the two entries")
            signers[signer.key.hint] = signer
        return cls(signers, sha256_bytes(data))

    def signer(self, hint: str) -> TrustedSigner:
        """The signer with this key hint.

        Raises:
            TrustError: if the policy doesn't know the key.
        """
        if hint not in self.signers:
            raise TrustError(f"key {hint[:16]}… is not in the trust policy", "whoever signed it is not trusted here")
        return self.signers[hint]


def _signer(item: Any) -> TrustedSigner:
    if not isinstance(item, dict):
        raise TrustError(f"expected a signer with name, public_key and roles, got {brief(item)}")
    only_keys(item, {"name", "public_key", "roles", "not_before", "not_after"}, "signer", TrustError)
    name, pem, roles = item.get("name"), item.get("public_key"), item.get("roles")
    if not isinstance(name, str) or not name or not isinstance(pem, str):
        raise TrustError("a signer needs a name and a public_key", "see `mlsecops keygen --help`")
    if not isinstance(roles, list) or not roles or not all(isinstance(role, str) for role in roles):
        raise TrustError(f"signer {name}: expected a list of roles", f"known: {', '.join(sorted(ROLES))}")
    for role in roles:
        if role not in ROLES and not (role.startswith("control:") and role != "control:"):
            raise TrustError(f"signer {name}: unknown role {role!r}", f"known: {', '.join(sorted(ROLES))}")
    return TrustedSigner(
        name, PublicKey.from_pem(pem), frozenset(roles), _moment(item, "not_before"), _moment(item, "not_after")
    )


def _moment(item: Mapping[str, Any], key: str) -> datetime | None:
    if key not in item:
        return None
    value = item[key]  # an empty value is refused below: it may have been meant as a limit
    try:
        return from_text(value.isoformat() if isinstance(value, datetime) else value)
    except StatementError as error:
        raise TrustError(f"{key}: {error.message}", "write it as 2026-01-31T12:00:00Z") from error
