"""The task process: what Airflow does between the start of a task and the exit of its process."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast
from uuid import uuid4

import structlog
from airflow import settings
from airflow.dag_processing.bundles.local import LocalDagBundle
from airflow.sdk import DAG, BaseOperator, TaskInstanceState
from airflow.sdk.api.datamodels._generated import TaskInstance
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.execution_time import task_runner

from tests.support.server_rows import TaskInstanceRow
from tests.support.worker import Supervisor

Operator = BaseOperator | MappedOperator


@dataclass(frozen=True)
class Source:
    """What stands in the Dag file: each process gets a copy of its own."""

    operator: Operator
    dag_id: str
    params: Mapping[str, Any]
    bundle_version: str | None

    def parse(self) -> Operator:
        """Return the task in its Dag as a worker gets it, untouched by any run before."""
        if self.operator.has_dag():
            dag = copy.deepcopy(cast(DAG, self.operator.dag))
            task = dag.task_dict[self.operator.task_id]
        else:
            dag, task = DAG(self.dag_id, schedule=None), copy.deepcopy(self.operator)
            dag.add_task(task)
        if isinstance(task, BaseOperator):  # which copies its params only on the surface
            task.params = copy.deepcopy(task.params)
        for name, value in self.params.items():
            dag.params[name] = value
        return task


@dataclass(frozen=True)
class Outcome:
    """How a task process ended. Without a context when it didn't get so far as to have one."""

    ti: task_runner.RuntimeTaskInstance
    context: Mapping[str, Any]
    error: BaseException | None


def task_process(source: Source, row: TaskInstanceRow, supervisor: Supervisor) -> Outcome:
    """Start the task at the server, run it, and report its end, as ``task_runner.main`` and ``startup`` do."""
    log = structlog.get_logger(logger_name="task")
    started = datetime.now(UTC)
    ti_context = supervisor.start_task(started)
    columns = ("id", "dag_id", "task_id", "run_id", "map_index", "try_number")
    what = TaskInstance(**{name: getattr(row, name) for name in columns}, dag_version_id=uuid4())
    ti = task_runner.RuntimeTaskInstance.model_construct(
        **what.model_dump(exclude_unset=True),
        task=source.parse(),
        bundle_instance=LocalDagBundle(name="dags-folder", version=source.bundle_version, path=settings.DAGS_FOLDER),
        _ti_context_from_server=ti_context,
        max_tries=ti_context.max_tries,
        start_date=ti_context.start_date or started,
        state=TaskInstanceState.RUNNING,
        sentry_integration="",
    )
    context: Any = {}
    try:
        context = ti.get_template_context()
        state, _, error = task_runner.run(ti, context, log)
        context["exception"] = error
        task_runner.finalize(ti, state, context, log, error)
        code = int(ti._terminal_state_send_failed)
    except Exception as crash:  # e.g. a param that breaks its schema: the process dies before the task begins
        log.exception("Top level error")
        error, code = crash, 1
    supervisor.exited(code)
    return Outcome(ti, context, error)
