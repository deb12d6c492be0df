"""One secured training pipeline, from a data file to a released model.

Trigger it with the path of a data set of hand-written digits (``scripts/make_demo_data.py`` writes a clean one and a
poisoned copy). The clean one ends in a released model once somebody other than the one who triggered it approves; the
poisoned one passes validation, because every cell is plausible, and stops at the poisoning check, before training.
"""

from __future__ import annotations

import io
import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, Metadata, ObjectStoragePath, Param, dag, get_current_context, task

from airflow_mlsecops.operators.approval_gate import ApprovalGateOperator
from airflow_mlsecops.operators.detect_label_poisoning import DetectLabelPoisoningOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from airflow_mlsecops.operators.scan_model import ScanModelOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.operators.validate_data import ValidateDataOperator
from airflow_mlsecops.operators.verify_artifact import VerifyArtifactOperator
from airflow_mlsecops.taskflow import attest, pin, verified_copy

log = logging.getLogger(__name__)

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
POLICY = Path(__file__).parent / "policies" / "digits_release.yaml"
DATASET = Asset("digits-dataset")
MODEL = Asset("digits-model")
RELEASED_MODEL = Asset("digits-model-released")
TRAINING = {"C": 0.05, "max_iter": 500, "test_share": 0.25, "seed": 20}


@task(outlets=[DATASET])
def ingest() -> Any:
    """Pin the data set that the run was triggered with: from here on it is known by its digest."""
    reference = pin(get_current_context()["params"]["dataset"], name="digits", kind="dataset")
    yield Metadata(DATASET, {"sha256": reference["artifact"]["digest"]})
    return reference


@task(outlets=[MODEL])
def train(data: Any) -> Any:
    """Train on the very bytes that were checked, and sign where the model came from."""
    import joblib
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with verified_copy(data) as path:
        table = pd.read_csv(path)
    features, labels = table.drop(columns=["row_id", "source", "label"]), table["label"]
    split = train_test_split(
        features, labels, test_size=TRAINING["test_share"], random_state=int(TRAINING["seed"]), stratify=labels
    )
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=TRAINING["C"], max_iter=int(TRAINING["max_iter"]))
    ).fit(split[0], split[2])
    accuracy = float(model.score(split[1], split[3]))
    log.info("Accuracy on the held-out quarter: %.3f", accuracy)

    # One file a run and try: a model that was signed is never written over.
    context = get_current_context()
    instance = context["ti"]
    name = f"digits-{instance.run_id}-{instance.try_number}.joblib".replace(":", "_")
    target = ObjectStoragePath(context["params"]["models"]) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    joblib.dump(model, content)
    target.write_bytes(content.getvalue())
    reference = attest(str(target), name="digits-model", inputs=[data], parameters=TRAINING)
    yield Metadata(MODEL, {"sha256": reference["artifact"]["digest"], "accuracy": accuracy})
    return reference


@task(outlets=[RELEASED_MODEL])
def publish(model: Any) -> Any:
    """Copy the released bytes to where the serving side takes them from, and verifies them once more."""
    target = ObjectStoragePath(get_current_context()["params"]["models"]) / "released" / "digits-model.joblib"
    target.parent.mkdir(parents=True, exist_ok=True)
    with verified_copy(model) as path:
        target.write_bytes(path.read_bytes())
    yield Metadata(RELEASED_MODEL, {"sha256": model["artifact"]["digest"]})
    return str(target)


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    params={
        "dataset": Param(
            str(HOME / "data" / "digits_clean.csv"), type="string", description="Path or s3:// URI of the data set"
        ),
        "models": Param(
            (HOME / "models").as_uri(), type="string", description="Where models go: a file:// or s3:// folder"
        ),
    },
)
def secure_training_pipeline() -> None:
    """Data -> checks -> training -> scan -> signature -> approval -> release -> use."""
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
        task_id="approve_model",
        artifact=signed.output,
        subject="Release this digits model?",
        policy=str(POLICY),
        response_timeout=timedelta(days=1),
        valid_for=timedelta(days=30),
    )
    released = ReleaseGateOperator(task_id="release_gate", artifact=approved.output, policy=str(POLICY))
    verified = VerifyArtifactOperator(task_id="verify_release", artifact=released.output, policy=str(POLICY))
    publish(verified.output)


secure_training_pipeline()
