"""Ask two leads who sign with keys of their own, then ask the production policy, which counts no other approvals."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from airflow.sdk import Param, dag

from airflow_mlsecops.operators.approval_gate import ApprovalGateOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    params={"model": Param(str(HOME / "models" / "digits-model.joblib"), type="string")},
)
def example_signed_approval() -> None:
    """Two gates. The trust policy says who has the role ``ml-lead``, and whose key is whose."""
    # [START signed_approval]
    approve = ApprovalGateOperator(
        task_id="approve",
        artifact="{{ params.model }}",
        approver_roles=["ml-lead"],
        quorum=2,
        level="signed",
        policy="mlsecops:production",
        valid_for=timedelta(days=30),
        retries=3,
    )
    release = ReleaseGateOperator(task_id="release", artifact="{{ params.model }}", policy="mlsecops:production")
    approve >> release
    # [END signed_approval]


example_signed_approval()
