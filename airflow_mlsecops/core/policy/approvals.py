"""Whether enough people approved, sure enough who they are, and none of them made it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet
from airflow_mlsecops.core.policy import quorum
from airflow_mlsecops.core.policy.checking import No, Times, asked, candidates, check_age, too_few
from airflow_mlsecops.core.policy.gather import Dossier
from airflow_mlsecops.core.policy.quorum import Answer
from airflow_mlsecops.core.policy.requirement import Requirement
from airflow_mlsecops.core.predicates import APPROVAL, APPROVAL_REQUEST, PROVENANCE, SIGNATURE, approval_request
from airflow_mlsecops.core.predicates import approval as approval_predicate
from airflow_mlsecops.core.predicates.approval_request import ApprovalRequest
from airflow_mlsecops.core.statement import Statement


class Request(NamedTuple):
    """A verified request, and the statement that it is."""

    said: ApprovalRequest
    item: Evidence


_REJECTED = approval_predicate.Decision.REJECTED


def check_approval(requirement: Requirement, evidence: EvidenceSet, dossier: Dossier, times: Times) -> list[Evidence]:
    """Count people.

    1. No rejection stands, whoever said it and however sure that is; also one that was withdrawn.
    2. Only those count whom the policy names, and not those who made the model, if it says so; and only answers to a
       verified request, under its terms, if it says that.
    3. Each needs an approval of the asked level that hasn't expired and isn't too old.
    4. There are enough of them, recorded by enough different signers.
    """
    # 1.
    requests = _requests(evidence) if requirement.requested else {}
    said, unasked = _asked(requirement, _unrejected(requirement, evidence), requests, times)
    makers = _makers(evidence) if requirement.not_trainer else frozenset()
    good: list[Evidence] = []
    answered: dict[str, Evidence] = {}
    stale: No | None = None
    low = made_it = False
    for answers in quorum.by_person(said):
        # 2.
        names = frozenset().union(*(answer.names for answer in answers))
        made_it = made_it or bool(names & makers)
        answer = quorum.standing(answers, requirement.level)
        low = low or answer is None
        if answer is None or names & makers or (requirement.approvers and not answer.names & requirement.approvers):
            continue
        # 3.
        if answer.said.expires_at is not None and times.decided_at > answer.said.expires_at:
            continue
        try:
            check_age(requirement, answer.said.decided_at, times)
        except No as no:
            # One person's old answer doesn't undo what enough others said; one from the future is a NO at once.
            if no.reason.code != "evidence-stale":
                raise
            stale = no
            continue
        good.append(answer.item)
        if requirement.requested:
            answered[answer.said.request] = requests[answer.said.request].item
    # 4.
    if len(good) < requirement.count:
        why = f"; who made the model doesn't count ({', '.join(sorted(makers))})" if made_it else ""
        why += f"; {'; '.join(unasked)}" if unasked else ""
        why += f"; some are only recorded, not {requirement.level.value} by the person" if low else ""
        raise stale or No("approvals-missing", f"{len(good)} of {requirement.count} approvals{why}")
    if quorum.signers(good) < quorum.needed(good):
        raise too_few(requirement, quorum.signers(good), quorum.needed(good))
    return [*good, *answered.values()]


def _unrejected(requirement: Requirement, evidence: EvidenceSet) -> list[Answer]:
    said = [_read(item) for item in candidates(requirement, evidence)]
    withdrawn = map(_read, asked(requirement, evidence.withdrawn_of(APPROVAL.slug)))
    said += [answer for answer in withdrawn if answer.said.decision is _REJECTED]
    for rejection in quorum.unlifted(said):
        raise No("rejected", f"{rejection.said.approver} rejected it: {rejection.said.reason or 'no reason given'}")
    return said


def _asked(
    requirement: Requirement, said: list[Answer], requests: Mapping[str, Request], times: Times
) -> tuple[list[Answer], list[str]]:
    """Without the approvals that no request asked for, or that break its terms; and why those don't count.

    A gate held them against the same terms. Whoever goes round the gate doesn't go round them.
    """
    if not requirement.requested:
        return said, []
    from airflow_mlsecops.core.approving.tally import why_not_under  # which counts by what is in this package

    kept: list[Answer] = []
    unasked: list[str] = []
    for each in said:
        found, why = requests.get(each.said.request), ""
        if each.said.decision is not _REJECTED:
            why = "answers no request that counts"
            why = why_not_under(found.said, each.said.request, each, times.decided_at) if found else why
        if why:
            unasked.append(f"{each.said.approver} {why}")
        else:
            kept.append(each)
    return kept, unasked


def _requests(evidence: EvidenceSet) -> dict[str, Request]:
    """The verified requests that can be read; an answer to any other is one to nothing."""
    found: dict[str, Request] = {}
    for item in evidence.of(APPROVAL_REQUEST.slug):
        with suppress(StatementError):
            found[item.digest] = Request(approval_request.parse(item.statement), item)
    return found


def _read(item: Evidence) -> Answer:
    return quorum.answer(approval_predicate.parse(item.statement), item)


def _makers(evidence: EvidenceSet) -> frozenset[str]:
    """Who triggered the run that made or signed it, and whose key or identity signed it; nobody known is a NO.

    What was withdrawn still names them: a revocation doesn't make a trainer somebody else.
    """
    made = [*evidence.of(PROVENANCE.slug), *evidence.withdrawn_of(PROVENANCE.slug)]
    signed = [*evidence.of(SIGNATURE.slug), *evidence.withdrawn_of(SIGNATURE.slug)]
    trainers = [_triggered_by(item.statement, "buildDefinition", "internalParameters") for item in made]
    if not trainers or not all(trainers):
        raise No(
            "trainer-unknown", "no provenance says who triggered the training, so nobody can be told apart from them"
        )
    signers = {name for item in signed for name in (item.signer, item.person, _triggered_by(item.statement, "run"))}
    return frozenset(trainers) | frozenset(signers - {""})


def _triggered_by(statement: Statement, *path: str) -> str:
    value: object = statement.predicate
    for key in (*path, "triggered_by"):
        value = value.get(key) if isinstance(value, dict) else None
    if value is not None and not isinstance(value, str):
        raise StatementError("triggered_by is no text")
    return value or ""
