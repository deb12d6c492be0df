"""Which of the tasks that a request touched are gates, and the alarm for each."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from uuid import UUID

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.predicates.alarm import Alarm, Event
from airflow_mlsecops.hooks.alarms import sound
from airflow_mlsecops.plugin.watch import Act

GATES = (
    "ApprovalGateOperator",
    "PromoteModelOperator",
    "ReleaseGateOperator",
    "VerifyArtifactOperator",
)
"""Classes whose state or XCom somebody could want to forge."""


def report(act: Act, user: str) -> list[str]:
    """Sound an alarm for each gate that was touched; return the evidence digests."""
    asker = _asking_task(act.token) if act.by_task else None
    done = []
    for gate in _gates(act):
        place = (gate.dag_id, gate.run_id, gate.task_id)
        if act.by_task and asker == place:
            continue  # a gate that writes its own XCom
        by = user or (f"task {asker[0]}.{asker[2]} of {asker[1]}" if asker else "")
        run = {
            "orchestrator": "apache-airflow",
            "dag_id": gate.dag_id,
            "run_id": gate.run_id,
            "task_id": gate.task_id,
            "map_index": gate.map_index,
            "try_number": gate.try_number,
        }
        detail = f"{act.what}; the task is now {gate.state or 'without a state'}"
        done.append(sound(Alarm(Event(act.event), gate.operator, detail, by, utcnow(), run)))
    return done


def _gates(act: Act) -> Iterator[Any]:
    from airflow.configuration import conf
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    classes = conf.getlist("mlsecops", "alarm_operators", fallback=list(GATES)) or list(GATES)
    columns = (
        TaskInstance.dag_id,
        TaskInstance.run_id,
        TaskInstance.task_id,
        TaskInstance.map_index,
        TaskInstance.try_number,
        TaskInstance.state,
        TaskInstance.operator,
    )
    with create_session() as session:
        for dag, run, task in act.tasks:
            query = select(*columns).where(
                TaskInstance.dag_id == dag, TaskInstance.run_id == run, TaskInstance.operator.in_(classes)
            )
            yield from session.execute(query if task is None else query.where(TaskInstance.task_id == task)).all()


def _asking_task(token: str) -> tuple[str, str, str] | None:
    """Dag, run and task of the process that asked: the subject of its token, which the server had accepted."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    try:
        claims = token.split(".")[1]
        subject = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"]
        with create_session() as session:
            row = session.execute(
                select(TaskInstance.dag_id, TaskInstance.run_id, TaskInstance.task_id).where(
                    TaskInstance.id == UUID(subject)
                )
            ).one_or_none()
    except Exception:
        return None
    return (row.dag_id, row.run_id, row.task_id) if row else None
