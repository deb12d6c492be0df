"""Something was withdrawn: ours, ``revocation/v1``. There is no way to take a revocation back.

The subject is what is withdrawn: an artifact or a piece of evidence by its SHA-256, a key by its hint, an identity by
:func:`identity_digest`. Only the subject decides what a revocation is about; ``target`` says it for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from airflow_mlsecops.core.canonical import canonical_json, jsonable
from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.fields import mapping, text
from airflow_mlsecops.core.predicates.types import REVOCATION
from airflow_mlsecops.core.statement import STATEMENT_TYPE, Statement

MAX_REASON = 4000


class Target(StrEnum):
    """What is withdrawn."""

    ARTIFACT = "artifact"
    EVIDENCE = "evidence"
    KEY = "key"
    IDENTITY = "identity"


class Cause(StrEnum):
    """Why a key or an identity is withdrawn: it decides what of its work still counts; see :func:`voids`."""

    SUPERSEDED = "superseded"
    RETIRED = "retired"
    COMPROMISED = "compromised"
    UNTRUSTED = "untrusted"


@dataclass(frozen=True)
class Revocation:
    """What a verified revocation statement says.

    Attributes:
        target: what kind of thing is withdrawn.
        cause: why, in one word; of an artifact or a piece of evidence it changes nothing.
        reason: why, in a person's words.
        since: from when on it is not to be relied on.
        by: who withdrew it, as the statement says.
        revoked_at: when that was said.
    """

    target: Target
    cause: Cause
    reason: str
    since: datetime
    by: str
    revoked_at: datetime

    def __str__(self) -> str:
        return f"{self.target} revoked by {self.by} since {to_text(self.since)}, {self.cause}: {self.reason}"


def voids(cause: Cause, since: datetime | None, trusted_time: datetime | None, now: datetime) -> bool:
    """Whether a signature falls with its key.

    =====================  =====================================  ==============================
    cause                  with a trusted time                    without one
    =====================  =====================================  ==============================
    superseded, retired    falls if it was made at ``since``      falls from ``since`` on
                           or later
    compromised            falls if it was made at ``since``      falls
                           or later, or ``since`` isn't known
    untrusted              falls                                  falls
    =====================  =====================================  ==============================

    A signature without a trusted time can have been made at any time up to now. Whoever stole the key has no reason to
    write an honest date.
    """
    if cause is Cause.UNTRUSTED or since is None:
        return True
    if cause is Cause.COMPROMISED:
        return trusted_time is None or trusted_time >= since
    return (trusted_time or now) >= since


def identity_digest(identity: str, issuer: str) -> Sha256:
    """What stands for a keyless identity: the SHA-256 of canonical JSON (RFC 8785) with ``identity`` and ``issuer``."""
    return sha256_bytes(canonical_json({"identity": identity, "issuer": issuer}))


def build(
    target: Target,
    name: str,
    digest: str,
    *,
    cause: Cause,
    reason: str,
    since: datetime,
    by: str,
    revoked_at: datetime,
    run: Mapping[str, Any],
) -> Statement:
    """The statement that something is withdrawn.

    Args:
        target: what kind of thing.
        name: what people call it.
        digest: what it is known by; see the module's docstring.
        cause: why, in one word.
        reason: why, in a person's words.
        since: from when on it is not to be relied on.
        by: who says so.
        revoked_at: when (UTC).
        run: which orchestrator's task says so; empty if none does.

    Raises:
        StatementError: if no reason is given, or nobody who gives it.
    """
    if not reason.strip() or not by.strip():
        raise StatementError("a revocation needs a reason, and somebody who gives it", "say why, for whoever meets it")
    return Statement.parse(
        canonical_json(
            {
                "_type": STATEMENT_TYPE,
                "subject": [{"name": name, "digest": {"sha256": digest}}],
                "predicateType": REVOCATION.uri,
                "predicate": {
                    "target": {"type": target.value, "name": name},
                    "cause": cause.value,
                    "reason": reason[:MAX_REASON],
                    "since": to_text(since),
                    "by": by,
                    "revokedAt": to_text(revoked_at),
                    "run": jsonable(dict(run)),
                },
            }
        )
    )


def parse(statement: Statement) -> Revocation:
    """Read a revocation statement.

    Raises:
        StatementError: if a field is missing or of another type.
    """
    if statement.predicate_type != REVOCATION.uri:
        raise StatementError(f"expected {REVOCATION.uri}, got {statement.predicate_type}")
    value = statement.predicate
    try:
        target, cause = Target(text(mapping(value, "target"), "type")), Cause(text(value, "cause"))
    except ValueError as error:
        raise StatementError(f"unknown target or cause: {error}") from error
    return Revocation(
        target=target,
        cause=cause,
        reason=text(value, "reason"),
        since=from_text(text(value, "since")),
        by=text(value, "by"),
        revoked_at=from_text(text(value, "revokedAt")),
    )
