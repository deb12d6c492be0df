"""Wait, without a worker slot, until a signed model lies at a place; then use the pinned bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_mlsecops.sensors.signed_artifact import SignedArtifactSensor
from airflow_mlsecops.taskflow import verified_copy

HOME = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser()


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    params={"model": Param(str(HOME / "models" / "digits.joblib"), type="string")},
)
def example_signed_artifact_sensor() -> None:
    """A deferrable sensor and a task that uses what it found."""
    # [START signed_artifact_sensor]
    found = SignedArtifactSensor(task_id="wait", uri="{{ params.model }}", deferrable=True, poke_interval=10)

    @task
    def use(model: Any) -> int:
        with verified_copy(model) as path:  # the bytes that were signed, or an error
            return path.stat().st_size

    use(found.output)
    # [END signed_artifact_sensor]


example_signed_artifact_sensor()
