"""A short pipeline whose control can be held in the middle, so that a fault can strike there."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param, dag, get_current_context, task

from airflow_mlsecops.hooks.mlsecops import MlsecopsHook
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.operators.validate_data import ValidateDataOperator
from airflow_mlsecops.taskflow import attest, pin, verified_copy

if TYPE_CHECKING:
    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.report import Report

POLICY = str(Path(__file__).parent / "production_faults.yaml")
SUITE = {
    "name": "faults",
    "expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "value"}}],
}


class HeldValidation(ValidateDataOperator):
    """Tells that it has its data, by a file with its process id, and goes on once there is a file named ``go``."""

    template_fields: Sequence[str] = (*ValidateDataOperator.template_fields, "hold")

    def __init__(self, *, hold: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hold = hold

    def control(self, artifact: Artifact, path: Path) -> Report:
        """Wait, then judge."""
        if self.hold:
            folder = Path(self.hold)
            folder.mkdir(parents=True, exist_ok=True)
            number = get_current_context()["ti"].try_number
            (folder / f"try-{number}").write_text(str(os.getpid()))
            while not (folder / "go").exists():
                time.sleep(0.1)
        return super().control(artifact, path)


@task
def ingest() -> Any:
    """Pin the data set that the run was triggered with."""
    return pin(get_current_context()["params"]["dataset"], name="numbers", kind="dataset")


@task
def train(data: Any) -> Any:
    """A model that is as small as can be: the same for the same data, whichever try made it."""
    with verified_copy(data) as path:
        content = f"model of {len(path.read_bytes())} bytes: {data['artifact']['digest']}".encode()
    key = f"models/{data['artifact']['digest']}"
    MlsecopsHook().access.s3().put_object(Bucket="artifacts", Key=key, Body=content)
    return attest(f"s3://artifacts/{key}", name="numbers-model", inputs=[data])


@task
def publish(model: Any) -> str:
    """What only a gate lets happen."""
    key = f"published/{model['artifact']['digest']}"
    MlsecopsHook().access.s3().put_object(Bucket="artifacts", Key=key, Body=b"released")
    return key


@dag(
    schedule=None,
    default_args={"retries": 30, "retry_delay": timedelta(seconds=2)},
    params={"dataset": Param("", type="string"), "hold": Param("", type="string")},
)
def production_faults() -> None:
    """Data -> check -> training -> signature -> release -> use."""
    checked = HeldValidation(task_id="validate_data", artifact=ingest(), suite=SUITE, hold="{{ params.hold }}")
    signed = SignArtifactOperator(task_id="sign_model", artifact=train(checked.output))
    released = ReleaseGateOperator(task_id="release_gate", artifact=signed.output, policy=POLICY)
    publish(released.output)


production_faults()
