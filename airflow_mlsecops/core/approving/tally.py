"""Where a request stands: a pure count of verified answers, under the terms that were signed when it was asked.

Whoever waits, asks or shows counts with this one function, from the store's verified statements; never from a task's
state, an event or an XCom.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.evidence import CLOCK_SKEW, Evidence
from airflow_mlsecops.core.policy import quorum
from airflow_mlsecops.core.policy.quorum import Answer
from airflow_mlsecops.core.predicates.approval import Assurance, Decision
from airflow_mlsecops.core.predicates.approval_request import ApprovalRequest


class State(StrEnum):
    """Where a request stands. Only ``approved`` is a YES."""

    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"


@dataclass(frozen=True)
class Uncounted:
    """An answer that doesn't count, and why."""

    answer: Answer
    reason: str

    def __str__(self) -> str:
        return f"{self.answer.said.approver}: {self.reason}"


@dataclass(frozen=True)
class Standing:
    """Where a request stands; ``bool(standing)`` is true only if enough people approved.

    Attributes:
        state: in one word.
        counted: the approvals that count, one of each person.
        rejections: those that nobody took back; one is enough.
        uncounted: what doesn't count, and why.
        needed: how many more people have to approve.
    """

    state: State
    counted: tuple[Answer, ...]
    rejections: tuple[Answer, ...]
    uncounted: tuple[Uncounted, ...]
    needed: int

    def __bool__(self) -> bool:
        return self.state is State.APPROVED


def tally(request: ApprovalRequest, request_digest: Sha256, answers: Sequence[Answer], now: datetime) -> Standing:
    """Count the answers to a request.

    1. An answer names this request's digest, comes from somebody who was asked, and from nobody who is excluded.
    2. One rejection that its own author didn't take back ends it, however sure the identity is.
    3. A request that has expired approves nothing, whatever was answered before.
    4. An approval counts at the level that is asked for, given in time, still valid, with a reason if one is asked for,
       and unless the same person rejected since.
    5. Enough different people approved: different by id and by name. If the trust policy has a threshold for approvals,
       enough different signers recorded them.

    The caller still owes: that the request and every answer are verified evidence about the artifact in question.

    Args:
        request: the terms, as signed.
        request_digest: digest of the bundle that asked.
        answers: all verified approvals and rejections about the artifact, also rejections that were withdrawn.
        now: the current time.
    """
    ordered = sorted(answers, key=lambda each: (each.said.decided_at, each.item.digest), reverse=True)
    uncounted: list[Uncounted] = []
    # 1.
    asked = _sift(ordered, lambda each: _not_asked(request, request_digest, each), uncounted)
    # 2.
    rejections = tuple(quorum.unlifted(asked))
    # 4.
    said_no = [each for each in asked if each.said.decision is Decision.REJECTED]
    approvals = [each for each in asked if each.said.decision is Decision.APPROVED]
    good = _sift(approvals, lambda each: _no_approval(request, each, said_no, now), uncounted)
    # 5.
    counted, items = different_people(good), [each.item for each in good]
    needed = max(0, request.quorum - len(counted), _signers_needed(items))
    # 3.
    if rejections:
        state = State.REJECTED
    elif now > request.expires_at:
        state = State.EXPIRED
    else:
        state = State.WAITING if needed else State.APPROVED
    return Standing(state, counted, rejections, tuple(uncounted), needed)


def different_people(approvals: Sequence[Answer]) -> tuple[Answer, ...]:
    """As many of these approvals as possible of which no two share an id, and no two a name.

    The largest matching between ids and names, by augmenting paths (C. Berge, 1957). Another approval can only make it
    larger; to take for one person whatever is linked by an id or a name would let one more answer, under the id of one
    and the name of another, make one person of two.
    """
    edges: dict[str, dict[str, Answer]] = {}
    for each in approvals:
        edges.setdefault(each.identity, {}).setdefault(each.name, each)
    taken: dict[str, str] = {}

    def assign(identity: str, tried: set[str]) -> bool:
        for name in edges[identity]:
            if name not in tried:
                tried.add(name)
                if name not in taken or assign(taken[name], tried):
                    taken[name] = identity
                    return True
        return False

    for identity in edges:
        assign(identity, set())
    return tuple(edges[identity][name] for name, identity in taken.items())


def _signers_needed(items: Sequence[Evidence]) -> int:
    """How many more signers it takes, if the trust policy asks for several."""
    return quorum.needed(items) - quorum.signers(items) if items else 0


def _sift(answers: Iterable[Answer], why_not: Callable[[Answer], str], uncounted: list[Uncounted]) -> list[Answer]:
    kept = []
    for each in answers:
        if reason := why_not(each):
            uncounted.append(Uncounted(each, reason))
        else:
            kept.append(each)
    return kept


def why_not_asked(request: ApprovalRequest, identity: str, name: str) -> str:
    """Why somebody can't answer a request; empty for one who can."""
    if {identity, name} & request.barred:
        return "triggered the run, or made or signed the artifact, and can't decide about it"
    # By id alone: a name can be chosen.
    return "" if not request.approvers or identity in request.approvers else "isn't one of those who were asked"


def why_not_under(request: ApprovalRequest, request_digest: Sha256, answer: Answer, now: datetime) -> str:
    """Why an approval doesn't count under the terms of a request, whatever else was answered; empty if it does."""
    return _not_asked(request, request_digest, answer) or _no_approval(request, answer, (), now)


def _not_asked(request: ApprovalRequest, request_digest: Sha256, answer: Answer) -> str:
    if answer.said.request != request_digest:
        return "answers another request"
    return why_not_asked(request, answer.identity, answer.name)


def _no_approval(request: ApprovalRequest, answer: Answer, rejections: Sequence[Answer], now: datetime) -> str:
    said = answer.said
    given = max(said.decided_at, answer.item.trusted_time or said.decided_at)
    ends = [said.expires_at] if said.expires_at else []
    ends += [said.decided_at + request.valid_for] if request.valid_for is not None else []
    if request.level is Assurance.SIGNED and answer.level is not Assurance.SIGNED:
        return "is only recorded, and the person's own signature is asked for"
    if given > request.expires_at or said.decided_at < request.requested_at - CLOCK_SKEW:
        return f"was given at {to_text(given)}, and the request is open until {to_text(request.expires_at)}"
    if given > now + CLOCK_SKEW:
        return f"is dated {to_text(given)}, which is ahead"
    if ends and now > min(ends):
        return f"expired at {to_text(min(ends))}"
    if request.reason_required and not said.reason.strip():
        return "gives no reason"
    later = [each for each in rejections if each.said.decided_at >= said.decided_at and each.names & answer.names]
    return "was followed by a rejection" if later else ""
