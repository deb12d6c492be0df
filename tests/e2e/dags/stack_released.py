"""A Dag of the stack's own tests: triggered by an asset event, it uses the model that the event names if it may."""

import os
from pathlib import Path

from airflow.sdk import Asset, dag, task

from airflow_mlsecops.taskflow import released_model

POLICY = Path(os.environ["AIRFLOW_HOME"]) / "stack_released.yaml"


@dag(schedule=[Asset("stack_released_model")], tags=["e2e"])
def stack_released() -> None:
    @task
    def use() -> str:
        return str(released_model(policy=str(POLICY))["artifact"]["digest"])

    use()


stack_released()
