"""The description as a task: what it signs, what it measures, what it refuses to load."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import bom
from airflow_mlsecops.operators.describe_model import DescribeModelOperator
from tests.support.deployment import ROLES, Deployment
from tests.support.hostile_models import EVIL4
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "deployment", roles=(*ROLES, "describe"))


@pytest.fixture
def holdout(tmp_path: Path) -> Path:
    path = tmp_path / "iris.csv"
    load_iris(as_frame=True).frame.to_csv(path, index=False)
    return path


@pytest.fixture
def iris_model(tmp_path: Path) -> Path:
    table = load_iris(as_frame=True).frame
    fitted = LogisticRegression(max_iter=500).fit(table.drop(columns="target"), table.target)
    path = tmp_path / "iris.pkl"
    path.write_bytes(pickle.dumps(fitted))
    return path


def describe(model: Path, deployment: Deployment, **kwargs: Any) -> OpRun:
    operator = DescribeModelOperator(task_id="describe", artifact=str(model), artifact_name="iris", **kwargs)
    return run_op(operator, connections=deployment.connections)


def bill(model: Path, deployment: Deployment) -> bom.BillOfMaterials:
    (found,) = deployment.about(pin(str(model)).artifact.digest).of("bom")
    return bom.parse(found.statement)


def test_bill_and_cards_are_evidence(iris_model: Path, holdout: Path, deployment: Deployment) -> None:
    words = {"model": {"licence": "Apache-2.0"}}
    done = describe(iris_model, deployment, description=words, evaluation=str(holdout), label_column="target")
    assert done.state == "success", done.error
    found = bill(iris_model, deployment)
    assert found.subject.licences == ("Apache-2.0",)
    assert set(found.cards) == {"MODEL_CARD.md", "model-card.html"}
    card = deployment.store.get_blob(found.cards["MODEL_CARD.md"]).decode()
    assert "balanced" in card
    assert "petal" in card


def test_trojan_is_not_loaded(tmp_path: Path, holdout: Path, deployment: Deployment) -> None:
    path = tmp_path / "evil.pkl"
    path.write_bytes(EVIL4)
    done = describe(path, deployment, evaluation=str(holdout), label_column="target")
    assert done.state == "failed"
    assert "unsafe-model" in str(done.error)
    assert not deployment.about(pin(str(path)).artifact.digest).of("bom")


def test_folder_holds_model_and_description(iris_model: Path, tmp_path: Path, deployment: Deployment) -> None:
    target = tmp_path / "out" / "described"
    done = describe(iris_model, deployment, target=str(target))
    assert done.state == "success", done.error
    assert {path.name for path in target.iterdir()} == {
        "iris.pkl", "bom.cdx.json", "MODEL_CARD.md", "model-card.html",
    }  # fmt: skip
    digest = done.xcoms["return_value"]["artifact"]["digest"]
    assert digest == pin(f"{target}/", kind=Kind.MODEL).artifact.digest
    assert deployment.about(digest).of("provenance")
    again = describe(iris_model, deployment, target=str(target))
    assert again.state == "failed"


def test_unreadable_description_is_told(iris_model: Path, deployment: Deployment) -> None:
    done = describe(iris_model, deployment, description="/nowhere/model.yaml")
    assert done.state == "failed"
    assert "/nowhere/model.yaml" in str(done.error)


def test_evaluation_needs_a_label() -> None:
    with pytest.raises(ValueError, match="label_column"):
        DescribeModelOperator(task_id="d", artifact="/m", evaluation="/d")
