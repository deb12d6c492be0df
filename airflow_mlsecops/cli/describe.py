"""What a statement says, in one line, and when it says so. Believe neither before its signature is verified."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.core.predicates import (
    APPROVAL,
    PROVENANCE,
    SIGNATURE,
    TEST_RESULT,
    VERIFICATION_SUMMARY,
    approval,
    control_run,
    provenance,
    signature,
    vsa,
)

if TYPE_CHECKING:
    from airflow_mlsecops.core.statement import Statement


class Said(NamedTuple):
    """Verdict or decision with its object, and the time that the statement gives (RFC 3339, or empty)."""

    what: str
    time: str


def describe(statement: Statement) -> Said:
    """Say it; a statement that can't be read says that."""
    teller = _TELLERS.get(statement.predicate_type)
    if teller is None:
        return Said(f"unknown predicate {statement.predicate_type}", "")
    try:
        return teller(statement)
    except MlsecopsError as error:
        return Said(f"unreadable: {error.message}", "")


def _control(statement: Statement) -> Said:
    result = control_run.parse(statement)
    return Said(f"{result.verdict.value}: {result.control}", to_text(result.finished_at))


def _provenance(statement: Statement) -> Said:
    made = provenance.parse(statement)
    names = ", ".join(item.name for item in made.datasets())
    return Said(f"made from {names or 'no data set'}", to_text(made.finished_at))


def _signature(statement: Statement) -> Said:
    signed = signature.parse(statement)
    return Said(f"signed as {signed.kind} {signed.name}", to_text(signed.signed_at))


def _approval(statement: Statement) -> Said:
    decided = approval.parse(statement)
    until = f" until {to_text(decided.expires_at)}" if decided.expires_at else ""
    return Said(f"{decided.decision.value} by {decided.approver}{until}", to_text(decided.decided_at))


def _summary(statement: Statement) -> Said:
    summary = vsa.parse(statement)
    word = "released" if summary.passed else "not released"
    return Said(f"{word} under policy sha256:{summary.policy[:12]}…", to_text(summary.verified_at))


_TELLERS: dict[str, Callable[[Statement], Said]] = {
    TEST_RESULT.uri: _control,
    PROVENANCE.uri: _provenance,
    SIGNATURE.uri: _signature,
    APPROVAL.uri: _approval,
    VERIFICATION_SUMMARY.uri: _summary,
}
