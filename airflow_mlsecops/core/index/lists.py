"""Questions to the index. Each takes the Dags that the person asking may read, and tells nothing of others."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from airflow_mlsecops.core.index.settle import SECONDS_A_DAY
from airflow_mlsecops.core.telling import Tone

PAGE_SIZE = 25
MAX_PAGE_SIZE = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Item = TypeVar("_Item")


@dataclass(frozen=True)
class Page(Generic[_Item]):
    """One page of a list.

    Attributes:
        items: what is on it.
        total: how many there are in all.
        number: which page, from 1.
        size: how many a page has.
    """

    items: tuple[_Item, ...]
    total: int
    number: int
    size: int

    @property
    def pages(self) -> int:
        """How many pages there are; one, if there is nothing."""
        return max(1, -(-self.total // self.size))


@dataclass(frozen=True)
class Window:
    """Which part of a list is asked for."""

    number: int = 1
    size: int = PAGE_SIZE

    @property
    def limits(self) -> dict[str, int]:
        """As parameters of a query."""
        return {"limit": self.size, "offset": (self.number - 1) * self.size}


@dataclass(frozen=True)
class ArtifactItem:
    """One artifact, as the statements of some Dags tell of it.

    Attributes:
        sha256, name, kind: which; name and kind as the newest statement has them.
        dag_id: a Dag under which its page can be asked for.
        statements, refused: how many there are, and how many of them don't count.
        newest: when the newest was made.
        state: ``released``, ``refused`` or ``undecided``: what the newest release gate said.
        tone: the worst that counts today, to be read as a hint.
        critical, warning, info: open findings.
    """

    sha256: str
    name: str
    kind: str
    dag_id: str
    statements: int
    refused: int
    newest: datetime | None
    state: str
    tone: Tone
    critical: int
    warning: int
    info: int


@dataclass(frozen=True)
class FindingItem:
    """One open finding."""

    severity: str
    rule: str
    message: str
    where: str
    techniques: tuple[str, ...]
    control: str
    sha256: str
    artifact: str
    kind: str
    dag_id: str
    run_id: str
    task_id: str
    evidence: str
    when: datetime | None


@dataclass(frozen=True)
class StatementItem:
    """One statement that counted when it was read."""

    what: str
    predicate: str
    verdict: str
    tone: Tone
    summary: str
    when: datetime | None
    sha256: str
    name: str
    kind: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    signer: str
    evidence: str
    more: Mapping[str, Any]


def artifacts(
    connection: sqlite3.Connection,
    readable: Collection[str],
    window: Window,
    *,
    search: str = "",
    kind: str = "",
    state: str = "",
    dag_id: str = "",
) -> Page[ArtifactItem]:
    """The artifacts that statements of these Dags are about, the newest first.

    Args:
        connection: to the index.
        readable: Dags that may be told of.
        window: which part of the list.
        search: a part of the name, or the beginning of the digest.
        kind: ``model`` or ``dataset``; empty for both.
        state: one of ``released``, ``refused``, ``undecided``; ``bad`` for those that something speaks against,
            ``findings`` for those with findings that are open; empty for all.
        dag_id: only of this Dag.
    """
    given = {
        "dags": _dags(readable, dag_id),
        "like": f"%{_like(search)}%",
        "start": f"{_like(search)}%",
        "kind": kind,
        "state": state,
        **window.limits,
    }
    total = connection.execute(f"{_ARTIFACTS} SELECT count(*) {_CHOSEN}", given).fetchone()[0]
    rows = connection.execute(
        f"{_ARTIFACTS} SELECT * {_CHOSEN} ORDER BY newest DESC, subject LIMIT :limit OFFSET :offset", given
    )
    return Page(tuple(map(_artifact, rows)), total, window.number, window.size)


def findings(
    connection: sqlite3.Connection,
    readable: Collection[str],
    window: Window,
    *,
    search: str = "",
    severity: str = "",
    dag_id: str = "",
) -> Page[FindingItem]:
    """Findings of statements that count and that no newer one replaced: the worst first, then the newest.

    Args:
        connection: to the index.
        readable: Dags that may be told of.
        window: which part of the list.
        search: a part of the rule, the message, a technique, or of the artifact's name.
        severity: ``critical``, ``warning`` or ``info``; empty for all.
        dag_id: only of this Dag.
    """
    given = {
        "dags": _dags(readable, dag_id),
        "like": f"%{_like(search)}%",
        "rank": {"critical": 2, "warning": 1, "info": 0}.get(severity, -1),
        **window.limits,
    }
    if search:
        total = connection.execute(f"SELECT count(*) {_FINDINGS}", given).fetchone()[0]
    else:
        counts = severities(connection, readable, dag_id=dag_id)
        total = sum(counts.values()) if given["rank"] == -1 else counts[severity]
    rows = connection.execute(
        "SELECT finding.*, statement.what, statement.subject, statement.name, statement.kind, statement.run_id, "
        f"statement.task_id, statement.digest {_FINDINGS} "
        "ORDER BY finding.rank DESC, finding.at DESC LIMIT :limit OFFSET :offset",
        given,
    )
    return Page(tuple(map(_finding, rows)), total, window.number, window.size)


def severities(connection: sqlite3.Connection, readable: Collection[str], *, dag_id: str = "") -> dict[str, int]:
    """How many findings are open, by severity."""
    row = connection.execute(
        "SELECT coalesce(sum(critical), 0) AS critical, coalesce(sum(warning), 0) AS warning, "
        "coalesce(sum(info), 0) AS info FROM presence WHERE dag_id IN (SELECT value FROM json_each(?))",
        (_dags(readable, dag_id),),
    ).fetchone()
    return dict(row)


def verdicts(
    connection: sqlite3.Connection, readable: Collection[str], now: datetime, days: int
) -> list[tuple[datetime, dict[str, int]]]:
    """How many controls said what, for each of the last days; today's is the last."""
    today = int(now.timestamp() // SECONDS_A_DAY)
    rows = connection.execute(
        "SELECT day, verdict, sum(number) FROM daily WHERE day > ? AND day <= ? "
        "AND dag_id IN (SELECT value FROM json_each(?)) GROUP BY day, verdict",
        (today - days, today, _dags(readable)),
    )
    counted: dict[int, dict[str, int]] = {day: {} for day in range(today - days + 1, today + 1)}
    for day, verdict, number in rows:
        counted[day][verdict] = number
    return [(_EPOCH + timedelta(days=day), numbers) for day, numbers in counted.items()]


def statements(
    connection: sqlite3.Connection,
    readable: Collection[str],
    slug: str,
    window: Window,
    *,
    subject: str = "",
    kind: str = "",
) -> Page[StatementItem]:
    """The statements of one predicate that count, the newest first.

    Args:
        connection: to the index.
        readable: Dags that may be told of.
        slug: the predicate's.
        window: which part of the list.
        subject: only about what has this SHA-256.
        kind: only about what is of this kind.
    """
    given = {"dags": _dags(readable), "slug": slug, "subject": subject, "kind": kind, **window.limits}
    total = connection.execute(f"SELECT count(*) {_STATEMENTS}", given).fetchone()[0]
    rows = connection.execute(f"SELECT * {_STATEMENTS} ORDER BY at DESC LIMIT :limit OFFSET :offset", given)
    return Page(tuple(map(statement_of, rows)), total, window.number, window.size)


def subjects_of_run(
    connection: sqlite3.Connection, dag_id: str, run_id: str, task_id: str = "", map_index: int | None = None
) -> list[str]:
    """The SHA-256 of everything that a run, or one of its tasks, said something about; the newest first."""
    rows = connection.execute(
        "SELECT subject, max(at) FROM statement WHERE dag_id = :dag AND run_id = :run "
        "AND (:task = '' OR task_id = :task) AND (:index IS NULL OR map_index = :index) "
        "AND kind IN ('', 'model', 'dataset') GROUP BY subject ORDER BY max(at) DESC",
        {"dag": dag_id, "run": run_id, "task": task_id, "index": map_index},
    )
    return [row[0] for row in rows]


def keys_of(connection: sqlite3.Connection, digest: str) -> list[str]:
    """Where a bundle lies in the store."""
    return [row[0] for row in connection.execute("SELECT key FROM statement WHERE digest = ? ORDER BY key", (digest,))]


def made_from(connection: sqlite3.Connection, source: str) -> list[str]:
    """The SHA-256 of everything that is said to have been made from ``source``."""
    rows = connection.execute("SELECT DISTINCT made FROM edge WHERE source = ? ORDER BY made", (source,))
    return [row[0] for row in rows]


def statement_of(row: sqlite3.Row) -> StatementItem:
    """One row of ``statement``."""
    return StatementItem(
        what=row["what"],
        predicate=row["slug"],
        verdict=row["verdict"],
        tone=Tone(row["tone"] or "plain"),
        summary=row["summary"],
        when=_time(row["at"]),
        sha256=row["subject"],
        name=row["name"],
        kind=row["kind"],
        dag_id=row["dag_id"],
        run_id=row["run_id"],
        task_id=row["task_id"],
        map_index=row["map_index"],
        signer=row["signer"],
        evidence=row["digest"],
        more=json.loads(row["more"]),
    )


def _artifact(row: sqlite3.Row) -> ArtifactItem:
    tone = Tone.BAD if row["bad"] else Tone.WARN if row["warn"] else Tone.GOOD if row["state"] == "released" else None
    return ArtifactItem(
        sha256=row["subject"],
        name=row["name"],
        kind=row["kind"],
        dag_id=row["dag_id"],
        statements=row["statements"],
        refused=row["refused"],
        newest=_time(row["newest"]),
        state=row["state"],
        tone=tone or Tone.PLAIN,
        critical=row["critical"],
        warning=row["warning"],
        info=row["info"],
    )


def _finding(row: sqlite3.Row) -> FindingItem:
    return FindingItem(
        severity=row["severity"],
        rule=row["rule"],
        message=row["message"],
        where=row["seen_at"],
        techniques=tuple(json.loads(row["techniques"])),
        control=row["what"],
        sha256=row["subject"],
        artifact=row["name"],
        kind=row["kind"],
        dag_id=row["dag_id"],
        run_id=row["run_id"],
        task_id=row["task_id"],
        evidence=row["digest"],
        when=_time(row["at"]),
    )


def _time(seconds: float) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _dags(readable: Collection[str], dag_id: str = "") -> str:
    return json.dumps([dag_id] if dag_id in readable else [] if dag_id else sorted(readable))


def _like(text: str) -> str:
    """What LIKE takes literally, with ``!`` as escape."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


_DAGS = "dag_id IN (SELECT value FROM json_each(:dags))"
# SQLite takes the other columns from the row that has the one max().
_ARTIFACTS = f"""
WITH seen AS (
  SELECT subject, name, kind, dag_id, max(newest) AS newest, sum(statements) AS statements, sum(refused) AS refused,
         sum(bad) AS bad, sum(warn) AS warn, sum(critical) AS critical, sum(warning) AS warning, sum(info) AS info,
         sum(gate = 'yes') AS yes, sum(gate = 'no') AS no
  FROM presence WHERE {_DAGS} AND (kind IN ('model', 'dataset') OR (kind = '' AND statements > refused))
  GROUP BY subject
), named AS (
  SELECT *, CASE
    WHEN yes AND no THEN (SELECT CASE gate WHEN 'yes' THEN 'released' ELSE 'refused' END FROM presence AS other
                          WHERE other.subject = seen.subject AND {_DAGS} ORDER BY gate_at DESC LIMIT 1)
    WHEN yes THEN 'released' WHEN no THEN 'refused' ELSE 'undecided' END AS state
  FROM seen
)"""
_CHOSEN = """
FROM named
WHERE (name LIKE :like ESCAPE '!' OR subject LIKE :start ESCAPE '!')
  AND (:kind = '' OR kind = :kind)
  AND (:state = '' OR state = :state OR (:state = 'bad' AND bad) OR (:state = 'findings' AND critical + warning))
"""
_FINDINGS = f"""
FROM finding JOIN statement ON statement.id = finding.statement
WHERE finding.open AND finding.{_DAGS} AND (:rank = -1 OR finding.rank = :rank)
  AND (:like = '%%' OR finding.rule LIKE :like ESCAPE '!' OR finding.message LIKE :like ESCAPE '!'
       OR finding.techniques LIKE :like ESCAPE '!' OR statement.name LIKE :like ESCAPE '!')
"""
_STATEMENTS = f"""
FROM statement
WHERE slug = :slug AND code = '' AND {_DAGS} AND (:subject = '' OR subject = :subject)
  AND (:kind = '' OR kind = :kind)
"""
