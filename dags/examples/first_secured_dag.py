"""The tutorial's Dag: data that are checked, a model made from them, and a gate that reads what was signed of both."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

from airflow_mlsecops.operators.detect_label_poisoning import DetectLabelPoisoningOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from airflow_mlsecops.operators.scan_model import ScanModelOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.operators.validate_data import ValidateDataOperator
from airflow_mlsecops.taskflow import attest, pin, verified_copy

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
POLICY = str(Path(__file__).with_suffix(".yaml"))


@task
def collect() -> Any:
    """Write 1,797 images of digits as a table; as many threes as you like are called eights."""
    from sklearn.datasets import load_digits

    table = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    table.insert(0, "row_id", range(len(table)))
    wrong = int(get_current_context()["params"]["wrong_labels"])
    table.loc[table.index[table["label"] == 3][:wrong], "label"] = 8
    file = HOME / "data" / f"digits-{wrong}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(file, index=False)
    return pin(str(file), name="digits", kind="dataset")


@task
def train(data: Any) -> Any:
    """Train on the very bytes that were checked, and sign what the model was made from."""
    import joblib
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    with verified_copy(data) as path:
        table = pd.read_csv(path)
    model = LogisticRegression(C=0.05, max_iter=500)
    model.fit(table.drop(columns=["row_id", "label"]) / 16, table["label"])
    file = HOME / "models" / "first.joblib"
    file.parent.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, file)
    return attest(str(file), name="first-model", inputs=[data])


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    params={"wrong_labels": Param(0, type="integer", minimum=0)},
)
def first_secured_dag() -> None:
    """Data -> checks -> training -> scan -> signature -> release."""
    valid = ValidateDataOperator(task_id="validate", artifact=collect(), suite="tabular_basic")
    clean = DetectLabelPoisoningOperator(
        task_id="poisoning", artifact=valid.output, label_column="label", id_column="row_id", budget=0.02
    )
    scanned = ScanModelOperator(task_id="scan", artifact=train(clean.output))
    signed = SignArtifactOperator(task_id="sign", artifact=scanned.output)
    ReleaseGateOperator(task_id="release", artifact=signed.output, policy=POLICY)


first_secured_dag()
