"""Find planted labels, and make a data set without the accused rows, with a signed account of what was removed."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import Param, dag

from airflow_mlsecops.operators.detect_label_poisoning import DetectLabelPoisoningOperator
from airflow_mlsecops.operators.sanitize_dataset import SanitizeDatasetOperator

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    params={"dataset": Param(str(HOME / "data" / "digits_poisoned.csv"), type="string")},
)
def example_sanitize_dataset() -> None:
    """Two tasks: judge, then write the derived data set."""
    # [START sanitize_dataset]
    judged = DetectLabelPoisoningOperator(
        task_id="poisoning",
        artifact="{{ params.dataset }}",
        label_column="label",
        id_column="row_id",
        source_column="source",
        on_fail="continue",
    )
    SanitizeDatasetOperator(
        task_id="sanitize",
        artifact=judged.output,
        target=f"{HOME}/data/sanitized-{{{{ run_id | replace(':', '_') }}}}.csv",
        label_column="label",
        id_column="row_id",
        rule="remove",
    )
    # [END sanitize_dataset]


example_sanitize_dataset()
