"""What the first page shows: what waits for whom, what stands where, what is open, and how the store is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airflow_mlsecops.core.index import lists
from airflow_mlsecops.core.index.lists import ArtifactItem, FindingItem, StatementItem, Window
from airflow_mlsecops.core.index.overview import Waiting, alarms, stages, standing, waiting
from airflow_mlsecops.plugin.indexes import index_of
from airflow_mlsecops.plugin.source import Source
from airflow_mlsecops.plugin.store_health import Health, health_of

DAYS = 60
_FEW = Window(1, 8)


@dataclass(frozen=True)
class Day:
    """How many controls said what on one day (UTC)."""

    day: datetime
    passed: int
    warned: int
    failed: int


@dataclass(frozen=True)
class Board:
    """The first page.

    Attributes:
        waiting: requests for a decision, those that end first at the front.
        stages: the newest promotion to each stage of each name; the first few.
        stages_total: how many there are.
        models: the models of which something was said last; the first few.
        models_total: how many there are.
        standing: SHA-256 of one of them -> where it stands today.
        severities: how many findings are open, by severity.
        findings: the worst of them.
        days: verdicts by day, today the last.
        alarms: the newest few.
        alarms_total: how many there are.
        health: of store, log and index.
    """

    waiting: tuple[Waiting, ...]
    stages: tuple[StatementItem, ...]
    stages_total: int
    models: tuple[ArtifactItem, ...]
    models_total: int
    standing: dict[str, tuple[str, ...]]
    severities: dict[str, int]
    findings: tuple[FindingItem, ...]
    days: tuple[Day, ...]
    alarms: tuple[StatementItem, ...]
    alarms_total: int
    health: Health


def board_of(source: Source, readable: frozenset[str], now: datetime) -> Board:
    """Ask the index, as far as somebody who may read these Dags may know.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    with index_of(source) as connection:
        stood, rung = stages(connection, readable, _FEW), alarms(connection, readable, _FEW)
        models = lists.artifacts(connection, readable, _FEW, kind="model")
        days = lists.verdicts(connection, readable, now, DAYS)
        return Board(
            waiting=tuple(waiting(connection, readable, now)),
            stages=stood.items,
            stages_total=stood.total,
            models=models.items,
            models_total=models.total,
            standing=standing(connection, readable, {item.sha256 for item in models.items}),
            severities=lists.severities(connection, readable),
            findings=lists.findings(connection, readable, Window(1, 5)).items,
            days=tuple(Day(day, said.get("pass", 0), said.get("warn", 0), said.get("fail", 0)) for day, said in days),
            alarms=rung.items,
            alarms_total=rung.total,
            health=health_of(source, connection, now),
        )
