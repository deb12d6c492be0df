"""The sections of a trust policy beside its signers: Sigstore instances, revoked signers, thresholds, log, policies.

Each reader refuses whatever it doesn't know: a rule that is read as something else holds nobody back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.config_file import MAX_BYTES, brief, only_keys
from airflow_mlsecops.core.digest import Sha256, parse_sha256, sha256_bytes
from airflow_mlsecops.core.errors import StatementError, TrustError
from airflow_mlsecops.core.predicates import ALARM, PROMOTION, REVOCATION
from airflow_mlsecops.core.predicates.revocation import Cause, identity_digest
from airflow_mlsecops.core.trust_signer import TrustedSigner, is_role, read_identity, read_moment

if TYPE_CHECKING:
    from airflow_mlsecops.core.log import LogTrust
    from airflow_mlsecops.core.signing.keyless_root import SigstoreRoot

ReadFile = Callable[[str], bytes]
"""Reads a file that the policy names by a relative path."""


@dataclass(frozen=True)
class RevokedSigner:
    """What the policy says of a key or an identity that is no longer, or never was, to be trusted.

    Attributes:
        signed_with: the key's hint, or the identity's digest.
        cause: why; it decides what still counts.
        since: from when on.
        reason: why, in a person's words; may be empty.
    """

    signed_with: str
    cause: Cause
    since: datetime | None
    reason: str

    def __str__(self) -> str:
        since = f" since {to_text(self.since)}" if self.since else ""
        return f"revoked by the trust policy{since}, {self.cause}{f': {self.reason}' if self.reason else ''}"


@dataclass(frozen=True)
class LogRule:
    """The evidence log that the policy asks for.

    Attributes:
        trust: which log, and whose signature under its checkpoints counts.
        required: whether what isn't logged doesn't count. What is logged and missing is a NO in any case.
    """

    trust: LogTrust
    required: bool


def files_beside(path: Path) -> ReadFile:
    """Reads files that a policy names relative to itself."""

    def read(name: str) -> bytes:
        try:
            with (path.parent / name).open("rb") as stream:
                return stream.read(MAX_BYTES + 1)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise TrustError(f"{name}, which the trust policy names, can't be read: {why}", "check the path") from error

    return read


def read_sigstore(value: Any, read: ReadFile | None) -> dict[str, SigstoreRoot]:
    """The section ``sigstore:``; name -> trust root.

    A trust root is JSON as text, or a relative path to a file whose SHA-256 the policy pins, so that the policy's own
    digest covers it.

    Raises:
        TrustError: if it is malformed, a file isn't the pinned one, or a name stands twice.
    """
    from airflow_mlsecops.core.signing.keyless_root import SigstoreRoot

    roots: dict[str, SigstoreRoot] = {}
    for item in _items(value, "sigstore"):
        only_keys(item, {"name", "trusted_root", "sha256"}, "a Sigstore instance", TrustError)
        name, root = item.get("name"), item.get("trusted_root")
        if not isinstance(name, str) or not name or not isinstance(root, str) or not root.strip():
            raise TrustError("a Sigstore instance needs a name and a trusted_root", "a relative path, or JSON as text")
        if name in roots:
            raise TrustError(f"Sigstore instance {brief(name)} stands twice", "merge the two entries")
        inline = root.lstrip().startswith("{")
        if inline == ("sha256" in item):
            raise TrustError(
                f"Sigstore instance {name}: a file is pinned by its sha256, and text needs none", "see the reference"
            )
        roots[name] = SigstoreRoot.from_bytes(root.encode() if inline else _pinned(root, item["sha256"], name, read))
    return roots


def _pinned(path: str, sha256: Any, name: str, read: ReadFile | None) -> bytes:
    parts = PurePosixPath(path).parts
    if path.startswith(("/", "~")) or "\\" in path or "\x00" in path or ":" in path or ".." in parts:
        raise TrustError(f"Sigstore instance {name}: {brief(path)} is no relative path", "put it beside the policy")
    if read is None:
        raise TrustError(f"Sigstore instance {name}: there is no folder to read {path} from", "write the root inline")
    try:
        wanted = parse_sha256(sha256)
    except StatementError as error:
        raise TrustError(f"Sigstore instance {name}: {error.message}", "write what sha256sum prints") from error
    data = read(path)
    if sha256_bytes(data) != wanted:
        raise TrustError(
            f"Sigstore instance {name}: {path} has sha256 {sha256_bytes(data)}, expected {wanted}",
            "somebody changed the trust root: find out who, or pin the new one",
        )
    return data


def read_revoked(value: Any, signers: Mapping[str, TrustedSigner]) -> tuple[RevokedSigner, ...]:
    """The section ``revoked:``.

    Raises:
        TrustError: if it is malformed, or names a signer that the policy doesn't have.
    """
    by_name = {signer.name: signer.signed_with for signer in signers.values()}
    rules = []
    for item in _items(value, "revoked"):
        only_keys(item, {"signer", "key", "identity", "issuer", "cause", "since", "reason"}, "revoked", TrustError)
        cause, reason, since = item.get("cause"), item.get("reason", ""), read_moment(item, "since")
        if cause not in tuple(Cause) or not isinstance(reason, str):
            raise TrustError(f"revoked: cause {brief(cause)}", f"known: {', '.join(Cause)}")
        if since is None and cause in (Cause.SUPERSEDED, Cause.RETIRED):
            raise TrustError(f"revoked: {cause} needs 'since'", "write it as 2026-01-31T12:00:00Z")
        rules.append(RevokedSigner(_whom(item, by_name), Cause(cause), since, reason))
    return tuple(rules)


def _whom(item: dict[str, Any], by_name: Mapping[str, str]) -> str:
    identity = read_identity(item, "revoked")
    if sum(("signer" in item, "key" in item, identity is not None)) != 1:
        raise TrustError("revoked: name exactly one of signer, key, or identity with issuer")
    if identity is not None:
        return identity_digest(identity.identity, identity.issuer)
    if "signer" in item:
        name = item["signer"]
        if not isinstance(name, str) or name not in by_name:
            raise TrustError(f"revoked: no signer is called {brief(name)}", "give its key's hint, if it has no entry")
        return by_name[name]
    try:
        return parse_sha256(item["key"])
    except StatementError as error:
        raise TrustError(f"revoked: key: {error.message}", "give the key's hint") from error


_ALONE = frozenset({REVOCATION.role, PROMOTION.role, ALARM.role})
"""Roles whose statements count one by one."""


def read_thresholds(value: Any, signers: Mapping[str, TrustedSigner]) -> dict[str, int]:
    """The section ``thresholds:``; role -> how many different signers have to say the same.

    Raises:
        TrustError: if it is malformed, or can never be met.
    """
    if not isinstance(value, dict) or not value:
        raise TrustError(f"thresholds: expected a mapping of roles to numbers, got {brief(value)}")
    for role, count in value.items():
        if not isinstance(role, str) or not is_role(role) or role in _ALONE:
            raise TrustError(
                f"thresholds: {brief(role)} takes none", "one such statement counts at once; see the roles"
            )
        if type(count) is not int or count < 1:
            raise TrustError(f"thresholds: {role}: {brief(count)}", "give a whole number from 1 on")
        able = [signer for signer in signers.values() if {role, role.partition(":")[0]} & signer.roles]
        if count > len(able):
            raise TrustError(
                f"thresholds: {role} needs {count} signers, and {len(able)} have it", "nothing would count"
            )
    return dict(value)


def read_log(value: Any) -> LogRule:
    """The section ``log:``.

    Raises:
        TrustError: if it is malformed.
    """
    from airflow_mlsecops.core.log import LogTrust
    from airflow_mlsecops.core.log.errors import LogSignatureError
    from airflow_mlsecops.core.signing.keys import PublicKey

    if not isinstance(value, dict):
        raise TrustError(f"log: expected origin and keys, got {brief(value)}")
    only_keys(value, {"origin", "keys", "required"}, "log", TrustError)
    origin, keys, required = value.get("origin"), value.get("keys"), value.get("required", True)
    if not isinstance(origin, str) or not isinstance(required, bool):
        raise TrustError("log: 'origin' is the log's name, 'required' is true or false")
    if not isinstance(keys, list) or not keys or not all(isinstance(pem, str) for pem in keys):
        raise TrustError("log: expected a list of public keys", "the one that signs its checkpoints, as PEM")
    trust = LogTrust(origin, tuple(PublicKey.from_pem(pem) for pem in keys))
    try:
        ids = {key.key_id for key in trust.note_keys}
    except LogSignatureError as error:
        raise TrustError(f"log: {error.message}", error.advice) from error
    if len(ids) != len(keys):
        raise TrustError("log: a key stands twice", "remove one of them")
    return LogRule(trust, required)


def read_release_policies(value: Any) -> frozenset[Sha256]:
    """The section ``release_policies:``; digests of the only release policies that count.

    Raises:
        TrustError: if it is malformed, or names none.
    """
    if not isinstance(value, list) or not value:
        raise TrustError(f"release_policies: expected a list of SHA-256, got {brief(value)}", "leave it out for any")
    try:
        found = [parse_sha256(item) for item in value]
    except StatementError as error:
        raise TrustError(
            f"release_policies: {error.message}", "write the sha256 that `mlsecops policy explain` prints"
        ) from error
    if len(set(found)) != len(found):
        raise TrustError("release_policies: a policy stands twice", "remove one of them")
    return frozenset(found)


def _items(value: Any, what: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        raise TrustError(f"{what}: expected a list of entries, got {brief(value)}", "leave it out if there are none")
    return value
