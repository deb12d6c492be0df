"""The promotions of one name, put into their order: the audit trail.

Each promotion names the one before it. Where two name the same one, the evidence log's order decides: the first is in
the chain, the other never counts. Without a log nothing says which was first; then nothing stands at any stage until
one of the two is revoked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import CLOCK_SKEW, Evidence, EvidenceSet, Refused, refuse
from airflow_mlsecops.core.evidence_reader import EvidenceReader
from airflow_mlsecops.core.predicates import PROMOTION
from airflow_mlsecops.core.predicates import promotion as promotion_predicate
from airflow_mlsecops.core.predicates.promotion import Action, Promotion
from airflow_mlsecops.core.predicates.topic import MODEL_LINE, Topic
from airflow_mlsecops.core.store.evidence_store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy


@dataclass(frozen=True)
class Step:
    """One promotion in the chain.

    Attributes:
        evidence: the verified statement.
        said: what it says.
        problem: why it doesn't count; empty if it does. It keeps its place in the chain all the same.
    """

    evidence: Evidence
    said: Promotion
    problem: str = ""

    @property
    def version(self) -> tuple[str, Any]:
        """Version and the bytes that it stands for."""
        return self.said.release.version, self.said.artifact.identity


@dataclass(frozen=True)
class Gap:
    """A promotion that the chain names, and that isn't there or doesn't verify.

    Attributes:
        before: index of the step that names it.
        missing: its evidence digest.
        reason: why it doesn't count, if it is there.
    """

    before: int
    missing: str
    reason: str


@dataclass(frozen=True)
class History:
    """All promotions of a name; ``bool(history)`` is true if the chain is whole.

    Attributes:
        name: the model's.
        steps: the chain, oldest first.
        lost: promotions that another one came before, or that follow such a one. They never count.
        gaps: what the chain names and doesn't have.
        refused: what lies there and was signed by nobody who may.
        broken: what makes every answer about the name NO.
        checkpoint: the state of the log that it was held against; empty without one.
    """

    name: str
    steps: tuple[Step, ...] = ()
    lost: tuple[Step, ...] = ()
    gaps: tuple[Gap, ...] = ()
    refused: tuple[Refused, ...] = ()
    broken: tuple[Refused, ...] = ()
    checkpoint: bytes = b""

    def __bool__(self) -> bool:
        return bool(self.steps) and not self.gaps and not self.broken

    @property
    def head(self) -> Step | None:
        """The newest promotion, whatever its stage."""
        return self.steps[-1] if self.steps else None

    def at(self, stage: str) -> Step | None:
        """The newest promotion to this stage, whether or not it counts."""
        return next((step for step in reversed(self.steps) if step.said.release.stage == stage), None)

    def objections(self, stage: str) -> list[str]:
        """Why nothing can be said of this stage, or nothing stands there."""
        reasons = [f"{item.key}: {item.reason}" for item in self.broken]
        step = self.at(stage)
        if step is None:
            return reasons or [f"no version of {self.name} was ever promoted to {stage}"]
        if step.problem:
            reasons.append(f"the newest promotion to {stage}, version {step.said.release.version}: {step.problem}")
        place = self.steps.index(step)
        # What is missing after it may have replaced it; what is missing before it can't have.
        reasons += [
            f"promotion {gap.missing[:16]}…, which came after it, {gap.reason}"
            for gap in self.gaps
            if gap.before > place
        ]
        return reasons


@dataclass
class _Walk:
    steps: list[Step] = field(default_factory=list)
    lost: list[Step] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    forked: str = ""


def read_history(store: EvidenceStore, name: str, trust: TrustPolicy, now: datetime, since: bytes = b"") -> History:
    """Read, judge and order the promotions of ``name``.

    1. Signature, role, revocations and log of each; see :class:`.evidence_reader.EvidenceReader`.
    2. One that says something else than its place, or that can't be read, breaks the chain.
    3. They are put into the order in which each follows the one before it.
    4. One that was withdrawn, gives a known version to other bytes, is dated ahead or goes back to what never stood
       there keeps its place and doesn't count.

    The caller still owes: whether a gate released the bytes, now; see :func:`.current.current`.

    Args:
        store: the evidence.
        name: the model's.
        trust: who may promote, and which log must have it.
        now: the current time.
        since: a checkpoint of an earlier reading, of which the log must be a continuation.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    topic = Topic(MODEL_LINE, name)
    # 1.
    reader = EvidenceReader.open(store, trust, now, since)
    evidence = reader.complete({topic.digest: reader.collect(topic.digest)})[topic.digest]
    checkpoint = reader.checkpoint.raw if reader.checkpoint is not None else b""
    # 2.
    members, broken = _members(evidence, logged=trust.log is not None and trust.log.required)
    # 3.
    walk = _walk(members, {item.digest: item.reason for item in evidence.refused}, logged=bool(checkpoint))
    if walk.forked:
        key = f"bundles/{topic.digest}/{PROMOTION.slug}"
        broken.append(Refused("", key, "promotion-fork", walk.forked))
    # 4.
    steps = tuple(_judged(walk.steps, now))
    refused = tuple(item for item in evidence.refused if item.digest not in {m.evidence.digest for m in members})
    return History(name, steps, tuple(walk.lost), tuple(walk.gaps), refused, (*evidence.broken, *broken), checkpoint)


def _members(evidence: EvidenceSet, *, logged: bool) -> tuple[list[Step], list[Refused]]:
    """What can stand in the chain: what verified, and what did and was withdrawn since."""
    why = {item.digest: item.reason for item in evidence.refused}
    found = [(item, "") for item in evidence.of(PROMOTION.slug)]
    # What the log doesn't have isn't in the chain at all: it could have been written at any time.
    found += [
        (item, why.get(item.digest, "it was withdrawn"))
        for item in evidence.withdrawn_of(PROMOTION.slug)
        if item.place is not None or not logged
    ]
    members, broken = [], []
    for item, problem in found:
        try:
            said = promotion_predicate.parse(item.statement)
            promotion_predicate.check_subjects(item.statement, said)
        except StatementError as error:
            broken.append(refuse(item, evidence.subject, error.code, error.message))
            continue
        members.append(Step(item, said, problem))
    return members, broken


def _walk(members: Sequence[Step], why: dict[str, str], *, logged: bool) -> _Walk:
    """Follow the links from the first promotion on."""
    walk, head = _Walk(), ""
    known = {step.evidence.digest for step in members}
    following: defaultdict[str, list[Step]] = defaultdict(list)
    for step in members:
        following[step.said.previous or ""].append(step)
    while following:
        siblings = following.pop(head, [])
        if not siblings:
            unknown = [missing for missing in following if missing and missing not in known]
            if not unknown:
                break
            first = _first([step for missing in unknown for step in following[missing]], logged=logged)
            if first is None:
                walk.forked = _fork(step for missing in unknown for step in following[missing])
                return walk
            head = first.said.previous or ""
            walk.gaps.append(Gap(len(walk.steps), head, why.get(head, "is gone")))
            continue
        first = _first(siblings, logged=logged)
        if first is None:
            walk.forked = _fork(siblings)
            return walk
        walk.steps.append(first)
        walk.lost += [step for step in siblings if step is not first]
        head = first.evidence.digest
    walk.lost += [step for steps in following.values() for step in steps]
    return walk


def _first(siblings: Sequence[Step], *, logged: bool) -> Step | None:
    """Which of several that follow the same one was first: the log's order says; without a log, nobody."""
    if len(siblings) == 1:
        return siblings[0]
    placed = [step for step in siblings if step.evidence.place is not None]
    if logged and placed:
        return min(placed, key=lambda step: step.evidence.place or 0)
    counting = [step for step in siblings if not step.problem]
    return counting[0] if len(counting) == 1 else None


def _fork(steps: Iterable[Step]) -> str:
    names = ", ".join(sorted(f"{step.said.release.version} ({step.evidence.digest[:16]}…)" for step in steps))
    return f"{names} follow the same promotion, and without a log nothing says which was first: revoke all but one"


def _judged(steps: Iterable[Step], now: datetime) -> Iterable[Step]:
    versions: dict[str, Any] = {}
    stood: set[tuple[str, str, Any]] = set()
    for step in steps:
        release, (version, identity) = step.said.release, step.version
        problem = step.problem
        if step.said.promoted_at > now + CLOCK_SKEW:
            problem = problem or f"it is dated {to_text(step.said.promoted_at)}, which is ahead"
        # A withdrawn promotion, too, used its version up.
        if versions.setdefault(version, identity) != identity:
            problem = problem or f"version {version} stands for other bytes"
        if release.action is Action.ROLLBACK and (release.stage, version, identity) not in stood:
            problem = problem or f"a rollback to what never stood at {release.stage}"
        if not problem:
            stood.add((release.stage, version, identity))
        yield replace(step, problem=problem)
