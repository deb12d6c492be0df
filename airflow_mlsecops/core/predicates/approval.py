"""A person decided: ours, ``approval/v1`` (in-toto has no vetted predicate for it; in-toto/attestation#77)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.digest import Sha256, parse_sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.fields import digest_set, mapping, objects, text
from airflow_mlsecops.core.predicates.types import APPROVAL
from airflow_mlsecops.core.statement import Statement, Subject


class Decision(StrEnum):
    """What the person said. There is no third answer, and no default."""

    APPROVED = "approved"
    REJECTED = "rejected"


class Assurance(StrEnum):
    """How sure the identity is.

    ``recorded`` says no more than "the orchestrator says it was this person"; ``signed`` is the person's own signature.
    """

    RECORDED = "recorded"
    SIGNED = "signed"


@dataclass(frozen=True)
class Approval:
    """What a verified approval statement says."""

    decision: Decision
    approver: str
    approver_id: str
    assurance: Assurance
    reason: str
    decided_at: datetime
    expires_at: datetime | None
    request: Sha256
    evidence: tuple[Sha256, ...]


def build(
    artifact: Subject,
    *,
    decision: Decision,
    approver: Mapping[str, str],
    identity_source: str,
    reason: str,
    request: str,
    evidence: Sequence[str],
    requested_at: datetime,
    decided_at: datetime,
    expires_at: datetime | None,
    run: Mapping[str, Any],
    assurance: Assurance = Assurance.RECORDED,
) -> Statement:
    """The statement that a person approved or rejected ``artifact``.

    Args:
        artifact: what was decided on.
        decision: what was said.
        approver: ``id`` and ``name`` as the identity source gives them.
        identity_source: how the identity was established, ``airflow-auth-manager`` or ``own-key``.
        reason: the person's words.
        request: digest of the bundle that asked, which says what was on the screen.
        evidence: digests of the bundles that the request showed.
        requested_at: when it was asked.
        decided_at: when it was answered.
        expires_at: until when the approval counts; ``None`` for no end.
        run: which orchestrator's task recorded it; of a person's own signature, which one asked.
        assurance: how sure the identity is; ``signed`` counts only with a key that the trust policy gives to a person.
    """
    return Statement.build(
        [artifact],
        APPROVAL.uri,
        {
            "decision": decision.value,
            "approver": {"id": approver["id"], "name": approver["name"]},
            "identitySource": identity_source,
            "assurance": assurance.value,
            "reason": reason[:4000],
            "request": {"digest": {"sha256": request}},
            "evidence": [{"digest": {"sha256": digest}} for digest in sorted(evidence)],
            "requestedAt": to_text(requested_at),
            "decidedAt": to_text(decided_at),
            **({"expiresAt": to_text(expires_at)} if expires_at else {}),
            "run": dict(run),
        },
    )


def parse(statement: Statement) -> Approval:
    """Read an approval statement.

    Raises:
        StatementError: if a field is missing or of another type.
    """
    if statement.predicate_type != APPROVAL.uri:
        raise StatementError(f"expected {APPROVAL.uri}, got {statement.predicate_type}")
    value = statement.predicate
    try:
        decision, assurance = Decision(text(value, "decision")), Assurance(value.get("assurance", Assurance.RECORDED))
    except ValueError as error:
        raise StatementError(f"unknown decision or assurance: {error}") from error
    person = mapping(value, "approver")
    approver, approver_id = text(person, "name"), text(person, "id")
    if not approver or not approver_id:
        raise StatementError("an approval without a person is none")
    return Approval(
        decision=decision,
        approver=approver,
        approver_id=approver_id,
        assurance=assurance,
        reason=text(value, "reason"),
        decided_at=from_text(text(value, "decidedAt")),
        expires_at=from_text(value["expiresAt"]) if "expiresAt" in value else None,
        request=digest_set(mapping(value, "request")),
        evidence=tuple(parse_sha256(mapping(item, "digest").get("sha256")) for item in objects(value, "evidence")),
    )
