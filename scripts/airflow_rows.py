"""What Airflow's REST API tells, as small typed values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class TaskState:
    """One task instance."""

    task_id: str
    state: str | None
    try_number: int
    map_index: int
    start: datetime | None
    end: datetime | None

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of `taskInstances`."""
        return cls(
            task_id=row["task_id"],
            state=row["state"],
            try_number=row["try_number"],
            map_index=row["map_index"],
            start=_time(row["start_date"]),
            end=_time(row["end_date"]),
        )


@dataclass(frozen=True, slots=True)
class RunState:
    """One Dag run and, at the moment of asking, its task instances, in the order in which they began."""

    dag_id: str
    run_id: str
    state: str
    triggered_by: str | None
    tasks: tuple[TaskState, ...] = ()

    def task(self, task_id: str, map_index: int = -1) -> TaskState:
        """Return one task; KeyError when the run has none of that name."""
        for task in self.tasks:
            if (task.task_id, task.map_index) == (task_id, map_index):
                return task
        raise KeyError(f"{self.dag_id} {self.run_id}: no task {task_id} [{map_index}]")

    def __str__(self) -> str:
        tasks = ", ".join(f"{task.task_id}={task.state or 'none'}" for task in self.tasks)
        return f"{self.dag_id} {self.run_id}: {self.state} ({tasks})"


@dataclass(frozen=True, slots=True)
class Request:
    """A question that a task asks people (human in the loop), with the answer when there is one."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    task_state: str | None
    subject: str
    body: str | None
    options: tuple[str, ...]
    assigned_users: tuple[str, ...]
    answered: bool
    answered_by: str | None
    chosen_options: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    params_input: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read a row of `hitlDetails`."""
        task = row["task_instance"]
        answered_by = row.get("responded_by_user") or {}
        return cls(
            dag_id=task["dag_id"],
            run_id=task["dag_run_id"],
            task_id=task["task_id"],
            map_index=task["map_index"],
            task_state=task["state"],
            subject=row["subject"],
            body=row["body"],
            options=tuple(row["options"]),
            assigned_users=tuple(user["name"] for user in row["assigned_users"]),
            answered=row["response_received"],
            answered_by=answered_by.get("name"),
            chosen_options=tuple(row["chosen_options"] or ()),
            params=row["params"],
            params_input=row["params_input"] or {},
        )


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
