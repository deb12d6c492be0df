"""The whole pipeline as the deployment runs it: workers that share nothing but the store, and two people of three."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag, get_current_context, task

from airflow_mlsecops.hooks.mlsecops import MlsecopsHook
from airflow_mlsecops.operators.approval_gate import ApprovalGateOperator
from airflow_mlsecops.operators.detect_label_poisoning import DetectLabelPoisoningOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from airflow_mlsecops.operators.scan_model import ScanModelOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.operators.validate_data import ValidateDataOperator
from airflow_mlsecops.operators.verify_artifact import VerifyArtifactOperator
from airflow_mlsecops.taskflow import attest, pin, verified_copy

POLICY = str(Path(__file__).parent / "production_release.yaml")


@task
def ingest() -> Any:
    """Pin the data set that the run was triggered with."""
    return pin(get_current_context()["params"]["dataset"], name="digits", kind="dataset")


@task
def train(data: Any) -> Any:
    """Train on the very bytes that were checked; the model goes to the bucket, under a name that nobody had before."""
    import joblib
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    with verified_copy(data) as path:
        table = pd.read_csv(path)
    model = LogisticRegression(C=0.05, max_iter=200)
    model.fit(table.drop(columns=["row_id", "source", "label"]) / 16, table["label"])
    content = io.BytesIO()
    joblib.dump(model, content)
    instance = get_current_context()["ti"]
    key = f"models/{instance.run_id}/{instance.try_number}.joblib".replace(":", "_").replace("+", "_")
    MlsecopsHook().access.s3().put_object(Bucket="artifacts", Key=key, Body=content.getvalue())
    return attest(f"s3://artifacts/{key}", name="digits-model", inputs=[data], parameters={"C": 0.05})


@task
def publish(model: Any) -> str:
    """Copy the released bytes to where they are used."""
    with verified_copy(model, policy=POLICY) as path:
        MlsecopsHook().access.s3().put_object(Bucket="artifacts", Key="released/digits", Body=path.read_bytes())
    return str(model["artifact"]["digest"])


@dag(
    schedule=None,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=2)},
    params={"dataset": Param("s3://artifacts/clean.csv", type="string")},
)
def production_pipeline() -> None:
    """Data -> checks -> training -> scan -> signature -> two of three people -> release -> use."""
    validated = ValidateDataOperator(task_id="validate_data", artifact=ingest(), suite="digits")
    checked = DetectLabelPoisoningOperator(
        task_id="detect_label_poisoning",
        artifact=validated.output,
        label_column="label",
        id_column="row_id",
        source_column="source",
        budget=0.02,
    )
    scanned = ScanModelOperator(task_id="scan_model", artifact=train(checked.output))
    signed = SignArtifactOperator(task_id="sign_model", artifact=scanned.output)
    approved = ApprovalGateOperator(
        task_id="approve",
        artifact=signed.output,
        approver_roles=["model-board"],
        quorum=2,
        response_timeout=timedelta(hours=1),
        poke_interval=5,
    )
    released = ReleaseGateOperator(task_id="release_gate", artifact=signed.output, policy=POLICY)
    approved >> released
    verified = VerifyArtifactOperator(task_id="verify_release", artifact=released.output, policy=POLICY)
    publish(verified.output)


production_pipeline()
