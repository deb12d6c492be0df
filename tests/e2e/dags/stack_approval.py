"""A Dag of the stack's own tests: a task, a person's approval, a task after it."""

from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import dag, task


@dag(schedule=None, tags=["e2e"])
def stack_approval() -> None:
    @task
    def prepare() -> dict[str, int]:
        return {"rows": 3}

    @task
    def finish(prepared: Any) -> int:
        return int(prepared["rows"]) * 2

    approve = ApprovalOperator(
        task_id="approve",
        subject="Go on?",
        body="{{ ti.xcom_pull(task_ids='prepare')['rows'] }} rows",
        assigned_users=[{"id": "bob", "name": "bob"}],
    )
    prepared = prepare()
    prepared >> approve >> finish(prepared)


stack_approval()
