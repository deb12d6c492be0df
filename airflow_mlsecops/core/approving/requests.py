"""The requests in a store: which can still be answered, what they are about, and for whom they wait."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.approving.answers import answers_in, unlogged_answers
from airflow_mlsecops.core.approving.errors import (
    AlreadyAnsweredError,
    AnswerRefusedError,
    ApproverExcludedError,
    ApproverNotAskedError,
    RequestDecidedError,
    RequestExpiredError,
    RequestUnknownError,
)
from airflow_mlsecops.core.approving.tally import Standing, tally
from airflow_mlsecops.core.artifact import Form, Identity, Kind
from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import CLOCK_SKEW, Refused, collect, refuse
from airflow_mlsecops.core.policy import Dossier, gather, gather_all
from airflow_mlsecops.core.policy.quorum import Answer
from airflow_mlsecops.core.predicates import APPROVAL_REQUEST, approval_request
from airflow_mlsecops.core.predicates.approval import Assurance, Decision
from airflow_mlsecops.core.predicates.approval_request import EVERY_REQUEST, ApprovalRequest
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.telling import run_of
from airflow_mlsecops.core.trust import TrustPolicy


@dataclass(frozen=True)
class About:
    """The artifact that a request is about, as the request names it."""

    name: str
    identity: Identity

    def __str__(self) -> str:
        return f"{self.identity.kind} {self.name}"

    @property
    def subject(self) -> dict[str, Any]:
        """As an in-toto ResourceDescriptor."""
        marks = {"kind": self.identity.kind, "form": self.identity.form}
        return {"name": self.name, "digest": {"sha256": self.identity.digest}, "annotations": marks}


@dataclass(frozen=True)
class Asked:
    """One verified request.

    Attributes:
        digest: that of its bundle; answers name it.
        about: the artifact.
        said: what is asked, of whom, until when.
        signer: who asks, as the trust policy calls it.
        run: which orchestrator's task asks.
    """

    digest: Sha256
    about: About
    said: ApprovalRequest
    signer: str
    run: Mapping[str, Any]

    def check_time(self, now: datetime) -> None:
        """Check that it can be answered now.

        Raises:
            RequestExpiredError: if its time is over.
            AnswerRefusedError: if it hasn't come yet.
        """
        if now > self.said.expires_at:
            raise RequestExpiredError(
                f"the request could be answered until {to_text(self.said.expires_at)}", "clear the gate to ask again"
            )
        if self.said.requested_at > now + CLOCK_SKEW:
            raise AnswerRefusedError(
                f"the request is dated {to_text(self.said.requested_at)}, which is ahead", "set the clocks"
            )


@dataclass(frozen=True)
class Requests:
    """What a store holds of requests.

    Attributes:
        asked: those that count, the oldest first; also those whose time is over.
        refused: what doesn't count, and why.
        broken: what was changed or taken away.
    """

    asked: tuple[Asked, ...]
    refused: tuple[Refused, ...]
    broken: tuple[Refused, ...]


@dataclass(frozen=True)
class Case:
    """A request, with the evidence of now and what was answered so far.

    Attributes:
        asked: the request.
        dossier: all evidence about the artifact and what it came from.
        standing: where it stands.
        given: what people answered, also what the log doesn't have yet.
    """

    asked: Asked
    dossier: Dossier
    standing: Standing
    given: tuple[Answer, ...]

    def check_open(self, decision: Decision, now: datetime) -> None:
        """Check that this answer can still change something. Until its time is over, what was approved can be rejected.

        Raises:
            RequestExpiredError: if the time to answer is over.
            RequestDecidedError: if it was rejected, or enough people approved.
        """
        self.asked.check_time(now)
        if self.standing.rejections:
            by = ", ".join(each.said.approver for each in self.standing.rejections)
            raise RequestDecidedError(f"{by} rejected it already", "mend what was wrong, and have it asked again")
        if self.standing and decision is Decision.APPROVED:
            raise RequestDecidedError("enough people approved it already", "nothing is left to do")

    def check_person(self, person: str, signer: str, decision: Decision, now: datetime) -> None:
        """Check that this person may give this answer.

        Args:
            person: the id, as the trust policy gives it.
            signer: the name of the person's key in the trust policy.
            decision: what the person wants to say.
            now: the current time; an approval that has expired can be given anew.

        Raises:
            ApproverExcludedError: if the person triggered the run, or signed the artifact.
            ApproverNotAskedError: if others are asked.
            AlreadyAnsweredError: if the person signed that already.
        """
        said = self.asked.said
        excluded = {person, signer} & said.barred
        if excluded:
            raise ApproverExcludedError(
                f"{', '.join(sorted(excluded))} triggered the run or signed the artifact", "somebody else has to decide"
            )
        if said.approvers and person not in said.approvers:
            raise ApproverNotAskedError(
                f"{person} is not among those who are asked: {', '.join(said.approvers)}", "leave it to them"
            )
        own = [each for each in self.given if each.item.person == person and _is_signed(each, now)]
        newest = max(own, key=lambda each: each.said.decided_at, default=None)
        if newest is not None and newest.said.decision is decision:
            raise AlreadyAnsweredError(
                f"{person} {decision} it at {to_text(newest.said.decided_at)}", "one person counts once"
            )

    def waits_for(self, person: str, signer: str, now: datetime) -> bool:
        """Whether an answer of this person could still change something."""
        try:
            self.check_open(Decision.APPROVED, now)
            self.check_person(person, signer, Decision.APPROVED, now)
        except AnswerRefusedError:
            return False
        return True


def read_requests(
    store: EvidenceStore, trust: TrustPolicy, now: datetime, about: str = EVERY_REQUEST.digest
) -> Requests:
    """The verified requests of a store, or those about one artifact.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    evidence = collect(store, about, trust, now)
    asked: list[Asked] = []
    refused = list(evidence.refused)
    for item in evidence.of(APPROVAL_REQUEST.slug):
        try:
            said = approval_request.parse(item.statement)
            asked.append(Asked(item.digest, _about(item.statement), said, item.signer, run_of(item.statement)))
        except StatementError as error:
            refused.append(refuse(item, about, error.code, error.message))
    asked.sort(key=lambda each: (each.said.requested_at, each.digest))
    return Requests(tuple(asked), tuple(refused), evidence.broken)


def find_request(
    digest: str, store: EvidenceStore, trust: TrustPolicy, now: datetime, about: str = EVERY_REQUEST.digest
) -> Asked:
    """The verified request of that digest; faster if it is known which artifact it is about.

    Raises:
        RequestUnknownError: if there is none that counts.
        StoreUnavailableError: if the store can't be reached.
    """
    found = read_requests(store, trust, now, about)
    for asked in found.asked:
        if asked.digest == digest:
            return asked
    why = next((item.reason for item in (*found.refused, *found.broken) if item.digest == digest), "")
    if why:
        raise RequestUnknownError(
            f"the request {digest[:16]}… doesn't count: {why}", "don't answer it; ask who made it"
        )
    raise RequestUnknownError(f"no request {digest[:16]}… in {store}", "see `mlsecops requests`")


def open_case(asked: Asked, store: EvidenceStore, trust: TrustPolicy, now: datetime) -> Case:
    """Read what the store holds now about what is asked.

    Raises:
        StatementError: if a verified answer can't be read; it may be a rejection.
        StoreUnavailableError: if the store can't be reached.
    """
    return _case(asked, gather(store, asked.about.identity, trust, now), now)


def open_requests(store: EvidenceStore, trust: TrustPolicy, now: datetime) -> tuple[list[Case], Requests]:
    """The requests that can still be answered, each with what was answered so far; and all that was found.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    found, cases = read_requests(store, trust, now), []
    timely = [asked for asked in found.asked if _is_timely(asked, now)]
    dossiers = gather_all(store, [asked.about.identity for asked in timely], trust, now)
    for asked, dossier in zip(timely, dossiers, strict=True):
        try:
            case = _case(asked, dossier, now)
            case.check_open(Decision.APPROVED, now)
        except AnswerRefusedError:
            continue
        except StatementError as error:
            unread = Refused(asked.digest, f"request {asked.digest}", error.code, f"an answer to it: {error.message}")
            found = replace(found, refused=(*found.refused, unread))
            continue
        cases.append(case)
    return cases, found


def _is_timely(asked: Asked, now: datetime) -> bool:
    try:
        asked.check_time(now)
    except AnswerRefusedError:
        return False
    return True


def _case(asked: Asked, dossier: Dossier, now: datetime) -> Case:
    evidence = dossier.sets[asked.about.identity.digest]
    answers = answers_in(evidence)
    standing = tally(asked.said, asked.digest, answers, now)
    given = tuple(each for each in (*answers, *unlogged_answers(evidence)) if each.said.request == asked.digest)
    return Case(asked, dossier, standing, given)


def _is_signed(answer: Answer, now: datetime) -> bool:
    """Whether it is the person's own signature, and still valid."""
    return answer.level is Assurance.SIGNED and (answer.said.expires_at is None or now <= answer.said.expires_at)


def _about(statement: Statement) -> About:
    """The one artifact that a request is about.

    Raises:
        StatementError: if it is about none, several, or something that is no artifact.
    """
    pairs = zip(statement.subjects, statement.identities, strict=True)
    found = [About(name, identity) for (name, _), identity in pairs if identity != EVERY_REQUEST.identity]
    kinds, forms = {item.value for item in Kind}, {item.value for item in Form}
    if len(found) != 1 or found[0].identity.kind not in kinds or found[0].identity.form not in forms:
        raise StatementError(f"a request about {len(found)} artifacts", "a request asks about one")
    return found[0]
