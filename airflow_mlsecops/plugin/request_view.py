"""A request for a decision: what was on the screen, whether it still holds, the terms, and who answered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from airflow_mlsecops.core.approving.errors import RequestUnknownError
from airflow_mlsecops.core.approving.requests import Case, find_request, open_case
from airflow_mlsecops.core.approving.screen import Row as ScreenRow
from airflow_mlsecops.core.approving.screen import shown, since_asked
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.approval_request import ApprovalRequest
from airflow_mlsecops.core.telling import dag_of
from airflow_mlsecops.plugin.links import Links
from airflow_mlsecops.plugin.problems import Problem, no_evidence
from airflow_mlsecops.plugin.rows import NotCounted, not_counted
from airflow_mlsecops.plugin.source import Source


@dataclass(frozen=True)
class Line:
    """One piece of evidence as it is now; ``url`` is empty if this person may not open it."""

    row: ScreenRow
    url: str


@dataclass(frozen=True)
class Given:
    """Somebody's answer; ``counts`` says whether it does, ``why`` why not."""

    by: str
    decision: str
    reason: str
    level: str
    when: datetime
    url: str
    why: str


@dataclass(frozen=True)
class RequestView:
    """What the page shows.

    Attributes:
        sha256, name: the artifact to decide on.
        digest: the request's evidence digest, which an answer names.
        state: ``waiting``, ``approved``, ``rejected`` or ``expired``.
        approved: how many different people approved.
        needed: how many more have to.
        terms: quorum, who may, until when.
        shown: the evidence that was on the screen.
        since: what was said since then.
        broken: what makes every answer a NO, whatever people say: it was revoked, changed or taken away.
        answers: the decisions so far, the newest first.
        statement_url: the request itself.
        action_url: where Airflow asks for the answer; empty if the request names no task.
        checked_at: when all this was verified.
    """

    sha256: str
    name: str
    digest: str
    state: str
    approved: int
    needed: int
    terms: ApprovalRequest
    shown: tuple[Line, ...]
    since: tuple[Line, ...]
    broken: tuple[NotCounted, ...]
    answers: tuple[Given, ...]
    statement_url: str
    action_url: str
    checked_at: datetime


def request_view(
    source: Source, sha256: Sha256, digest: Sha256, readable: frozenset[str], links: Links, now: datetime
) -> RequestView:
    """Read and judge what is known about the artifact, and count the answers as a gate does.

    Raises:
        Problem: 404, if there is no such request that counts and that this person may see.
        StoreUnavailableError: if the store can't be reached.
    """
    try:
        asked = find_request(digest, source.store, source.trust, now, about=sha256)
    except RequestUnknownError as error:
        raise no_evidence() from error
    run = asked.run
    dag_id = run.get("dag_id")
    if asked.about.identity.digest != sha256 or dag_id not in readable:
        raise no_evidence()
    try:
        case = open_case(asked, source.store, source.trust, now)
    except StatementError as error:
        raise Problem(
            409, error.code, "An answer can't be read", "It may be a rejection: nobody should answer."
        ) from error
    index = run.get("map_index")
    return RequestView(
        sha256=sha256,
        name=asked.about.name,
        digest=digest,
        state=case.standing.state.value,
        approved=len(case.standing.counted),
        needed=case.standing.needed,
        terms=asked.said,
        shown=_lines(case, shown(case), readable, links),
        since=_lines(case, since_asked(case), readable, links, hide=True),
        broken=_broken(case, readable, links, str(source.store)),
        answers=_answers(case, sha256, readable, links),
        statement_url=links.statement(str(dag_id), sha256, digest),
        action_url=links.required_action(
            str(dag_id),
            str(run.get("run_id", "")),
            str(run.get("task_id", "")),
            index if isinstance(index, int) else -1,
        ),
        checked_at=now,
    )


def _lines(
    case: Case, rows: list[ScreenRow], readable: frozenset[str], links: Links, *, hide: bool = False
) -> tuple[Line, ...]:
    """Rows with their addresses. What the request itself tells may be read by whoever may read the request."""
    place: dict[str, tuple[str, str]] = {
        item.digest: (subject, dag_of(item.statement))
        for subject, evidence in case.dossier.sets.items()
        for item in evidence.verified
    }
    lines = []
    for row in rows:
        subject, dag_id = place.get(row.digest, ("", ""))
        if dag_id in readable:
            lines.append(Line(row, links.statement(dag_id, subject, row.digest)))
        elif not hide:
            lines.append(Line(row, ""))
    return tuple(lines)


def _broken(case: Case, readable: frozenset[str], links: Links, store_name: str) -> tuple[NotCounted, ...]:
    """What speaks against it, and against what it came from; of what this person may not see only that it is so."""
    found = []
    for subject, evidence in case.dossier.sets.items():
        known = subject == case.dossier.model or any(dag_of(item.statement) in readable for item in evidence.verified)
        for item in evidence.broken:
            told = not_counted(item, links, store_name, "")
            found.append(told if known else replace(told, reason="it is about something that this was made from"))
    return tuple(dict.fromkeys(found))


def _answers(case: Case, sha256: str, readable: frozenset[str], links: Links) -> tuple[Given, ...]:
    why = {each.answer.item.digest: each.reason for each in case.standing.uncounted}
    found = []
    for answer in case.given:
        dag_id = dag_of(answer.item.statement)
        # An answer from outside of Airflow names no Dag: it belongs to the request.
        if dag_id and dag_id not in readable:
            continue
        said = answer.said
        found.append(
            Given(
                by=said.approver,
                decision=said.decision.value,
                reason=said.reason,
                level=answer.level.value,
                when=said.decided_at,
                url=links.statement(dag_id, sha256, answer.item.digest) if dag_id else "",
                why=why.get(answer.item.digest, ""),
            )
        )
    return tuple(sorted(found, key=lambda each: each.when, reverse=True))
