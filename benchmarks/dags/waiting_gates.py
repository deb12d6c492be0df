"""Dags of the benchmark ``waiting_gates``: many gates of ours, as many of Airflow's own, and tasks that want a slot."""

import os
import time
from pathlib import Path

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import dag, task

from airflow_mlsecops.operators.approval_gate import ApprovalGateOperator

POKE = float(os.environ["WAITING_GATES_POKE"])
MODELS = sorted(Path(os.environ["WAITING_GATES_MODELS"]).glob("*.bin"))
PEERS, SLOTS = int(os.environ["WAITING_GATES_PEERS"]), int(os.environ["WAITING_GATES_SLOTS"])


@dag(schedule=None, max_active_tasks=1024)
def waiting_ours() -> None:
    """A gate of ours for each model."""
    ApprovalGateOperator.partial(
        task_id="approve", approvers=["alice", "bob"], poke_interval=POKE, mlsecops_conn_id="attacked_gates"
    ).expand(artifact=[str(model) for model in MODELS])


@dag(schedule=None, max_active_tasks=1024)
def waiting_peers() -> None:
    """Gates that Airflow's standard provider has: one person, no quorum, nothing signed."""
    ApprovalOperator.partial(task_id="approve", assigned_users=[{"id": "bob", "name": "bob"}]).expand(
        subject=[f"Release model {number}?" for number in range(PEERS)]
    )


@dag(schedule=None, max_active_tasks=1024)
def waiting_others() -> None:
    """As many tasks at once as there are slots."""

    @task
    def hold(number: int) -> None:
        """Takes one slot for a while."""
        time.sleep(1)

    hold.expand(number=list(range(SLOTS)))


waiting_ours()
waiting_peers()
waiting_others()
