"""One secured training pipeline, from a data file to a released model.

Trigger it with the path of a data set of hand-written digits (``scripts/make_demo_data.py`` writes a clean one and a
poisoned copy). The clean one ends in a released model once somebody other than the one who triggered it approves; the
poisoned one passes validation, because every cell is plausible, and stops at the poisoning check, before training.

What is signed and released is a folder: the model, its bill of materials and its model card.
"""

from __future__ import annotations

import io
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import Asset, Metadata, ObjectStoragePath, Param, dag, get_current_context, task

from airflow_mlsecops.operators.approval_gate import ApprovalGateOperator
from airflow_mlsecops.operators.describe_model import DescribeModelOperator
from airflow_mlsecops.operators.detect_label_poisoning import DetectLabelPoisoningOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from airflow_mlsecops.operators.scan_model import ScanModelOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.operators.validate_data import ValidateDataOperator
from airflow_mlsecops.operators.verify_artifact import VerifyArtifactOperator
from airflow_mlsecops.taskflow import attest, pin, verified_copy

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
POLICY = Path(__file__).parent / "policies" / "digits_release.yaml"
DESCRIPTION = Path(__file__).parent / "descriptions" / "digits.yaml"
DATASET = Asset("digits-dataset")
MODEL = Asset("digits-model")
RELEASED_MODEL = Asset("digits-model-released")
PLAIN = re.compile(r"[^A-Za-z0-9_.-]")
"""What stands in a run's id and not in a file's name, nor in a URI as it is."""
TRAINING = {"C": 0.05, "max_iter": 500, "test_share": 0.25, "seed": 20}


@task(outlets=[DATASET])
def ingest() -> Any:
    """Pin the data set that the run was triggered with: from here on it is known by its digest."""
    reference = pin(get_current_context()["params"]["dataset"], name="digits", kind="dataset")
    yield Metadata(DATASET, {"sha256": reference["artifact"]["digest"]})
    return reference


def split(table: Any) -> tuple[Any, Any]:
    """Rows to train on, and rows that training never sees: the same ones for the same data."""
    from sklearn.model_selection import train_test_split

    train_rows, held_out = train_test_split(
        table, test_size=TRAINING["test_share"], random_state=int(TRAINING["seed"]), stratify=table["label"]
    )
    return train_rows, held_out


def new_place(suffix: str) -> ObjectStoragePath:
    """One place a run and try: what was signed is never written over."""
    context = get_current_context()
    instance = context["ti"]
    name = PLAIN.sub("_", f"digits-{instance.run_id}-{instance.try_number}") + suffix
    target = ObjectStoragePath(context["params"]["models"]) / name
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


@task
def hold_out(data: Any) -> Any:
    """The rows to measure the model on, as a data set of their own."""
    import pandas as pd

    with verified_copy(data) as path:
        _, held_out = split(pd.read_csv(path))
    target = new_place("-held-out.csv")
    target.write_bytes(held_out.to_csv(index=False).encode())
    return attest(str(target), name="digits-held-out", kind="dataset", inputs=[data], parameters=TRAINING)


@task(outlets=[MODEL])
def train(data: Any) -> Any:
    """Train on the very bytes that were checked, and sign where the model came from."""
    import joblib
    import pandas as pd
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    with verified_copy(data) as path:
        rows, _ = split(pd.read_csv(path))
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=TRAINING["C"], max_iter=int(TRAINING["max_iter"]))
    ).fit(rows.drop(columns=["row_id", "source", "label"]), rows["label"])

    target, content = new_place(".joblib"), io.BytesIO()
    joblib.dump(model, content)
    target.write_bytes(content.getvalue())
    reference = attest(str(target), name="digits-model", inputs=[data], parameters=TRAINING)
    yield Metadata(MODEL, {"sha256": reference["artifact"]["digest"]})
    return reference


@task(outlets=[RELEASED_MODEL])
def publish(model: Any) -> Any:
    """Copy the released bytes, and their signature, to where the serving side takes them from and verifies them."""
    artifact = model["artifact"]
    target = ObjectStoragePath(get_current_context()["params"]["models"]) / "released" / artifact["digest"][:12]
    target.mkdir(parents=True, exist_ok=True)
    with verified_copy(model) as folder:
        for path in folder.iterdir():
            (target / path.name).write_bytes(path.read_bytes())
    (target / "model.sig").write_bytes((ObjectStoragePath(artifact["uri"]) / "model.sig").read_bytes())
    yield Metadata(RELEASED_MODEL, {"sha256": artifact["digest"]})
    return str(target)


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    user_defined_macros={"plain": lambda text: PLAIN.sub("_", text)},
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
    """Data -> checks -> training -> scan -> description -> signature -> approval -> release -> use."""
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
    described = DescribeModelOperator(
        task_id="describe_model",
        artifact=scanned.output,
        description=str(DESCRIPTION),
        evaluation=hold_out(checked.output),
        label_column="label",
        subgroups=["source"],
        target="{{ params.models.rstrip('/') }}/digits-{{ plain(run_id) }}-{{ ti.try_number }}",
    )
    # What is signed is the folder that the description made; so it is what has to be looked into at last.
    looked_into = ScanModelOperator(task_id="scan_described", artifact=described.output)
    signed = SignArtifactOperator(task_id="sign_model", artifact=looked_into.output, oms="create")
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
