"""Take the rows that fail out of a data set, and validate what remains as the data set of its own that it is."""

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
def example_quarantine() -> None:
    """Two tasks: the first one's verdict is about all rows, the second one's about those that remain."""
    # [START quarantine]
    all_rows = ValidateDataOperator(
        task_id="validate",
        artifact="{{ params.dataset }}",
        suite="digits",
        on_fail="continue",
        quarantine_uri=f"{HOME}/data/quarantine",
        remainder_uri=f"{HOME}/data/remainder",
    )
    ValidateDataOperator(task_id="validate_remainder", artifact=all_rows.remainder, suite="digits")
    # [END quarantine]


example_quarantine()
