"""Bills of materials, and the licences that they name."""

from __future__ import annotations

from datetime import datetime

from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet
from airflow_mlsecops.core.policy.checking import No, Times, agreed, asked, no_evidence
from airflow_mlsecops.core.policy.gather import Dossier
from airflow_mlsecops.core.policy.licences import covers
from airflow_mlsecops.core.policy.requirement import Requirement
from airflow_mlsecops.core.predicates import BOM, bom

_Said = tuple[datetime, tuple[str, ...], Evidence]


def check_bill(requirement: Requirement, evidence: EvidenceSet, dossier: Dossier, times: Times) -> list[Evidence]:
    """The newest bill counts; of equally new ones all of them.

    A bill speaks of an artifact if it is about it, or if it is about what was made from it and lists it by its digest
    with a licence. What was withdrawn still speaks against it.
    """
    said = _bills(requirement, evidence, dossier, withdrawn=False)
    if not requirement.licences:
        own = [each for each in said if each[2] in evidence.verified]
        if not own:
            raise no_evidence(requirement, evidence)
        return agreed(requirement, own, times)
    good = [each for each in said if each[1]]
    if not good:
        raise (
            No("licence-missing", "no valid bill of materials names its licence")
            if said
            else no_evidence(requirement, evidence)
        )
    newest = max(made for made, _, _ in good)
    for made, licences, _ in (*good, *_bills(requirement, evidence, dossier, withdrawn=True)):
        refused = [licence for licence in licences if not covers(requirement.licences, licence)]
        if made >= newest and refused:
            raise No("licence", f"its licence {' and '.join(refused)[:200]} isn't among those that are allowed")
    # Older ones may name licences that aren't allowed: they were corrected since, and back nothing.
    allowed = [each for each in good if all(covers(requirement.licences, licence) for licence in each[1])]
    return agreed(requirement, allowed, times)


def _bills(requirement: Requirement, evidence: EvidenceSet, dossier: Dossier, *, withdrawn: bool) -> list[_Said]:
    found: list[_Said] = []
    for subject, about in dossier.sets.items():
        for item in asked(requirement, about.withdrawn_of(BOM.slug) if withdrawn else about.of(BOM.slug)):
            if subject == evidence.subject:
                bill = bom.parse(item.statement)
                found.append((bill.made_at, bill.subject.licences, item))
                continue
            try:
                bill = bom.parse(item.statement)
            except StatementError:
                continue  # it is a NO where its own artifact is asked about
            parts = [part for part in bill.parts if part.digest == evidence.subject and part.licences]
            found += [(bill.made_at, part.licences, item) for part in parts]
    return found
