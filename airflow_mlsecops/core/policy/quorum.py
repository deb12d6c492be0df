"""How many different signers say the same, and how many different people: a role can ask for several."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from airflow_mlsecops.core.evidence import Evidence
from airflow_mlsecops.core.predicates.approval import Approval, Assurance, Decision


def needed(items: Iterable[Evidence]) -> int:
    """How many signers statements like these need."""
    return max((item.threshold for item in items), default=1)


def signers(items: Iterable[Evidence]) -> int:
    """How many signers there are, different by name and by key or identity."""
    found = list(items)
    return min(len({item.signer for item in found}), len({item.signed_with for item in found}))


def agreeing(said: Iterable[tuple[Hashable, Evidence]]) -> list[Evidence]:
    """Of statements, each with what it says, those of the largest number of signers who say the same.

    Whatever is added to them never makes that number smaller.
    """
    ordered: list[tuple[Any, Evidence]] = sorted(said, key=lambda pair: (repr(pair[0]), pair[1].digest))
    groups = [[item for _, item in group] for _, group in groupby(ordered, key=lambda pair: pair[0])]
    return max(groups, key=signers, default=[])


@dataclass(frozen=True)
class Answer:
    """What one person said, as far as the evidence shows it.

    Attributes:
        level: how sure that is.
        said: the statement, read.
        item: the statement.
    """

    level: Assurance
    said: Approval
    item: Evidence

    @property
    def identity(self) -> str:
        """The person's id. An own key speaks for its person, whatever the statement says."""
        return self.item.person or self.said.approver_id

    @property
    def name(self) -> str:
        """The person's name; of an own key the id that the trust policy gives."""
        return self.item.person or self.said.approver

    @property
    def names(self) -> frozenset[str]:
        """Both."""
        return frozenset({self.identity, self.name})


def answer(said: Approval, item: Evidence) -> Answer:
    """Whose answer it is, and how sure that is.

    A key that the trust policy gives to a person speaks for that person, whatever the statement says. It takes both for
    ``signed``: such a key, and a statement that says so; a gate's key can claim it, and never make it so.
    """
    signed = item.person and said.assurance is Assurance.SIGNED
    return Answer(Assurance.SIGNED if signed else Assurance.RECORDED, said, item)


def unlifted(answers: Iterable[Answer]) -> list[Answer]:
    """The rejections that nobody took back; the newest first.

    A rejection is taken back by a later approval of the same person: by the same key, if it was signed with a person's
    own key; otherwise by such a key of that person, or under the same id. Sharing a name alone takes nothing back.
    """
    said = list(answers)
    approvals = [each for each in said if each.said.decision is Decision.APPROVED]
    rejections = [each for each in said if each.said.decision is Decision.REJECTED]
    standing = [each for each in rejections if not any(_lifts(approval, each) for approval in approvals)]
    return sorted(standing, key=lambda each: (each.said.decided_at, each.item.digest), reverse=True)


def _lifts(approval: Answer, rejection: Answer) -> bool:
    if approval.said.decided_at <= rejection.said.decided_at:
        return False
    if rejection.item.person:
        return approval.item.person == rejection.item.person
    if approval.item.person:
        return approval.item.person in rejection.names
    return approval.said.approver_id == rejection.said.approver_id


def by_person(answers: Iterable[Answer]) -> list[list[Answer]]:
    """What each person said, the newest first; a rejection before an approval of the same moment.

    Answers that share an id or a name are one person's.
    """
    people: list[tuple[set[str], list[Answer]]] = []
    for each in sorted(answers, key=lambda each: each.item.digest):
        same = [person for person in people if person[0] & each.names]
        joined = (set(each.names).union(*(p[0] for p in same)), [each, *(a for p in same for a in p[1])])
        people = [person for person in people if person not in same] + [joined]
    for _, said in people:
        said.sort(key=lambda each: (each.said.decided_at, each.said.decision is Decision.REJECTED), reverse=True)
    return [said for _, said in people]


def standing(said: Sequence[Answer], level: Assurance) -> Answer | None:
    """Of one person's answers the newest approval of at least this level since that person last rejected."""
    for each in said:
        if each.said.decision is Decision.REJECTED:
            return None
        if level is Assurance.RECORDED or each.level is level:
            return each
    return None
