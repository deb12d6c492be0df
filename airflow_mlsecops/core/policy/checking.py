"""What the checks of all kinds of evidence share: who may have said it, how old it is, how many say the same."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from datetime import datetime
from typing import NamedTuple

from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.evidence import CLOCK_SKEW, Evidence, EvidenceSet
from airflow_mlsecops.core.policy import quorum
from airflow_mlsecops.core.policy.decision import Reason
from airflow_mlsecops.core.policy.requirement import Requirement


class No(Exception):  # noqa: N818 - not an error: the way a requirement says NO
    """A requirement isn't met, and why."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.reason = Reason(code, text)


class Times(NamedTuple):
    """The current time, and the moment of the decision, from which ages are counted."""

    now: datetime
    decided_at: datetime


def candidates(requirement: Requirement, evidence: EvidenceSet) -> list[Evidence]:
    """The verified statements of the asked kind by the asked signers, or a NO that also names what was refused."""
    found = asked(requirement, evidence.of(requirement.evidence))
    if not found:
        raise no_evidence(requirement, evidence)
    return found


def asked(requirement: Requirement, items: tuple[Evidence, ...]) -> list[Evidence]:
    """Those of the signers, and of signers with the roles, that the requirement names."""
    return [
        item
        for item in items
        if (not requirement.signed_by or item.signer in requirement.signed_by)
        and (not requirement.signer_roles or item.roles & requirement.signer_roles)
    ]


def no_evidence(requirement: Requirement, evidence: EvidenceSet) -> No:
    """That nothing of the kind counts, and what was refused, if something was."""
    by = f" signed by {' or '.join(sorted(requirement.signed_by))}" if requirement.signed_by else ""
    by += (
        f" by a signer with the role {' or '.join(sorted(requirement.signer_roles))}"
        if requirement.signer_roles
        else ""
    )
    refused = [item for item in evidence.refused if f"/{requirement.evidence}/" in item.key]
    also = f" ({len(refused)} refused: {refused[0].reason})" if refused else ""
    return No("evidence-missing", f"no valid {requirement.control or requirement.evidence}{by}{also}")


def check_age(requirement: Requirement, made: datetime, times: Times) -> None:
    """Say NO to what is dated ahead, or is older than the requirement allows."""
    what = requirement.control or requirement.evidence
    if made > times.now + CLOCK_SKEW:
        raise No("evidence-from-the-future", f"the {what} is dated {to_text(made)}")
    if requirement.max_age is not None and times.decided_at - made > requirement.max_age:
        raise No("evidence-stale", f"the {what} of {to_text(made)} is older than {requirement.max_age}")


def agreed(
    requirement: Requirement, said: Sequence[tuple[datetime, Hashable, Evidence]], times: Times
) -> list[Evidence]:
    """Of statements with their time and what they say: the newest or, if it takes several signers, one of each."""
    _, _, newest = max(said, key=lambda each: (each[0], str(each[1]), each[2].digest))
    check_age(requirement, max(made for made, _, _ in said), times)
    needed = quorum.needed(item for _, _, item in said)
    if needed == 1:
        return [newest]
    latest: dict[tuple[str, Hashable], tuple[datetime, Hashable, Evidence]] = {}
    for made, what, item in sorted(said, key=lambda each: (each[0], each[2].digest)):
        latest[item.signer, what] = (made, what, item)
    fresh = [(what, item) for made, what, item in latest.values() if _is_fresh(requirement, made, times)]
    agreeing = quorum.agreeing(fresh)
    if quorum.signers(agreeing) < needed:
        raise too_few(requirement, quorum.signers(agreeing), needed)
    return agreeing


def _is_fresh(requirement: Requirement, made: datetime, times: Times) -> bool:
    try:
        check_age(requirement, made, times)
    except No:
        return False
    return True


def too_few(requirement: Requirement, found: int, needed: int) -> No:
    """That fewer signers say it than the trust policy asks for."""
    what = requirement.control or requirement.evidence
    return No("signers-missing", f"{found} of {needed} different signers say the same in the {what}")
