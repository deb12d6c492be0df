"""What people are asked, and under which terms: written from verified evidence, and found again while it is open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import ConfigurationError, StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet
from airflow_mlsecops.core.policy import Dossier, ReleasePolicy, outcomes
from airflow_mlsecops.core.policy.words import lacks
from airflow_mlsecops.core.predicates import APPROVAL, APPROVAL_REQUEST, PROVENANCE, SIGNATURE, approval_request
from airflow_mlsecops.core.predicates.approval import Assurance
from airflow_mlsecops.core.predicates.approval_request import ApprovalRequest, Shown
from airflow_mlsecops.core.telling import Described, describe, run_of, told_time
from airflow_mlsecops.core.trust_people import Person

MAX_LINES = 100
"""How many lines of each kind stand in a request."""
MAX_SOURCES = 20
"""How many of the data sets and models that the model came from are shown, the direct ones first."""
_SECOND = timedelta(seconds=1)
_PLACE = ("orchestrator", "dag_id", "run_id", "task_id", "map_index")


@dataclass(frozen=True)
class Terms:
    """Under which terms answers count.

    Attributes:
        approvers: ids of those who are asked; empty for everybody with the right to answer.
        quorum: how many different people have to approve.
        level: how sure each person's identity has to be.
        open_for: until when the request may be answered.
        valid_for: how long an approval counts; ``None`` for no end.
        reason_required: whether an approval needs a reason.
    """

    approvers: tuple[str, ...]
    quorum: int
    level: Assurance
    open_for: timedelta
    valid_for: timedelta | None
    reason_required: bool


def asked_people(named: Iterable[str], roles: Iterable[str], people: Sequence[Person]) -> tuple[str, ...]:
    """Ids of those who are named, and of those to whom the trust policy gives one of the roles.

    Raises:
        ConfigurationError: if nobody has a role, or an id is empty.
    """
    found = set(named)
    if not all(map(str.strip, found)):
        raise ConfigurationError("one of the approvers is nobody", "check the template that fills the list")
    for role in roles:
        able = {person.id for person in people if role in person.roles}
        if not able:
            raise ConfigurationError(f"nobody has the role {role!r}", "give it under 'people' in the trust policy")
        found |= able
    return tuple(sorted(found))


def excluded_people(evidence: EvidenceSet, triggered_by: str) -> tuple[str, ...]:
    """Who may not answer: who triggered the run, whose key or identity signed the artifact, who triggered its making.

    What was withdrawn still names them.
    """
    signed = [*evidence.of(SIGNATURE.slug), *evidence.withdrawn_of(SIGNATURE.slug)]
    made = [*evidence.of(PROVENANCE.slug), *evidence.withdrawn_of(PROVENANCE.slug)]
    names = {triggered_by, *(item.person for item in signed), *(item.signer for item in signed)}
    names |= {str(run_of(item.statement).get("triggered_by") or "") for item in (*signed, *made)}
    return tuple(sorted(names - {""}))


def new_request(
    dossier: Dossier,
    terms: Terms,
    *,
    triggered_by: str,
    now: datetime,
    changes: Sequence[str] = (),
    policy: ReleasePolicy | None = None,
) -> ApprovalRequest:
    """Write what people are asked about the dossier's model; whoever signs it checks that the terms can be met.

    Args:
        dossier: verified evidence about it and its sources.
        terms: under which terms answers count.
        triggered_by: who triggered the run that asks.
        now: the current time.
        changes: what is different from the last release, one sentence each.
        policy: what will have to be true; without one, only what doesn't count is told to be missing.
    """
    rows = [row for _, evidence in sections(dossier) for row in newest(evidence)[0]]
    return ApprovalRequest(
        shown=tuple(Shown(item.digest, told.what, told.verdict, told.summary) for item, told in rows),
        missing=tuple(_bounded([*_not_shown(dossier), *_missing(dossier, policy, now)])),
        changes=tuple(_bounded(changes)),
        approvers=terms.approvers,
        excluded=excluded_people(dossier.sets[dossier.model], triggered_by),
        quorum=terms.quorum,
        level=terms.level,
        triggered_by=triggered_by,
        requested_at=now,
        expires_at=now + terms.open_for,
        valid_for=None if terms.valid_for is None else terms.valid_for // _SECOND * _SECOND,
        reason_required=terms.reason_required,
    )


def open_request(
    evidence: EvidenceSet, wanted: ApprovalRequest, run: Mapping[str, Any], now: datetime
) -> tuple[Evidence, ApprovalRequest] | None:
    """The newest verified request of this very task that is still open and asks under the same terms, if there is one.

    So a request outlives clears, retries and restarts, and the answers to it. One under other terms, or about other
    bytes, is another request.
    """
    found = []
    for item in evidence.of(APPROVAL_REQUEST.slug):
        try:
            asked = approval_request.parse(item.statement)
        except StatementError:
            continue  # it asks for nothing, so a new request is written
        if same_task(run_of(item.statement), run) and _same_terms(asked, wanted) and now <= asked.expires_at:
            found.append((item, asked))
    return max(found, key=lambda pair: (pair[1].requested_at, pair[0].digest), default=None)


def same_task(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether both are the same task of the same run, whichever try."""
    return all(one.get(key) == other.get(key) for key in _PLACE)


def sections(dossier: Dossier) -> list[tuple[str, EvidenceSet]]:
    """What the evidence is about, with a name: the model, whose name is empty, then what it was made from."""
    named: dict[Sha256, str] = {}
    for source in sorted(dossier.sources, key=lambda each: (not each.direct, str(each))):
        named.setdefault(source.digest, str(source))
    sources = ((name, dossier.sets[digest]) for digest, name in islice(named.items(), MAX_SOURCES))
    return [("", dossier.sets[dossier.model]), *sources]


def unshown(dossier: Dossier) -> int:
    """How many more it was made from than :func:`sections` has."""
    return len(dossier.sets) - len(sections(dossier))


def newest(evidence: EvidenceSet) -> tuple[list[tuple[Evidence, Described]], int]:
    """Of each kind of statement the newest, in the order in which they were made, and how many others there are."""
    latest: dict[str, tuple[Evidence, Described]] = {}
    shown = [item for item in evidence.verified if item.slug != APPROVAL_REQUEST.slug]
    for item in shown:
        told = describe(item.statement)
        kind = told.series or told.what
        if kind not in latest or told_time(told) > told_time(latest[kind][1]):
            latest[kind] = (item, told)
    rows = sorted(latest.values(), key=lambda row: told_time(row[1]))
    return rows, len(shown) - len(rows)


def _missing(dossier: Dossier, policy: ReleasePolicy | None, now: datetime) -> list[str]:
    lines = []
    if not dossier.datasets:
        lines.append("no data set is named by any verified provenance")
    for evidence in dossier.sets.values():
        ignored = (*evidence.refused, *evidence.broken)
        lines += [f"{_kind(item.key)} doesn't count: {item.reason}" for item in ignored]
    if policy is not None:
        asked = [each for each in outcomes(policy, dossier, now) if not _asks_people(each.requirement)]
        lines += [f"{policy.name}: {what}; {advice}" for what, advice in lacks(asked)]
    return list(dict.fromkeys(lines))


def _not_shown(dossier: Dossier) -> list[str]:
    more = unshown(dossier)
    return [f"it was made from {more} more, whose evidence isn't shown here"] if more > 0 else []


def _kind(key: str) -> str:
    """Of a bundle's key the predicate; others, such as the log's checkpoint, say themselves what they are."""
    parts = key.split("/")
    return parts[2] if key.startswith("bundles/") and len(parts) > 2 else key


def _asks_people(requirement: Any) -> bool:
    """Whether it is what this request is for."""
    return requirement is not None and requirement.evidence == APPROVAL.slug


def _bounded(lines: Sequence[str]) -> list[str]:
    over = len(lines) - MAX_LINES
    return [*lines] if over <= 0 else [*lines[:MAX_LINES], f"and {over} more"]


def _same_terms(asked: ApprovalRequest, wanted: ApprovalRequest) -> bool:
    lasting = asked.expires_at - asked.requested_at == wanted.expires_at - wanted.requested_at
    shown = {name: getattr(asked, name) for name in ("shown", "missing", "changes", "requested_at", "expires_at")}
    wanted = replace(wanted, approvers=tuple(sorted(wanted.approvers)), excluded=tuple(sorted(wanted.excluded)))
    return lasting and asked == replace(wanted, **shown)
