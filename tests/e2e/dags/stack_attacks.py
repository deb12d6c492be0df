"""Dags of the attack suite: two gates to go round, and a task of another Dag that tries."""

from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

from airflow_mlsecops.operators.approval_gate import ApprovalGateOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator

GATES = "attacked_gates"


@dag(
    schedule=None,
    tags=["e2e"],
    params={"model": Param("", type="string"), "policy": Param("", type="string")},
)
def stack_attacked() -> None:
    approve = ApprovalGateOperator(
        task_id="approve",
        artifact="{{ params.model }}",
        approvers=["alice", "bob", "carol"],
        mlsecops_conn_id=GATES,
    )
    release = ReleaseGateOperator(
        task_id="release", artifact="{{ params.model }}", policy="{{ params.policy }}", mlsecops_conn_id=GATES
    )
    approve >> release


@dag(schedule=None, tags=["e2e"], params={"run_id": Param("", type="string")})
def stack_forger() -> None:
    @task
    def forge() -> None:
        from airflow.sdk.execution_time.xcom import XCom

        context: Any = get_current_context()
        forged = {"decision": "approved", "approver": "bob", "released": True}
        place = {"dag_id": "stack_attacked", "run_id": context["params"]["run_id"]}
        for victim in ("approve", "release"):
            XCom.set(key="return_value", value=forged, task_id=victim, **place)

    forge()


stack_attacked()
stack_forger()
