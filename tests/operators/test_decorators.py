"""``@task.validate_data`` and its like, found and run by Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import task

from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import control_run
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.decorators import _DECORATED
from airflow_mlsecops.provider_info import get_provider_info
from tests.support.deployment import Deployment
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow

SUITE = {
    "name": "small",
    "expectations": [{"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}}],
}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    return path


def run(deployment: Deployment, made: Any) -> OpRun:
    return run_op(made, connections=deployment.connections)


def test_the_function_says_where_the_data_lie(table: Path, deployment: Deployment) -> None:
    @task.validate_data(suite=SUITE)
    def arrived(folder: str) -> str:
        return f"{folder}/table.csv"

    done = run(deployment, arrived(str(table.parent)))
    assert done.state == "success", done.logs
    (item,) = deployment.about(pin(str(table)).artifact.digest).of("test-result")
    result = control_run.parse(item.statement)
    assert (result.control, result.verdict) == ("data-validation", Verdict.PASS)
    assert done.xcoms["return_value"]["evidence"] == item.digest


def test_it_may_return_what_a_task_pinned(table: Path, deployment: Deployment) -> None:
    reference = {"artifact": pin(str(table)).artifact.to_dict()}

    @task.validate_data(suite=SUITE)
    def arrived() -> Any:
        return reference

    table.write_text("a,b\n1,3\n")  # no longer the pinned bytes
    done = run(deployment, arrived())
    assert done.state == "failed"
    assert "changed" in str(done.error)


def test_a_control_that_fails_fails_the_task(table: Path, deployment: Deployment) -> None:
    table.write_text("a,b\n,2\n")

    @task.validate_data(suite=SUITE, on_fail="skip")
    def arrived() -> str:
        return str(table)

    assert run(deployment, arrived()).state == "skipped"


@pytest.mark.parametrize("returned", ["", "   ", None, 3, ["a"]])
def test_nothing_is_refused(deployment: Deployment, returned: Any) -> None:
    @task.scan_model(retries=3)
    def trained() -> Any:
        return returned

    done = run(deployment, trained())
    assert done.state == "failed"
    assert "what the function returned is empty" in str(done.error)


def test_what_is_returned_is_never_a_template(tmp_path: Path, deployment: Deployment) -> None:
    @task.scan_model
    def trained() -> str:
        return str(tmp_path / "{{ dag.dag_id }}")

    done = run(deployment, trained())
    assert "{{ dag.dag_id }}" in str(done.error)


def test_the_artifact_cannot_be_given_too() -> None:
    with pytest.raises(TypeError, match="it is what the function returns"):

        @task.scan_model(artifact="model.bin")
        def trained() -> str:
            return "other.bin"

        trained()


def test_every_decorator_is_offered() -> None:
    offered = {entry["name"]: entry["class-name"] for entry in get_provider_info()["task-decorators"]}
    assert offered.keys() == {cls.custom_operator_name.removeprefix("@task.") for cls in _DECORATED}
    assert callable(task.detect_label_poisoning)
