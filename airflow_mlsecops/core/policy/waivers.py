"""Waivers: signed, dated, and only of what the policy says may be waived."""

from __future__ import annotations

from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import CLOCK_SKEW, Evidence, EvidenceSet
from airflow_mlsecops.core.policy import quorum
from airflow_mlsecops.core.policy.checking import Times
from airflow_mlsecops.core.policy.decision import Reason
from airflow_mlsecops.core.policy.requirement import Requirement
from airflow_mlsecops.core.predicates import WAIVER, waiver

WAIVABLE = frozenset(
    {"evidence-missing", "evidence-stale", "verdict", "metric", "licence", "licence-missing", "signers-missing"}
)
"""Reasons that a waiver can excuse. What can't be read, lies ahead or is revoked is none of them."""


def excuse(
    requirement: Requirement, policy: str, reason: Reason, evidence: EvidenceSet, times: Times
) -> tuple[str, list[Evidence]] | None:
    """The waivers that excuse this, told in a sentence; None if none does.

    1. The policy lets this requirement be waived, and the reason is one that can be.
    2. A waiver names this policy and this requirement, and is about this artifact.
    3. It isn't dated ahead, hasn't ended *now* (also if the gate decided before), and isn't too long for the policy.
    4. As many different signers gave one as the trust policy asks for.
    """
    # 1.
    if requirement.waivable is None or reason.code not in WAIVABLE:
        return None
    good: list[tuple[waiver.Waiver, Evidence]] = []
    for item in evidence.of(WAIVER.slug):
        try:
            said = waiver.parse(item.statement)
        except StatementError:
            continue
        # 2. and 3.
        meant = (said.policy, said.requirement) == (policy, requirement.id)
        current = said.waived_at <= times.now + CLOCK_SKEW and times.now < said.expires_at
        if meant and current and said.expires_at - said.waived_at <= requirement.waivable:
            good.append((said, item))
    # 4.
    items = [item for _, item in good]
    if not items or quorum.signers(items) < quorum.needed(items):
        return None
    said, item = max(good, key=lambda pair: (pair[0].expires_at, pair[1].digest))
    told = f"waived until {to_text(said.expires_at)} by {said.by} ({item.signer}): {said.reason}"
    return told, items if quorum.needed(items) > 1 else [item]
