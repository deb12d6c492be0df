"""Profile a trusted data set, and hold a later version against it: schema, labels and a feature."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import Param, dag

from airflow_mlsecops.operators.profile_dataset import ProfileDatasetOperator
from airflow_mlsecops.operators.validate_data import ValidateDataOperator

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
STABLE = {
    "name": "stable",
    "expectations": [
        {"type": "expect_table_schema_to_match_baseline", "kwargs": {}},
        {"type": "expect_column_labels_to_match_baseline", "kwargs": {"column": "label"}},
        {"type": "expect_column_distribution_to_match_baseline", "kwargs": {"column": "pixel_3_3"}},
    ],
}


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    params={
        "trusted": Param(str(HOME / "data" / "digits_clean.csv"), type="string"),
        "dataset": Param(str(HOME / "data" / "digits_poisoned.csv"), type="string"),
    },
)
def example_compare_with_baseline() -> None:
    """Two tasks; the first is usually that of an earlier run, and the second names what it profiled."""
    # [START compare_with_baseline]
    profile = ProfileDatasetOperator(task_id="profile", artifact="{{ params.trusted }}", label_column="label")
    ValidateDataOperator(
        task_id="validate",
        artifact="{{ params.dataset }}",
        suite=STABLE,
        baseline=profile.output,  # or a data set's SHA-256, or "last-released"
        on_fail="continue",  # a gate reads the verdict later
    )
    # [END compare_with_baseline]


example_compare_with_baseline()
