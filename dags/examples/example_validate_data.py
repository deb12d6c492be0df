"""Validate a data set with an expectation suite; a FAIL stops whatever comes after it."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import Param, dag

from airflow_mlsecops.operators.validate_data import ValidateDataOperator

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    params={"dataset": Param(str(HOME / "data" / "digits_clean.csv"), type="string")},
)
def example_validate_data() -> None:
    """One task: pin, validate, sign the verdict."""
    # [START validate_data]
    ValidateDataOperator(task_id="validate", artifact="{{ params.dataset }}", suite="digits")
    # [END validate_data]


example_validate_data()
