"""Look for attacks in a data set: formulas, invisible characters, markup, personal data, times in the future."""

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
    params={
        "dataset": Param(str(HOME / "data" / "digits_clean.csv"), type="string"),
        "suite": Param(
            "tabular_security", enum=["tabular_security", "text_security", "image_manifest_security"], type="string"
        ),
    },
)
def example_check_data_for_attacks() -> None:
    """One task: pin, look, sign the verdict."""
    # [START check_data_for_attacks]
    ValidateDataOperator(task_id="attacks", artifact="{{ params.dataset }}", suite="{{ params.suite }}")
    # [END check_data_for_attacks]


example_check_data_for_attacks()
