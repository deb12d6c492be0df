"""One check per kind of evidence: whether a requirement holds, and by which statements."""

from __future__ import annotations

from collections.abc import Callable

from airflow_mlsecops.core.evidence import Evidence, EvidenceSet
from airflow_mlsecops.core.policy.approvals import check_approval
from airflow_mlsecops.core.policy.bills import check_bill
from airflow_mlsecops.core.policy.checking import No, Times, agreed, asked, candidates, no_evidence
from airflow_mlsecops.core.policy.decision import Reason
from airflow_mlsecops.core.policy.gather import Dossier
from airflow_mlsecops.core.policy.requirement import Requirement
from airflow_mlsecops.core.predicates import APPROVAL, BOM, PROVENANCE, SIGNATURE, TEST_RESULT, control_run, provenance
from airflow_mlsecops.core.predicates import signature as signature_predicate
from airflow_mlsecops.core.report import Verdict

Check = Callable[[Requirement, EvidenceSet, Dossier, Times], list[Evidence]]


def _check_control(requirement: Requirement, evidence: EvidenceSet, dossier: Dossier, times: Times) -> list[Evidence]:
    """The newest counts; of equally new ones the worst, so that order never decides in favour.

    1. There is one that counts.
    2. None that says something else is as new or newer, not even one that was withdrawn.
    3. Enough different signers say the same since then, and none too long ago.
    """
    # 1.
    results = _results(requirement, candidates(requirement, evidence))
    if not results:
        raise no_evidence(requirement, evidence)
    # 2.
    withdrawn = _results(requirement, asked(requirement, evidence.withdrawn_of(requirement.evidence)))
    said = [(result, _why_not(requirement, result)) for result, _ in (*results, *withdrawn)]
    against = [(result, why) for result, why in said if why is not None]
    rank = {verdict: number for number, verdict in enumerate(Verdict)}
    worst, why = max(against, key=lambda pair: (pair[0].finished_at, rank[pair[0].verdict]), default=(None, None))
    good = [(result, item) for result, item in results if not _why_not(requirement, result)]
    newest = max((result.finished_at for result, _ in good), default=None)
    if worst is not None and why is not None and (newest is None or worst.finished_at >= newest):
        raise No(why.code, why.text)
    # 3.
    since = [(result, item) for result, item in good if worst is None or result.finished_at > worst.finished_at]
    aged = [(result.finished_at, result.verdict, item) for result, item in since]
    return agreed(requirement, aged, times)


def _why_not(requirement: Requirement, result: control_run.ControlResult) -> Reason | None:
    """Why this result isn't what is asked for; None if it is."""
    if result.verdict not in requirement.verdicts:
        return Reason("verdict", f"{requirement.control} said {result.verdict.value}: {result.summary}")
    for limit in requirement.metrics:
        if not limit.allows(result.metrics.get(limit.name)):
            found = str(result.metrics.get(limit.name, "nothing"))[:40]
            return Reason("metric", f"{requirement.control} measured {limit.name} = {found}, expected {limit}")
    return None


def _results(requirement: Requirement, items: list[Evidence]) -> list[tuple[control_run.ControlResult, Evidence]]:
    results = [(control_run.parse(item.statement), item) for item in items]
    return [(result, item) for result, item in results if result.control == requirement.control]


def _check_provenance(
    requirement: Requirement, evidence: EvidenceSet, dossier: Dossier, times: Times
) -> list[Evidence]:
    found = candidates(requirement, evidence)
    parsed = [(provenance.parse(item.statement), item) for item in found]
    agreed(requirement, [(made.finished_at, made.dependencies, item) for made, item in parsed], times)
    return found  # all of them, because the data sets are those that any of them names


def _check_signature(requirement: Requirement, evidence: EvidenceSet, dossier: Dossier, times: Times) -> list[Evidence]:
    parsed = [(signature_predicate.parse(item.statement), item) for item in candidates(requirement, evidence)]
    return agreed(requirement, [(signed.signed_at, signed.kind, item) for signed, item in parsed], times)


CHECKS: dict[str, Check] = {
    TEST_RESULT.slug: _check_control,
    PROVENANCE.slug: _check_provenance,
    SIGNATURE.slug: _check_signature,
    APPROVAL.slug: check_approval,
    BOM.slug: check_bill,
}
