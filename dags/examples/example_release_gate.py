"""Ask the release policy, and skip instead of failing: this file has no evidence, so the answer is NO."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import Param, dag

from airflow_mlsecops.operators.release_gate import ReleaseGateOperator

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    params={"model": Param(str(HOME / "data" / "digits_clean.csv"), type="string")},
)
def example_release_gate() -> None:
    """One task that says NO and is skipped."""
    # [START release_gate]
    ReleaseGateOperator(
        task_id="release",
        artifact="{{ params.model }}",
        artifact_name="example-model",
        policy=str(Path(__file__).parent.parent / "policies" / "digits_release.yaml"),
        on_fail="skip",
    )
    # [END release_gate]


example_release_gate()
