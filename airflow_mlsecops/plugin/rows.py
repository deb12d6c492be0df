"""One subject's evidence as a table: who may see what, which statement is the newest of its series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet, Refused
from airflow_mlsecops.core.telling import Seen, Tone, describe, run_of
from airflow_mlsecops.plugin.links import Links
from airflow_mlsecops.plugin.reports import report_digest
from airflow_mlsecops.plugin.source import Reading

SHOWN = 200
"""How many statements a page shows, the newest first: a data set that many runs share would fill the screen."""
_NEVER = datetime.min.replace(tzinfo=UTC)
_BADNESS = {Tone.PLAIN: 0, Tone.GOOD: 0, Tone.WARN: 1, Tone.BAD: 2}


@dataclass(frozen=True)
class Run:
    """The task instance that a statement is from, as its signer says."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    url: str


@dataclass(frozen=True)
class Row:
    """One verified statement; see :class:`airflow_mlsecops.core.telling.Described` for the first few fields.

    Attributes:
        trusted_time: when it was signed, if somebody else than the signer vouches for that.
        log_place: where it stands in the evidence log, if the trust policy asks for one.
        report_url: where its report for people is shown; empty if it names none.
        current: whether it is the newest of its series: of two results of one control only this one counts.
    """

    what: str
    predicate: str
    verdict: str
    tone: Tone
    summary: str
    when: datetime | None
    series: str
    findings: tuple[Seen, ...]
    findings_total: int
    facts: Mapping[str, Mapping[str, Any]]
    signer: str
    trusted_time: datetime | None
    log_place: int | None
    run: Run
    evidence: Sha256
    evidence_url: str
    statement_url: str
    report_url: str = ""
    current: bool = True


@dataclass(frozen=True)
class NotCounted:
    """Something in the store that doesn't count, and why. Nothing that it claims is shown."""

    predicate: str
    digest: str
    code: str
    reason: str
    url: str


@dataclass(frozen=True)
class Table:
    """What one subject's evidence looks like to one person.

    Attributes:
        rows: verified statements, the newest first.
        refused: what doesn't count.
        broken: what isn't what its name says. It belongs to no Dag that could be asked about, so whoever may see the
            artifact sees it.
        hidden: how many statements come from Dags that this person may not read.
    """

    rows: tuple[Row, ...]
    refused: tuple[NotCounted, ...]
    broken: tuple[NotCounted, ...]
    hidden: int

    @property
    def shown(self) -> tuple[Row, ...]:
        """The rows that a page shows, those that count today first; the JSON version has all."""
        old = tuple(row for row in self.rows if not row.current)
        return (*self.current, *old)[:SHOWN]

    @property
    def current(self) -> tuple[Row, ...]:
        """The rows that count today."""
        return tuple(row for row in self.rows if row.current)


def visible(reading: Reading, readable: frozenset[str]) -> EvidenceSet:
    """The part of a reading that somebody who may read these Dags may see."""
    evidence = reading.evidence
    return EvidenceSet(
        subject=evidence.subject,
        verified=tuple(item for item in evidence.verified if reading.dag_for(item.digest, readable)),
        refused=tuple(item for item in evidence.refused if reading.dag_for(item.digest, readable)),
        broken=evidence.broken,
    )


def table_of(reading: Reading, seen: EvidenceSet, readable: frozenset[str], links: Links, store_name: str) -> Table:
    """Lay a subject's evidence out.

    Args:
        reading: all of it.
        seen: the part that may be shown.
        readable: the Dags by which that was chosen.
        links: makes the addresses.
        store_name: what errors call the store; replaced, because it says where the store lies.
    """
    told = (row_of(item, seen.subject, links, reading.dag_for(item.digest, readable)) for item in seen.verified)
    rows = _mark_current(sorted(told, key=_age, reverse=True))
    total = len(reading.evidence.verified) + len(reading.evidence.refused)
    return Table(
        rows=tuple(rows),
        refused=tuple(not_counted(item, links, store_name, reading.dags.get(item.digest, "")) for item in seen.refused),
        broken=tuple(not_counted(item, links, store_name, "") for item in seen.broken),
        hidden=total - len(seen.verified) - len(seen.refused),
    )


def row_of(item: Evidence, subject: str, links: Links, dag_id: str) -> Row:
    """Lay one verified statement out, with the addresses that a reader of this Dag may open."""
    told, run = describe(item.statement), run_of(item.statement)
    index, attempt = run.get("map_index"), run.get("try_number")
    where = Run(
        dag_id=str(run.get("dag_id", "")),
        run_id=str(run.get("run_id", "")),
        task_id=str(run.get("task_id", "")),
        map_index=index if isinstance(index, int) else -1,
        try_number=attempt if isinstance(attempt, int) else 0,
        url=links.task(run),
    )
    return Row(
        what=told.what,
        predicate=item.slug,
        verdict=told.verdict,
        tone=told.tone,
        summary=told.summary,
        when=told.when,
        series=told.series,
        findings=told.findings,
        findings_total=told.findings_total,
        facts={name: group for name, group in told.facts.items() if group},
        signer=item.signer,
        trusted_time=item.trusted_time,
        log_place=item.place,
        run=where,
        evidence=item.digest,
        evidence_url=links.bundle(dag_id, item.digest),
        statement_url=links.statement(dag_id, subject, item.digest),
        report_url=links.report(dag_id, subject, item.digest) if report_digest(item.statement) else "",
    )


def _age(row: Row) -> tuple[datetime, int]:
    # Of two statements of the same moment the worse one comes first, as it does for a gate.
    return row.when or _NEVER, _BADNESS[row.tone]


def _mark_current(rows: list[Row]) -> list[Row]:
    """Of each series only the first, which is the newest, is current."""
    seen: set[str] = set()
    marked = []
    for row in rows:
        marked.append(replace(row, current=row.series not in seen))
        if row.series:
            seen.add(row.series)
    return marked


def not_counted(item: Refused, links: Links, store_name: str, dag_id: str) -> NotCounted:
    """Lay out what doesn't count; neither the object's key nor where the store lies is told."""
    return NotCounted(
        predicate=item.key.split("/")[2] if item.key.count("/") >= 3 else "",
        digest=item.digest,
        code=item.code,
        reason=item.reason.replace(item.key, "the object").replace(store_name, "the store"),
        url=links.bundle(dag_id, item.digest) if dag_id else "",
    )
