"""One signer of a trust policy: a key, or an identity at a named Sigstore instance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.config_file import brief, only_keys
from airflow_mlsecops.core.errors import StatementError, TrustError
from airflow_mlsecops.core.predicates import TEST_RESULT, predicate_by_uri
from airflow_mlsecops.core.predicates.control_run import parse as parse_control_run
from airflow_mlsecops.core.predicates.revocation import identity_digest
from airflow_mlsecops.core.predicates.types import ROLES
from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity
from airflow_mlsecops.core.signing.keys import PublicKey
from airflow_mlsecops.core.statement import Statement

_KEYS = {"name", "public_key", "identity", "issuer", "sigstore", "roles", "not_before", "not_after", "person"}


@dataclass(frozen=True)
class TrustedSigner:
    """One signer that the policy knows, by its key or by its identity.

    Attributes:
        name: what policies and reports call it.
        key: its key; ``None`` if it signs keyless.
        roles: what it may sign.
        not_before, not_after: when what it signed counts.
        identity: whom its certificates name; ``None`` if it has a key.
        person: whose own key or identity it is; what it signs as an approval is that person's word, and whose artifact
            it signs, that person can't approve.
        sigstore: the instance that vouches for the identity or, with a key, for the time.
    """

    name: str
    key: PublicKey | None
    roles: frozenset[str]
    not_before: datetime | None = None
    not_after: datetime | None = None
    identity: KeylessIdentity | None = None
    sigstore: str = ""
    person: str = ""

    @property
    def signed_with(self) -> str:
        """What stands for it in the store: its key's hint, or the digest of its identity."""
        if self.key is not None:
            return self.key.hint
        return identity_digest(self.identity.identity, self.identity.issuer) if self.identity is not None else ""

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
        allowed = roles_for(statement)
        if not allowed & self.roles:
            raise TrustError(
                f"signer {self.name} has roles {sorted(self.roles)}, none of {sorted(allowed)}",
                "give the role in the trust policy, or sign with the key that has it",
            )


def roles_for(statement: Statement) -> frozenset[str]:
    """The roles of which one is needed for this statement.

    Raises:
        StatementError: if its predicate isn't known or, of a control's result, is malformed.
    """
    kind = predicate_by_uri(statement.predicate_type)
    if kind is TEST_RESULT:
        return frozenset({kind.role, f"{kind.role}:{parse_control_run(statement).control}"})
    return frozenset({kind.role})


def is_role(role: str) -> bool:
    """Whether a trust policy can give this role."""
    return role in ROLES or (role.startswith("control:") and role != "control:")


def read_signer(item: Any) -> TrustedSigner:
    """Read one entry under ``signers:``.

    Raises:
        TrustError: if it is malformed.
    """
    if not isinstance(item, dict):
        raise TrustError(f"expected a signer with name, public_key and roles, got {brief(item)}")
    only_keys(item, _KEYS, "signer", TrustError)
    name, roles = item.get("name"), item.get("roles")
    if not isinstance(name, str) or not name or ("public_key" in item) == ("identity" in item):
        raise TrustError(
            "a signer needs a name, and a public_key or an identity; not both", "see `mlsecops keygen --help`"
        )
    if not isinstance(roles, list) or not roles or not all(isinstance(role, str) for role in roles):
        raise TrustError(f"signer {name}: expected a list of roles", f"known: {', '.join(sorted(ROLES))}")
    for role in roles:
        if not is_role(role):
            raise TrustError(f"signer {name}: unknown role {role!r}", f"known: {', '.join(sorted(ROLES))}")
    key, identity = _key(item, name), read_identity(item, f"signer {name}")
    sigstore = item.get("sigstore", "")
    if not isinstance(sigstore, str) or ("sigstore" in item and not sigstore) or (identity and not sigstore):
        raise TrustError(
            f"signer {name}: an identity needs the name of a Sigstore instance", "there is no default instance"
        )
    not_before, not_after = read_moment(item, "not_before"), read_moment(item, "not_after")
    return TrustedSigner(
        name, key, frozenset(roles), not_before, not_after, identity, sigstore, _person(item, name, frozenset(roles))
    )


def _person(item: Mapping[str, Any], name: str, roles: frozenset[str]) -> str:
    """Whose key it is. One that gates or controls sign with is in the reach of a pipeline, and so nobody's own.

    Somebody who signs artifacts with a key of their own does so where artifacts are made: such a key can't approve.
    """
    person = item.get("person", "")
    if not isinstance(person, str) or ("person" in item and not person.strip()):
        raise TrustError(f"signer {name}: person {brief(person)}", "give the id of the person whose own key it is")
    shared = sorted(roles - {"approve", "revoke", "waiver", "sign"})
    if person and {"approve", "sign"} <= roles:
        raise TrustError(f"signer {name}: one key that signs artifacts and approves them", "use a key for each")
    if person and shared:
        raise TrustError(f"signer {name}: a person's own key with the roles {shared}", "those belong to tasks' keys")
    return person


def _key(item: Mapping[str, Any], name: str) -> PublicKey | None:
    if "public_key" not in item:
        return None
    if not isinstance(item["public_key"], str):
        raise TrustError(f"signer {name}: public_key is no text", "see `mlsecops keygen --help`")
    return PublicKey.from_pem(item["public_key"])


def read_identity(item: Mapping[str, Any], what: str) -> KeylessIdentity | None:
    """The identity and issuer of an entry, if it names them.

    Raises:
        TrustError: if it names one without the other, or not as text.
    """
    if "identity" not in item and "issuer" not in item:
        return None
    identity, issuer = item.get("identity"), item.get("issuer")
    if not isinstance(identity, str) or not isinstance(issuer, str) or not identity or not issuer:
        raise TrustError(f"{what}: an identity and its issuer come together", "name both, exactly")
    return KeylessIdentity(identity, issuer)


def read_moment(item: Mapping[str, Any], key: str) -> datetime | None:
    """A time of an entry, if it has one.

    Raises:
        TrustError: if it is none.
    """
    if key not in item:
        return None
    value = item[key]  # an empty value is refused below: it may have been meant as a limit
    try:
        return from_text(value.isoformat() if isinstance(value, datetime) else value)
    except StatementError as error:
        raise TrustError(f"{key}: {error.message}", "write it as 2026-01-31T12:00:00Z") from error
