"""The evaluation: a pure function of policy, evidence and time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet
from airflow_mlsecops.core.policy.checking import No, Times
from airflow_mlsecops.core.policy.checks import CHECKS
from airflow_mlsecops.core.policy.decision import Decision, Reason
from airflow_mlsecops.core.policy.gather import MAX_SOURCES, Dossier
from airflow_mlsecops.core.policy.release_policy import ReleasePolicy
from airflow_mlsecops.core.policy.requirement import Of, Requirement
from airflow_mlsecops.core.policy.waivers import excuse
from airflow_mlsecops.core.predicates import PROVENANCE, provenance


@dataclass(frozen=True)
class Outcome:
    """What came of one requirement for one artifact.

    Attributes:
        requirement: what was asked; None for what is a NO by being there.
        about: of what, for people.
        reason: why it doesn't hold; None if it does.
        evidence: the statements that it rests on, waivers among them.
        waived: the waiver that excuses the reason, told; empty without one.
    """

    requirement: Requirement | None
    about: str
    reason: Reason | None
    evidence: tuple[Evidence, ...] = ()
    waived: str = ""


def evaluate(policy: ReleasePolicy, dossier: Dossier, now: datetime, decided_at: datetime | None = None) -> Decision:
    """Decide whether the model may go out.

    1. The policy is one that whoever gathered the evidence lets count, and nothing about the model or anything that it
       came from is broken, withheld or revoked.
    2. Each requirement holds for everything that it speaks of, or is waived there.
    3. Whatever can't be read counts as NO.

    Args:
        policy: what is asked for.
        dossier: verified evidence.
        now: the current time; what is dated later is refused.
        decided_at: the moment of the decision, if that was earlier: ages and expiries are counted back from it, and
            what was said since then counts as fresh. A waiver has to hold now.
    """
    reasons: list[Reason] = []
    satisfied: list[str] = []
    waived: list[str] = []
    counted: set[Sha256] = set()
    for outcome in outcomes(policy, dossier, now, decided_at):
        what = outcome.requirement
        counted |= {item.digest for item in outcome.evidence}
        if outcome.waived and outcome.reason is not None:
            waived.append(f"{outcome.about}: {outcome.reason.text}; {outcome.waived}")
        elif outcome.reason is not None:
            text = f"{outcome.about}: {outcome.reason.text}" if outcome.about else outcome.reason.text
            reasons.append(Reason(outcome.reason.code, text))
        elif what is not None:
            signers = ", ".join(sorted({item.signer for item in outcome.evidence}))
            satisfied.append(f"{outcome.about}: {what.control or what.evidence} by {signers}")
    return Decision(tuple(reasons), tuple(satisfied), tuple(sorted(counted)), tuple(waived))


def outcomes(
    policy: ReleasePolicy, dossier: Dossier, now: datetime, decided_at: datetime | None = None
) -> Iterator[Outcome]:
    """What comes of each requirement, one by one; see :func:`evaluate`, which adds them up."""
    times = Times(now, now if decided_at is None else decided_at)
    # 1.
    if dossier.policies and policy.digest not in dossier.policies:
        text = f"the trust policy doesn't name this release policy {policy.name} (sha256:{policy.digest})"
        yield Outcome(None, "", Reason("policy-not-trusted", text))
    for evidence in dossier.sets.values():
        yield from (Outcome(None, "", reason) for reason in objections(evidence))
    if dossier.cut:
        yield Outcome(None, "", Reason("too-many-sources", f"it came from more than {MAX_SOURCES} artifacts"))
    # 2.
    for requirement in policy.require:
        for about, evidence in _subjects(requirement, dossier):
            yield _outcome(requirement, policy.name, about, evidence, dossier, times)
        if requirement.of is not Of.MODEL:
            yield from (Outcome(requirement, "", reason) for reason in _doubtful_sources(requirement, dossier))


def objections(evidence: EvidenceSet) -> list[Reason]:
    """What makes every answer about this subject NO by being there."""
    return [Reason(item.code, f"{item.key}: {item.reason}") for item in evidence.broken]


def _outcome(
    requirement: Requirement, policy: str, about: str, evidence: EvidenceSet, dossier: Dossier, times: Times
) -> Outcome:
    try:
        used = CHECKS[requirement.evidence](requirement, evidence, dossier, times)
    except No as no:
        excused = excuse(requirement, policy, no.reason, evidence, times)
        if excused is not None:
            return Outcome(requirement, about, no.reason, tuple(excused[1]), excused[0])
        return Outcome(requirement, about, no.reason)
    except StatementError as error:  # 3.
        return Outcome(requirement, about, Reason(error.code, error.message))
    return Outcome(requirement, about, None, tuple(used))


def _subjects(requirement: Requirement, dossier: Dossier) -> list[tuple[str, EvidenceSet]]:
    if requirement.of is Of.MODEL:
        return [("model", dossier.sets[dossier.model])]
    if requirement.of is Of.DATASETS:
        return [(f"data set {name}", dossier.sets[digest]) for name, digest in dossier.datasets]
    kind = {Of.ALL_DATASETS: Kind.DATASET.value, Of.BASE_MODELS: Kind.MODEL.value}.get(requirement.of)
    return [(str(item), dossier.sets[item.digest]) for item in dossier.sources if kind in (None, item.kind)]


def _doubtful_sources(requirement: Requirement, dossier: Dossier) -> list[Reason]:
    """Why the list of sources can't be relied on: it is empty, or a provenance statement can't be read."""
    reasons: list[Reason] = []
    near = [dossier.sets[dossier.model]]
    every = near if requirement.of is Of.DATASETS else list(dossier.sets.values())
    for evidence in every:
        for item in (*evidence.of(PROVENANCE.slug), *evidence.withdrawn_of(PROVENANCE.slug)):
            try:
                provenance.parse(item.statement)
            except StatementError as error:
                reasons.append(Reason(error.code, f"provenance {item.digest[:16]}…: {error.message}"))
    if requirement.of is Of.BASE_MODELS:
        # Not every model has one; but somebody has to say so.
        if not near[0].of(PROVENANCE.slug):
            reasons.append(Reason("evidence-missing", f"no verified provenance, so {requirement} can't be judged"))
    elif not _subjects(requirement, dossier):
        reasons.append(
            Reason("no-dataset", f"no verified provenance names a data set, so {requirement} can't be judged")
        )
    return reasons
