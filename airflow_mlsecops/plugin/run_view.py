"""What one Dag run, or one of its tasks, said: verified now, artifact by artifact."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime

from airflow_mlsecops.core.index import lists
from airflow_mlsecops.plugin.links import Links
from airflow_mlsecops.plugin.rows import Table, table_of, visible
from airflow_mlsecops.plugin.source import Source

LIMIT = 40
"""How many artifacts a page shows."""


@dataclass(frozen=True)
class ArtifactOfRun:
    """One artifact that the run said something about, and what."""

    sha256: str
    name: str
    kind: str
    url: str
    table: Table


@dataclass(frozen=True)
class RunView:
    """What the page shows."""

    artifacts: tuple[ArtifactOfRun, ...]
    more: int
    checked_at: datetime


def run_view(
    source: Source,
    connection: sqlite3.Connection,
    dag_id: str,
    run_id: str,
    task_id: str,
    map_index: int | None,
    readable: frozenset[str],
    links: Links,
    now: datetime,
) -> RunView:
    """Find with the index, then read and judge.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    subjects = lists.subjects_of_run(connection, dag_id, run_id, task_id, map_index)
    found = []
    for sha256, reading in source.read_all(subjects[:LIMIT], now).items():
        seen = visible(reading, readable)
        whole = table_of(reading, seen, readable, links, str(source.store))
        rows = tuple(
            row
            for row in whole.rows
            if (row.run.dag_id, row.run.run_id) == (dag_id, run_id)
            and task_id in ("", row.run.task_id)
            and map_index in (None, row.run.map_index)
        )
        # What doesn't count is no longer said to be of this run: the artifact's page has it.
        if not rows:
            continue
        about = {row.evidence for row in rows}
        items = [item for item in seen.verified if item.digest in about]
        name = next((name for item in items for name, digest in item.statement.subjects if digest == sha256), "")
        kind = next((part.kind for item in items for part in item.statement.identities if part.digest == sha256), "")
        found.append(ArtifactOfRun(sha256, name, kind, links.page(dag_id, sha256), Table(rows, (), (), 0)))
    return RunView(tuple(found), max(0, len(subjects) - LIMIT), now)
