"""Ask three people, of whom two have to approve; each answer becomes a signed statement about exactly these bytes."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import Param, dag

from airflow_mlsecops.operators.approval_gate import ApprovalGateOperator

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    params={"model": Param(str(HOME / "data" / "digits_clean.csv"), type="string")},
)
def example_approval_gate() -> None:
    """One task that waits for answers and holds no worker slot while it does."""
    # [START approval_gate]
    ApprovalGateOperator(
        task_id="approve",
        artifact="{{ params.model }}",
        artifact_name="example-model",
        approvers=["admin", "bob", "carol"],
        quorum=2,
        response_timeout=timedelta(hours=8),
        valid_for=timedelta(days=30),
        on_reject="skip",
    )
    # [END approval_gate]


example_approval_gate()
