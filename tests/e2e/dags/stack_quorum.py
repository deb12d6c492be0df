"""A Dag of the quorum's tests: two of three people approve, by name or whoever has the right, then the release gate."""

from airflow.sdk import Param, dag

from airflow_mlsecops.operators.approval_gate import ApprovalGateOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator

GATES = "attacked_gates"
PARAMS = {"model": Param("", type="string"), "policy": Param("", type="string")}


def gates(approvers: list[str] | None) -> None:
    """Both gates; without approvers everybody with the right to answer may."""
    approve = ApprovalGateOperator(
        task_id="approve",
        artifact="{{ params.model }}",
        policy="{{ params.policy }}",
        approvers=approvers,
        quorum=2,
        poke_interval=1,
        mlsecops_conn_id=GATES,
    )
    release = ReleaseGateOperator(
        task_id="release", artifact="{{ params.model }}", policy="{{ params.policy }}", mlsecops_conn_id=GATES
    )
    approve >> release


@dag(schedule=None, tags=["e2e"], params=PARAMS)
def stack_quorum_named() -> None:
    gates(["alice", "bob", "carol"])


@dag(schedule=None, tags=["e2e"], params=PARAMS)
def stack_quorum_open() -> None:
    gates(None)


stack_quorum_named()
stack_quorum_open()
