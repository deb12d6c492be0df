"""What waits, what stands where, what was gone round, and how the index itself is: the first page's questions."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_mlsecops.core.index.lists import Page, StatementItem, Window, statement_of, statements
from airflow_mlsecops.core.predicates import ALARM, APPROVAL, APPROVAL_REQUEST, PROMOTION
from airflow_mlsecops.core.predicates.alarm import EVERY_ALARM
from airflow_mlsecops.core.predicates.approval import Assurance
from airflow_mlsecops.core.predicates.topic import MODEL_LINE

_MOST = 1000


@dataclass(frozen=True)
class Waiting:
    """A request that nobody has answered with a rejection, nor enough people with an approval.

    Attributes:
        request: the statement that asks.
        until: when it ends.
        approved: ids of those who approved.
        quorum: how many have to.
        approvers: ids of those who may answer; empty for everybody with the right to.
        level: how sure each person's identity has to be.
    """

    request: StatementItem
    until: datetime
    approved: tuple[str, ...]
    quorum: int
    approvers: tuple[str, ...]
    level: str


@dataclass(frozen=True)
class State:
    """How the index is.

    Attributes:
        statements: how many objects it knows.
        artifacts: how many subjects they are about.
        not_counted: code -> how many don't count because of it.
        pending: how many are still to be read.
        built: whether it ever held everything.
        refreshed_at: when it was last brought up to date.
        log_size: how many of the log's entries it knows.
    """

    statements: int
    artifacts: int
    not_counted: dict[str, int]
    pending: int
    built: bool
    refreshed_at: datetime | None
    log_size: int


def waiting(connection: sqlite3.Connection, readable: Collection[str], now: datetime) -> list[Waiting]:
    """The requests that wait for an answer, those that end first at the front."""
    rows = connection.execute(
        "SELECT * FROM statement WHERE slug = ? AND kind IN ('model', 'dataset') AND code = '' "
        "AND json_extract(more, '$.until') > ? AND dag_id IN (SELECT value FROM json_each(?)) "
        "ORDER BY json_extract(more, '$.until') LIMIT ?",
        (APPROVAL_REQUEST.slug, now.timestamp(), json.dumps(sorted(readable)), _MOST),
    ).fetchall()
    found = []
    for request in map(statement_of, rows):
        more = request.more
        answers = connection.execute(
            "SELECT verdict, more FROM statement WHERE subject = ? AND slug = ? AND code = '' "
            "AND json_extract(more, '$.request') = ?",
            (request.sha256, APPROVAL.slug, request.evidence),
        ).fetchall()
        given = [(verdict, said) for verdict, said in _said(answers) if _may_answer(said, more)]
        sure = [said for verdict, said in given if verdict == "approved" and _is_sure(said, more)]
        approved = tuple(sorted({said["by"] for said in sure}))
        if any(verdict != "approved" for verdict, _ in given) or len(approved) >= more["quorum"]:
            continue
        until = datetime.fromtimestamp(more["until"], UTC)
        found.append(Waiting(request, until, approved, more["quorum"], tuple(more["approvers"]), more["level"]))
    return found


def _said(answers: Iterable[sqlite3.Row]) -> list[tuple[str, dict[str, Any]]]:
    return [(row["verdict"], json.loads(row["more"])) for row in answers]


def _may_answer(said: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """As :func:`airflow_mlsecops.core.approving.tally.why_not_asked` has it."""
    if {said["by"], said["name"]} & set(asked["barred"]):
        return False
    return not asked["approvers"] or said["by"] in asked["approvers"]


def _is_sure(said: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    return bool(asked["level"] != Assurance.SIGNED or said["level"] == Assurance.SIGNED)


def stages(connection: sqlite3.Connection, readable: Collection[str], window: Window) -> Page[StatementItem]:
    """The newest promotion to each stage of each name."""
    given = {"slug": PROMOTION.slug, "kind": MODEL_LINE, "dags": json.dumps(sorted(readable)), **window.limits}
    total = connection.execute(f"SELECT count(*) FROM (SELECT 1 {_PROMOTIONS} GROUP BY {_STAGE})", given).fetchone()[0]
    rows = connection.execute(
        f"SELECT *, max(at) {_PROMOTIONS} GROUP BY {_STAGE} ORDER BY max(at) DESC LIMIT :limit OFFSET :offset", given
    )
    return Page(tuple(map(statement_of, rows)), total, window.number, window.size)


def standing(
    connection: sqlite3.Connection, readable: Collection[str], digests: Collection[str]
) -> dict[str, tuple[str, ...]]:
    """Which of these models stand where today: SHA-256 -> ``production 1.4.0`` and the like."""
    given = {"slug": PROMOTION.slug, "kind": MODEL_LINE, "dags": json.dumps(sorted(readable))}
    rows = connection.execute(
        f"SELECT more FROM (SELECT more, max(at) {_PROMOTIONS} GROUP BY {_STAGE}) "
        "WHERE json_extract(more, '$.artifact') IN (SELECT value FROM json_each(:digests))",
        {**given, "digests": json.dumps(sorted(digests))},
    )
    found: dict[str, tuple[str, ...]] = {}
    for (more,) in rows:
        said = json.loads(more)
        found[said["artifact"]] = (*found.get(said["artifact"], ()), f"{said['stage']} {said['version']}")
    return found


def alarms(connection: sqlite3.Connection, readable: Collection[str], window: Window) -> Page[StatementItem]:
    """The alarms about gates of these Dags, the newest first."""
    return statements(connection, readable, ALARM.slug, window, subject=EVERY_ALARM.digest)


def state_of(connection: sqlite3.Connection) -> State:
    """How the index is."""
    meta = {row["name"]: row["value"] for row in connection.execute("SELECT name, value FROM meta")}
    counted = connection.execute("SELECT count(*) FROM statement").fetchone()[0]
    artifacts = connection.execute("SELECT count(DISTINCT subject) FROM presence").fetchone()[0]
    codes = connection.execute("SELECT code, count(*) FROM statement WHERE code <> '' GROUP BY code").fetchall()
    pending = connection.execute("SELECT count(*) FROM pending").fetchone()[0]
    at = meta.get("refreshed_at")
    return State(
        statements=counted,
        artifacts=artifacts,
        not_counted=dict(codes),
        pending=pending,
        built=meta.get("built") == "1",
        refreshed_at=datetime.fromtimestamp(float(at), UTC) if at else None,
        log_size=int(meta.get("log_size", 0)),
    )


_PROMOTIONS = (
    "FROM statement WHERE slug = :slug AND kind = :kind AND code = '' "
    "AND json_extract(more, '$.artifact') IS NOT NULL "  # one that can't be read says of no stage what stands there
    "AND dag_id IN (SELECT value FROM json_each(:dags))"
)
_STAGE = "json_extract(more, '$.name'), json_extract(more, '$.stage')"
