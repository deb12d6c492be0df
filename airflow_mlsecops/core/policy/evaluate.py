"""The evaluation: a pure function of policy, evidence and time."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import NamedTuple

from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import CLOCK_SKEW, Evidence, EvidenceSet
from airflow_mlsecops.core.policy import quorum
from airflow_mlsecops.core.policy.decision import Decision, Reason
from airflow_mlsecops.core.policy.gather import Dossier
from airflow_mlsecops.core.policy.release_policy import Of, ReleasePolicy, Requirement
from airflow_mlsecops.core.predicates import APPROVAL, PROVENANCE, SIGNATURE, TEST_RESULT, control_run, provenance
from airflow_mlsecops.core.predicates import approval as approval_predicate
from airflow_mlsecops.core.predicates import signature as signature_predicate
from airflow_mlsecops.core.report import Verdict


class _No(Exception):  # noqa: N818 - not an error: the way a requirement says NO
    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.reason = Reason(code, text)


class _Times(NamedTuple):
    now: datetime
    decided_at: datetime


def evaluate(policy: ReleasePolicy, dossier: Dossier, now: datetime, decided_at: datetime | None = None) -> Decision:
    """Decide whether the model may go out.

    1. Nothing about the model or its data sets is broken, withheld or revoked.
    2. Each requirement holds for the model, or for every data set that its provenance names, of which there is one.
    3. Whatever can't be read counts as NO.

    Args:
        policy: what is asked for.
        dossier: verified evidence.
        now: the current time; what is dated later is refused.
        decided_at: the moment of the decision, if that was earlier: ages and expiries are counted back from it, and
            what was said since then counts as fresh.
    """
    times = _Times(now, now if decided_at is None else decided_at)
    reasons: list[Reason] = []
    satisfied: list[str] = []
    counted: list[Sha256] = []
    # 1.
    for evidence in dossier.sets.values():
        reasons += objections(evidence)
    # 2.
    for requirement in policy.require:
        for name, evidence in _subjects(requirement, dossier):
            try:
                used = _CHECKS[requirement.evidence](requirement, evidence, times)
            except _No as no:
                reasons.append(Reason(no.reason.code, f"{name}: {no.reason.text}"))
            except StatementError as error:  # 3.
                reasons.append(Reason(error.code, f"{name}: {error.message}"))
            else:
                signers = ", ".join(sorted({item.signer for item in used}))
                satisfied.append(f"{name}: {requirement.control or requirement.evidence} by {signers}")
                counted += [item.digest for item in used]
        if requirement.of is Of.DATASETS:
            reasons += _doubtful_datasets(requirement, dossier)
    return Decision(tuple(reasons), tuple(satisfied), tuple(sorted(set(counted))))


def objections(evidence: EvidenceSet) -> list[Reason]:
    """What makes every answer about this subject NO by being there."""
    return [Reason(item.code, f"{item.key}: {item.reason}") for item in evidence.broken]


def _subjects(requirement: Requirement, dossier: Dossier) -> list[tuple[str, EvidenceSet]]:
    if requirement.of is Of.MODEL:
        return [("model", dossier.sets[dossier.model])]
    return [(f"data set {name}", dossier.sets[digest]) for name, digest in dossier.datasets]


def _doubtful_datasets(requirement: Requirement, dossier: Dossier) -> list[Reason]:
    """Why the list of data sets can't be relied on: it is empty, or a provenance statement can't be read."""
    reasons: list[Reason] = []
    evidence = dossier.sets[dossier.model]
    for item in (*evidence.of(PROVENANCE.slug), *evidence.withdrawn_of(PROVENANCE.slug)):
        try:
            provenance.parse(item.statement)
        except StatementError as error:
            reasons.append(Reason(error.code, f"provenance {item.digest[:16]}…: {error.message}"))
    if not dossier.datasets:
        reasons.append(
            Reason("no-dataset", f"no verified provenance names a data set, so {requirement} can't be judged")
        )
    return reasons


def _candidates(requirement: Requirement, evidence: EvidenceSet) -> list[Evidence]:
    """The verified statements of the asked kind by the asked signers, or a NO that also names what was refused."""
    found = _asked(requirement, evidence.of(requirement.evidence))
    if not found:
        raise _no_evidence(requirement, evidence)
    return found


def _asked(requirement: Requirement, items: tuple[Evidence, ...]) -> list[Evidence]:
    return [item for item in items if not requirement.signed_by or item.signer in requirement.signed_by]


def _no_evidence(requirement: Requirement, evidence: EvidenceSet) -> _No:
    by = f" signed by {' or '.join(sorted(requirement.signed_by))}" if requirement.signed_by else ""
    refused = [item for item in evidence.refused if f"/{requirement.evidence}/" in item.key]
    also = f" ({len(refused)} refused: {refused[0].reason})" if refused else ""
    return _No("evidence-missing", f"no valid {requirement.control or requirement.evidence}{by}{also}")


def _check_age(requirement: Requirement, made: datetime, times: _Times) -> None:
    what = requirement.control or requirement.evidence
    if made > times.now + CLOCK_SKEW:
        raise _No("evidence-from-the-future", f"the {what} is dated {to_text(made)}")
    if requirement.max_age is not None and times.decided_at - made > requirement.max_age:
        raise _No("evidence-stale", f"the {what} of {to_text(made)} is older than {requirement.max_age}")


def _check_control(requirement: Requirement, evidence: EvidenceSet, times: _Times) -> list[Evidence]:
    """The newest counts; of equally new ones the worst, so that order never decides in favour.

    1. There is one that counts.
    2. None that says something else is as new or newer, not even one that was withdrawn.
    3. Enough different signers say the same since then, and none too long ago.
    """
    # 1.
    results = _results(requirement, _candidates(requirement, evidence))
    if not results:
        raise _no_evidence(requirement, evidence)
    # 2.
    withdrawn = _results(requirement, _asked(requirement, evidence.withdrawn_of(requirement.evidence)))
    against = [result for result, _ in (*results, *withdrawn) if result.verdict not in requirement.verdicts]
    worst_last = {verdict: rank for rank, verdict in enumerate(Verdict)}
    worst = max(against, key=lambda result: (result.finished_at, worst_last[result.verdict]), default=None)
    good = [(result, item) for result, item in results if result.verdict in requirement.verdicts]
    newest = max((result.finished_at for result, _ in good), default=None)
    if worst is not None and (newest is None or worst.finished_at >= newest):
        raise _No("verdict", f"{requirement.control} said {worst.verdict.value}: {worst.summary}")
    # 3.
    since = [(result, item) for result, item in good if worst is None or result.finished_at > worst.finished_at]
    aged = [(result.finished_at, result.verdict, item) for result, item in since]
    return _agreed(requirement, aged, times)


def _results(requirement: Requirement, items: list[Evidence]) -> list[tuple[control_run.ControlResult, Evidence]]:
    results = [(control_run.parse(item.statement), item) for item in items]
    return [(result, item) for result, item in results if result.control == requirement.control]


def _agreed(
    requirement: Requirement, said: Sequence[tuple[datetime, Hashable, Evidence]], times: _Times
) -> list[Evidence]:
    """Of statements with their time and what they say: the newest or, if it takes several signers, one of each."""
    _, _, newest = max(said, key=lambda each: (each[0], str(each[1]), each[2].digest))
    _check_age(requirement, max(made for made, _, _ in said), times)
    needed = quorum.needed(item for _, _, item in said)
    if needed == 1:
        return [newest]
    latest: dict[tuple[str, Hashable], tuple[datetime, Hashable, Evidence]] = {}
    for made, what, item in sorted(said, key=lambda each: (each[0], each[2].digest)):
        latest[item.signer, what] = (made, what, item)
    fresh = [(what, item) for made, what, item in latest.values() if _is_fresh(requirement, made, times)]
    agreeing = quorum.agreeing(fresh)
    if quorum.signers(agreeing) < needed:
        raise _too_few(requirement, quorum.signers(agreeing), needed)
    return agreeing


def _is_fresh(requirement: Requirement, made: datetime, times: _Times) -> bool:
    try:
        _check_age(requirement, made, times)
    except _No:
        return False
    return True


def _too_few(requirement: Requirement, found: int, needed: int) -> _No:
    what = requirement.control or requirement.evidence
    return _No("signers-missing", f"{found} of {needed} different signers say the same in the {what}")


def _check_provenance(requirement: Requirement, evidence: EvidenceSet, times: _Times) -> list[Evidence]:
    found = _candidates(requirement, evidence)
    parsed = [(provenance.parse(item.statement), item) for item in found]
    _agreed(requirement, [(made.finished_at, made.dependencies, item) for made, item in parsed], times)
    return found  # all of them, because the data sets are those that any of them names


def _check_signature(requirement: Requirement, evidence: EvidenceSet, times: _Times) -> list[Evidence]:
    parsed = [(signature_predicate.parse(item.statement), item) for item in _candidates(requirement, evidence)]
    return _agreed(requirement, [(signed.signed_at, signed.kind, item) for signed, item in parsed], times)


def _check_approval(requirement: Requirement, evidence: EvidenceSet, times: _Times) -> list[Evidence]:
    latest: dict[str, tuple[approval_predicate.Approval, Evidence]] = {}
    rejected = approval_predicate.Decision.REJECTED
    withdrawn = _asked(requirement, evidence.withdrawn_of(requirement.evidence))
    for item, counts in (*((i, True) for i in _candidates(requirement, evidence)), *((i, False) for i in withdrawn)):
        approval = approval_predicate.parse(item.statement)
        if not counts and approval.decision is not rejected:
            continue
        known = latest.get(approval.approver_id)
        # Of two answers at the same moment the rejection counts.
        rank = (approval.decided_at, approval.decision is rejected)
        if known is None or rank > (known[0].decided_at, known[0].decision is rejected):
            latest[approval.approver_id] = (approval, item)
    good: list[Evidence] = []
    stale: _No | None = None
    for _, (approval, item) in sorted(latest.items()):
        if approval.decision is rejected:
            raise _No("rejected", f"{approval.approver} rejected it: {approval.reason or 'no reason given'}")
        if approval.expires_at is not None and times.decided_at > approval.expires_at:
            continue
        try:
            _check_age(requirement, approval.decided_at, times)
        except _No as no:
            # One person's old answer doesn't undo what enough others said; one from the future is a NO at once.
            if no.reason.code != "evidence-stale":
                raise
            stale = no
            continue
        good.append(item)
    if len(good) < requirement.count:
        raise stale or _No("approvals-missing", f"{len(good)} of {requirement.count} approvals")
    if quorum.signers(good) < quorum.needed(good):
        raise _too_few(requirement, quorum.signers(good), quorum.needed(good))
    return good


_CHECKS = {
    TEST_RESULT.slug: _check_control,
    PROVENANCE.slug: _check_provenance,
    SIGNATURE.slug: _check_signature,
    APPROVAL.slug: _check_approval,
}
