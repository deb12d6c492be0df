"""Somebody takes the risk for a while: ours, ``waiver/v1``. One requirement, one artifact, one policy, until a day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.fields import text
from airflow_mlsecops.core.predicates.types import WAIVER
from airflow_mlsecops.core.statement import Statement, Subject

MAX_REASON = 4000


@dataclass(frozen=True)
class Waiver:
    """What a verified waiver says.

    Attributes:
        policy: name of the release policy that it is meant for.
        requirement: id of the requirement that is waived there.
        reason: why, in a person's words.
        by: who waives it, as the statement says.
        waived_at: when that was said.
        expires_at: until when it counts.
    """

    policy: str
    requirement: str
    reason: str
    by: str
    waived_at: datetime
    expires_at: datetime


def build(
    artifact: Subject,
    *,
    policy: str,
    requirement: str,
    reason: str,
    by: str,
    waived_at: datetime,
    expires_at: datetime,
    run: Mapping[str, Any],
) -> Statement:
    """The statement that a requirement isn't asked of ``artifact`` for a while; see :class:`Waiver`.

    Raises:
        StatementError: if something is missing, or it would end before it begins.
    """
    if not all(field.strip() for field in (policy, requirement, reason, by)):
        raise StatementError("a waiver needs a policy, a requirement, a reason, and somebody who gives it", "say why")
    if expires_at <= waived_at:
        raise StatementError(f"a waiver until {to_text(expires_at)}, which is over", "give a later end")
    predicate = {
        "policy": policy,
        "requirement": requirement,
        "reason": reason[:MAX_REASON],
        "by": by,
        "waivedAt": to_text(waived_at),
        "expiresAt": to_text(expires_at),
        "run": dict(run),
    }
    return Statement.build([artifact], WAIVER.uri, predicate)


def parse(statement: Statement) -> Waiver:
    """Read a waiver.

    Raises:
        StatementError: if a field is missing or of another type.
    """
    if statement.predicate_type != WAIVER.uri:
        raise StatementError(f"expected {WAIVER.uri}, got {statement.predicate_type}")
    value = statement.predicate
    return Waiver(
        policy=text(value, "policy"),
        requirement=text(value, "requirement"),
        reason=text(value, "reason"),
        by=text(value, "by"),
        waived_at=from_text(text(value, "waivedAt")),
        expires_at=from_text(text(value, "expiresAt")),
    )
