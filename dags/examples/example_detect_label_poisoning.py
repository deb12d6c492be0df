"""Look for planted labels with an estimator of your own, and go on whatever the verdict: a gate reads it later."""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import Param, dag

from airflow_mlsecops.operators.detect_label_poisoning import DetectLabelPoisoningOperator

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    params={"dataset": Param(str(HOME / "data" / "digits_clean.csv"), type="string")},
)
def example_detect_label_poisoning() -> None:
    """One task: pin, look for wrong labels, sign the verdict."""
    # [START detect_label_poisoning]
    DetectLabelPoisoningOperator(
        task_id="poisoning",
        artifact="{{ params.dataset }}",
        label_column="label",
        id_column="row_id",
        estimator="sklearn.naive_bayes:GaussianNB",  # quick, and too weak to judge by alone
        budget=0.25,
        warn_budget=0.02,
        on_fail="continue",
    )
    # [END detect_label_poisoning]


example_detect_label_poisoning()
