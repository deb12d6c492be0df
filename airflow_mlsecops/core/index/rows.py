"""What the index keeps of one object in the store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_mlsecops.core.errors import MlsecopsError, RevokedError
from airflow_mlsecops.core.evidence import Evidence, weigh
from airflow_mlsecops.core.findings import Severity
from airflow_mlsecops.core.policy import quorum
from airflow_mlsecops.core.predicates import APPROVAL, APPROVAL_REQUEST, PROMOTION, PROVENANCE, approval_request
from airflow_mlsecops.core.predicates import approval as approval_predicate
from airflow_mlsecops.core.predicates import promotion as promotion_predicate
from airflow_mlsecops.core.predicates import provenance as provenance_predicate
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import Found
from airflow_mlsecops.core.telling import Seen, describe, run_of
from airflow_mlsecops.core.trust import TrustPolicy

MAX_FINDINGS = 50
"""How many findings of one statement are listed; the artifact's page has all that the statement has."""
_MAX_TEXT = 500
_LAST = datetime.max.replace(microsecond=0, tzinfo=UTC)
"""A float has too few digits for the microseconds of the year 9999, and what is after it is no time."""


@dataclass(frozen=True)
class Row:
    """One row of ``statement`` with what hangs on it; see ``schema.sql``."""

    values: Mapping[str, Any]
    findings: tuple[Seen, ...] = ()
    sources: tuple[str, ...] = ()


def row_of(found: Found, subject: str, trust: TrustPolicy, now: datetime) -> Row:
    """Read one object: whether it counts by itself, and what it says if it does.

    Args:
        found: the object.
        subject: SHA-256 under which it lies.
        trust: who may sign what.
        now: the time at which it is judged.
    """
    slug = found.key.split("/")[2] if found.key.count("/") == 3 else ""
    base = {**_EMPTY, "key": found.key, "subject": subject, "slug": slug, "digest": found.digest}
    if found.bundle is None:
        return Row({**base, "refused": "evidence-broken"})
    statement = found.bundle.statement
    base |= _run(statement)
    try:
        evidence, revoked = weigh(found.bundle, trust, now)
    except MlsecopsError as error:
        return Row({**base, "refused": error.code})
    if revoked:
        return Row({**base, "refused": RevokedError.code, "signed_with": evidence.signed_with})
    told = describe(statement)
    name, kind = _called(statement, subject)
    values = {
        **base,
        "what": told.what[:_MAX_TEXT],
        "verdict": told.verdict,
        "tone": told.tone.value,
        "summary": told.summary[:_MAX_TEXT],
        "at": min(told.when, _LAST).timestamp() if told.when else 0.0,
        "series": told.series,
        "signer": evidence.signer,
        "signed_with": evidence.signed_with,
        "name": name[:_MAX_TEXT],
        "kind": kind,
        "findings": told.findings_total,
        "more": json.dumps(_more(evidence)),
    }
    return Row(values, told.findings[:MAX_FINDINGS], _sources(statement))


def rank_of(severity: str) -> int:
    """How bad: 2 for critical, 1 for warning, 0 for everything else."""
    try:
        return Severity(severity).rank
    except ValueError:
        return 0


def _run(statement: Statement) -> dict[str, Any]:
    run = run_of(statement)
    texts = {key: run.get(key) for key in ("dag_id", "run_id", "task_id")}
    index = run.get("map_index")
    return {
        **{key: value if isinstance(value, str) else "" for key, value in texts.items()},
        "map_index": index if isinstance(index, int) and -1 <= index < 2**31 else -1,
    }


def _called(statement: Statement, subject: str) -> tuple[str, str]:
    name = next((name for name, digest in statement.subjects if digest == subject and name), "")
    kind = next((item.kind for item in statement.identities if item.digest == subject and item.kind), "")
    return name, kind


def _more(evidence: Evidence) -> dict[str, Any]:
    """What a list needs to know of some predicates; nothing of a statement that can't be read."""
    statement = evidence.statement
    try:
        if statement.predicate_type == PROMOTION.uri:
            said = promotion_predicate.parse(statement)
            release = said.release
            return {
                "name": release.name,
                "version": release.version,
                "stage": release.stage,
                "action": release.action.value,
                "artifact": said.artifact.digest,
                "previous": said.previous or "",
            }
        if statement.predicate_type == APPROVAL_REQUEST.uri:
            asked = approval_request.parse(statement)
            return {
                "until": min(asked.expires_at, _LAST).timestamp(),
                "quorum": asked.quorum,
                "approvers": list(asked.approvers),
                "barred": sorted(asked.barred),
                "level": asked.level.value,
            }
        if statement.predicate_type == APPROVAL.uri:
            answer = quorum.answer(approval_predicate.parse(statement), evidence)
            return {
                "request": answer.said.request,
                "by": answer.identity,
                "name": answer.name,
                "level": answer.level.value,
            }
    except MlsecopsError:
        pass
    return {}


def _sources(statement: Statement) -> tuple[str, ...]:
    if statement.predicate_type != PROVENANCE.uri:
        return ()
    try:
        said = provenance_predicate.parse(statement)
    except MlsecopsError:
        return ()
    return () if said.failed else tuple({item.digest for item in said.dependencies})


_EMPTY: dict[str, Any] = {
    **dict.fromkeys(("refused", "dag_id", "run_id", "task_id", "what", "verdict", "tone", "summary", "series"), ""),
    **dict.fromkeys(("signer", "signed_with", "name", "kind"), ""),
    "code": "",
    "current": 0,
    "map_index": -1,
    "at": 0.0,
    "findings": 0,
    "more": "{}",
}
