"""People were asked to decide: ours, ``approval-request/v1``. An answer names the digest of the bundle that asked.

It says what was on the screen and under which terms an answer counts, so that neither can be changed afterwards. Its
subjects are the artifact and the store's requests (:data:`.topic.REQUESTS`), so that whoever is asked finds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.digest import Sha256, parse_sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.approval import Assurance
from airflow_mlsecops.core.predicates.fields import mapping, objects, text
from airflow_mlsecops.core.predicates.topic import REQUESTS, Topic
from airflow_mlsecops.core.predicates.types import APPROVAL_REQUEST
from airflow_mlsecops.core.statement import Statement

EVERY_REQUEST = Topic(REQUESTS, "all")
"""The subject under which all requests of a store lie."""
MAX_LINE = 1000
MAX_VALID_FOR = timedelta(days=36_500)
"""A hundred years: what is longer has no end."""
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Shown:
    """One piece of evidence as it stood on the screen: its bundle, what it is, what it says, and why."""

    digest: Sha256
    what: str
    verdict: str
    summary: str


@dataclass(frozen=True)
class ApprovalRequest:
    """What a verified request says.

    Attributes:
        shown: the evidence on the screen.
        missing: what was asked for and isn't there, one sentence each.
        changes: what is different from the last release, one sentence each.
        approvers: ids of those who may answer; empty for everybody with the right to.
        excluded: ids and names of those who may not, because they triggered the run or signed the artifact.
        quorum: how many different people have to approve.
        level: how sure each person's identity has to be.
        triggered_by: who triggered the run that asks; nobody may answer a request that doesn't know.
        requested_at: when it was asked.
        expires_at: until when it may be answered.
        valid_for: how long an approval counts once it is given; ``None`` for no end.
        reason_required: whether an approval without a reason counts for nothing.
    """

    shown: tuple[Shown, ...]
    missing: tuple[str, ...]
    changes: tuple[str, ...]
    approvers: tuple[str, ...]
    excluded: tuple[str, ...]
    quorum: int
    level: Assurance
    triggered_by: str
    requested_at: datetime
    expires_at: datetime
    valid_for: timedelta | None = None
    reason_required: bool = True

    @property
    def able(self) -> tuple[str, ...]:
        """Those who are asked and may answer; empty for everybody with the right to who isn't excluded."""
        return tuple(sorted(set(self.approvers) - set(self.excluded)))

    @property
    def barred(self) -> frozenset[str]:
        """Ids and names of those who may not answer: who was excluded, and who triggered the run."""
        return frozenset({*self.excluded, self.triggered_by})


def build(artifact: Artifact, request: ApprovalRequest, run: Mapping[str, Any]) -> Statement:
    """The statement that people are asked about ``artifact``.

    Args:
        artifact: what is to be decided on; a changed one has another digest and needs another request.
        request: what is on the screen, and the terms.
        run: which orchestrator's task asks.

    Raises:
        StatementError: if the terms can't be met: nobody asked, or fewer people than the quorum.
    """
    _check_terms(request)
    return Statement.build(
        [artifact, EVERY_REQUEST],
        APPROVAL_REQUEST.uri,
        {
            "shown": [
                {
                    "digest": {"sha256": item.digest},
                    "what": item.what[:MAX_LINE],
                    "verdict": item.verdict[:MAX_LINE],
                    "summary": item.summary[:MAX_LINE],
                }
                for item in sorted(request.shown, key=lambda item: item.digest)
            ],
            "missing": [line[:MAX_LINE] for line in request.missing],
            "changes": [line[:MAX_LINE] for line in request.changes],
            "approvers": sorted(request.approvers),
            "excluded": sorted(request.excluded),
            "quorum": request.quorum,
            "level": request.level.value,
            "triggeredBy": request.triggered_by,
            "requestedAt": to_text(request.requested_at),
            "expiresAt": to_text(request.expires_at),
            **({"validForSeconds": request.valid_for // _SECOND} if request.valid_for is not None else {}),
            "reasonRequired": request.reason_required,
            "run": dict(run),
        },
    )


def parse(statement: Statement) -> ApprovalRequest:
    """Read a request.

    Raises:
        StatementError: if a field is missing or of another type, or the terms can't be met.
    """
    if statement.predicate_type != APPROVAL_REQUEST.uri:
        raise StatementError(f"expected {APPROVAL_REQUEST.uri}, got {statement.predicate_type}")
    value = statement.predicate
    mapping(value, "run")
    request = ApprovalRequest(
        shown=tuple(_shown(item) for item in objects(value, "shown")),
        missing=_texts(value, "missing"),
        changes=_texts(value, "changes"),
        approvers=_texts(value, "approvers"),
        excluded=_texts(value, "excluded"),
        quorum=_whole(value, "quorum"),
        level=_level(text(value, "level")),
        triggered_by=text(value, "triggeredBy"),
        requested_at=from_text(text(value, "requestedAt")),
        expires_at=from_text(text(value, "expiresAt")),
        valid_for=_duration(_whole(value, "validForSeconds")) if "validForSeconds" in value else None,
        reason_required=_truth(value, "reasonRequired"),
    )
    _check_terms(request)
    return request


def _check_terms(request: ApprovalRequest) -> None:
    if request.quorum < 1:
        raise StatementError(f"expected a quorum of 1 or more, got {request.quorum}", "nothing is approved by nobody")
    if request.valid_for is not None and not _SECOND <= request.valid_for <= MAX_VALID_FOR:
        raise StatementError(
            f"expected approvals to count for a second up to {MAX_VALID_FOR.days} days, got {request.valid_for}",
            "leave it out for no end",
        )
    if not request.triggered_by.strip():
        raise StatementError("a request has to know who triggered its run", "nobody can be told apart from nobody")
    if request.expires_at <= request.requested_at:
        raise StatementError(f"expected an end after the start, got {to_text(request.expires_at)}")
    if request.approvers and len(request.able) < request.quorum:
        raise StatementError(
            f"expected {request.quorum} or more who may answer, got {len(request.able)}",
            "name more approvers, or have somebody else trigger the run",
        )


def _level(name: str) -> Assurance:
    try:
        return Assurance(name)
    except ValueError as error:
        raise StatementError(f"expected a level of {' or '.join(Assurance)}, got {name[:100]!r}") from error


def _whole(value: Mapping[str, Any], key: str) -> int:
    found = value.get(key)
    if not isinstance(found, int) or isinstance(found, bool):
        raise StatementError(f"predicate field {key!r}: expected a whole number, got {type(found).__name__}")
    return found


def _truth(value: Mapping[str, Any], key: str) -> bool:
    found = value.get(key)
    if not isinstance(found, bool):
        raise StatementError(f"predicate field {key!r}: expected true or false, got {type(found).__name__}")
    return found


def _duration(seconds: int) -> timedelta:
    try:
        return timedelta(seconds=seconds)
    except OverflowError as error:
        raise StatementError(f"predicate field 'validForSeconds': {seconds} is no duration") from error


def _shown(item: Mapping[str, Any]) -> Shown:
    digest = parse_sha256(mapping(item, "digest").get("sha256"))
    return Shown(digest, text(item, "what"), text(item, "verdict"), text(item, "summary"))


def _texts(value: Mapping[str, Any], key: str) -> tuple[str, ...]:
    found: Sequence[Any] | None = value.get(key)
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        raise StatementError(f"predicate field {key!r}: expected a list of texts, got {type(found).__name__}")
    return tuple(found)
