"""Dags of the attack suite: two gates to go round, at each level of assurance, and a task of another Dag that tries."""

from datetime import timedelta
from typing import Any, Literal

from airflow.sdk import DAG, Param, dag, get_current_context, task

from airflow_mlsecops.operators.approval_gate import ApprovalGateOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator

GATES = "attacked_gates"


def attacked(name: str, level: Literal["recorded", "signed"], quorum: int, open_for: timedelta) -> DAG:
    """People approve, then the release gate decides."""
    params = {"model": Param("", type="string"), "policy": Param("", type="string")}
    with DAG(f"stack_attacked_{name}", schedule=None, tags=["e2e"], params=params) as made:
        approve = ApprovalGateOperator(
            task_id="approve",
            artifact="{{ params.model }}",
            approvers=["alice", "bob", "carol"],
            quorum=quorum,
            level=level,
            response_timeout=open_for,
            poke_interval=1,
            # Airflow may fail what goes on within seconds of parking (apache/airflow#71580); a retry takes it up.
            retries=3,
            retry_delay=timedelta(seconds=2),
            mlsecops_conn_id=GATES,
        )
        release = ReleaseGateOperator(
            task_id="release", artifact="{{ params.model }}", policy="{{ params.policy }}", mlsecops_conn_id=GATES
        )
        approve >> release
    return made


@dag(schedule=None, tags=["e2e"], params={"dag_id": Param("", type="string"), "run_id": Param("", type="string")})
def stack_forger() -> None:
    @task
    def forge() -> None:
        from airflow.sdk.execution_time.xcom import XCom

        context: Any = get_current_context()
        forged = {"decision": "approved", "approver": "bob", "released": True}
        for victim in ("approve", "release"):
            XCom.set(key="return_value", value=forged, task_id=victim, **context["params"])

    forge()


recorded = attacked("recorded", "recorded", 1, timedelta(hours=1))
signed = attacked("signed", "signed", 2, timedelta(hours=1))
brief = attacked("brief", "signed", 1, timedelta(seconds=15))
stack_forger()
