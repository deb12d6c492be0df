"""Sign a file as a model, then verify it as its user would."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import Param, dag

from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.operators.verify_artifact import VerifyArtifactOperator

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    params={"model": Param(str(HOME / "data" / "digits_clean.csv"), type="string")},
)
def example_sign_and_verify() -> None:
    """Two tasks: sign, verify."""
    # [START sign_and_verify]
    signed = SignArtifactOperator(task_id="sign", artifact="{{ params.model }}", artifact_name="example-model")
    VerifyArtifactOperator(task_id="verify", artifact=signed.output)
    # [END sign_and_verify]


example_sign_and_verify()
