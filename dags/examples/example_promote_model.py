"""Promote a released model; another Dag, triggered by the asset event, verifies what the event names and uses it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_mlsecops.assets import model_at
from airflow_mlsecops.operators.promote_model import PromoteModelOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from airflow_mlsecops.sensors.approved_model import ApprovedModelSensor
from airflow_mlsecops.sensors.evidence import EvidenceSensor
from airflow_mlsecops.taskflow import released_model, verified_copy

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()
POLICY = str(Path(__file__).parents[1] / "policies" / "digits_release.yaml")
MODEL = Param(str(HOME / "models" / "released" / "digits-model.joblib"), type="string")
IN_PRODUCTION = model_at("digits", "production")


@dag(schedule=None, catchup=False, tags=["mlsecops", "docs"], doc_md=__doc__, params={"model": MODEL})
def example_promote_model() -> None:
    """The gate decides, the promotion moves the stage."""
    # [START promote]
    gate = ReleaseGateOperator(task_id="gate", artifact="{{ params.model }}", policy=POLICY)
    PromoteModelOperator(
        task_id="promote",
        artifact=gate.output,
        model_name="digits",
        version="{{ run_id | replace(':', '.') }}",
        stage="production",
        policy=POLICY,
        outlets=[IN_PRODUCTION],
    )
    # [END promote]


@dag(schedule=[IN_PRODUCTION], catchup=False, tags=["mlsecops", "docs"])
def example_use_promoted_model() -> None:
    """Triggered by the event, which proves nothing: anybody with the right to post events could have sent it."""

    # [START use_promoted]
    @task
    def use() -> int:
        model = released_model(policy=POLICY, model_name="digits", stage="production")  # or an error, and an alarm
        with verified_copy(model) as path:
            return path.stat().st_size

    use()
    # [END use_promoted]


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    params={"digest": Param("0" * 64, type="string"), "seen": Param("", type="string")},
)
def example_wait_for_model() -> None:
    """Wait without an event: for a model at a stage, or for the evidence about one digest."""
    # [START wait_for_model]
    found = ApprovedModelSensor(
        task_id="wait_for_model",
        model_name="digits",
        stage="production",
        policy=POLICY,
        newer_than="{{ params.seen }}",
        deferrable=True,
    )

    @task
    def use(model: Any) -> int:
        with verified_copy(model, policy=POLICY) as path:
            return path.stat().st_size

    use(found.output)
    # [END wait_for_model]
    # [START wait_for_evidence]
    EvidenceSensor(task_id="wait_for_evidence", digest="{{ params.digest }}", policy=POLICY, deferrable=True)
    # [END wait_for_evidence]


example_promote_model()
example_use_promoted_model()
example_wait_for_model()
