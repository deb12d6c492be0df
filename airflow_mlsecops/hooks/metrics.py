"""Counters and durations through Airflow's own metrics (StatsD, OpenTelemetry, Datadog). Never fails a task.

Verdicts and answers stand in the names, because plain StatsD knows no tags; which control and which Dag stand in tags.
"""

from __future__ import annotations

import logging
from datetime import timedelta

log = logging.getLogger(__name__)

METRICS = {
    "mlsecops.controls.pass": "controls that ended in PASS; tags `control`, `dag_id`",
    "mlsecops.controls.warn": "… in WARN",
    "mlsecops.controls.fail": "… in FAIL, crashed ones among them",
    "mlsecops.control.duration": "how long a control took, from the pinned bytes to the verdict; the same tags",
    "mlsecops.findings": "findings of all controls, as counted in their reports; tags `control`, `severity`, `dag_id`",
    "mlsecops.answers.yes": "tasks of ours that went on with a YES; tags `operator`, `dag_id`",
    "mlsecops.answers.no": "tasks of ours that said NO: refusals of gates, failed controls, rejections",
    "mlsecops.approvals.asked": "questions put to people; tags `operator`, `dag_id`",
    "mlsecops.alarms": "alarms; tag `alarm`",
}
"""Every metric, and what it counts; ``docs/how-to/watch-it-run.md`` has this table."""


def count(name: str, by: int = 1, **tags: str) -> None:
    """Add to a counter."""
    assert name in METRICS, name
    try:
        from airflow.sdk.observability import stats

        stats.incr(name, by, tags=tags)
    except Exception as error:
        log.debug("%s isn't counted: %s", name, error)


def lasted(name: str, seconds: float, **tags: str) -> None:
    """Record a duration."""
    assert name in METRICS, name
    try:
        from airflow.sdk.observability import stats

        stats.timing(name, timedelta(seconds=seconds), tags=tags)
    except Exception as error:
        log.debug("%s isn't timed: %s", name, error)
