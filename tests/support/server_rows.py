"""What the simulated server stores: the columns of Airflow's tables that a task can see or change."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from airflow.sdk import Connection


@dataclass
class TaskInstanceRow:
    """The columns of ``task_instance`` and ``trigger`` that decide what the next process of this task does."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int
    try_number: int
    max_tries: int
    id: UUID = field(default_factory=uuid4)
    state: str = "queued"
    start_date: str | None = None
    first_start_date: str | None = None
    next_method: str | None = None
    next_kwargs: Any = None
    trigger_classpath: str | None = None
    trigger_kwargs: Any = None
    trigger_timeout: timedelta | None = None
    trigger_id: int | None = None
    scheduled_dttm: datetime | None = None
    task_reschedule_count: int = 0


@dataclass
class HITLRow:
    """The row of ``hitl_detail``: the question as people see it, and their answer."""

    options: list[str]
    subject: str
    body: str | None
    defaults: list[str] | None
    multiple: bool
    params: dict[str, Any]
    assignees: list[dict[str, str]]
    responded_at: datetime | None = None
    responded_by: dict[str, str] | None = None
    chosen_options: list[str] | None = None
    params_input: dict[str, Any] = field(default_factory=dict)

    @property
    def responded_by_user(self) -> dict[str, str] | None:
        return self.responded_by


def dag_run_row(
    dag_id: str,
    run_id: str,
    run_type: str,
    start: datetime,
    conf: Mapping[str, Any] | None,
    user: str | None,
    events: Sequence[Any] = (),
) -> dict[str, Any]:
    date = start.isoformat()
    dates = dict.fromkeys(("logical_date", "data_interval_start", "data_interval_end", "run_after", "start_date"), date)
    return dates | {
        "dag_id": dag_id,
        "run_id": run_id,
        "run_type": run_type,
        "state": "running",
        "end_date": None,
        "conf": json.loads(json.dumps(conf or {})),
        "triggering_user_name": user,
        "consumed_asset_events": list(events),
        "partition_key": None,
    }


def asset_event_rows(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Asset events as a run that they triggered has them; each stands for one that was posted by REST."""
    sources = dict.fromkeys(("source_task_id", "source_dag_id", "source_run_id", "source_map_index"))
    return [
        {
            "asset": {"name": event["uri"], "uri": event["uri"], "extra": {}},
            "extra": event["extra"],
            **sources,
            "source_aliases": [],
            "timestamp": event.get("timestamp", datetime.now(UTC)).isoformat(),
        }
        for event in events
    ]


def connection_row(conn_id: str, value: Connection | Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(value, Connection):
        fields = {"conn_id": conn_id} | dict(value)
        if not isinstance(fields.get("extra"), str | None):
            fields["extra"] = json.dumps(fields["extra"])
        value = Connection(**fields)
    names = ("conn_type", "host", "schema", "login", "password", "port", "extra")
    return {"conn_id": conn_id} | {name: getattr(value, name) for name in names}
