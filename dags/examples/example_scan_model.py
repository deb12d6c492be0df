"""Look inside a model before it is signed: refuse what could attack whoever loads it."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import Param, dag

from airflow_mlsecops.operators.scan_model import ScanModelOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    params={"model": Param(str(HOME / "models" / "digits.joblib"), type="string")},
)
def example_scan_model() -> None:
    """Two tasks: scan, then sign."""
    # [START scan_model]
    scanned = ScanModelOperator(
        task_id="scan",
        artifact="{{ params.model }}",
        artifact_name="digits-model",
    )
    SignArtifactOperator(task_id="sign", artifact=scanned.output)
    # [END scan_model]


example_scan_model()
