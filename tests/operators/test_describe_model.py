"""The description as a task: what it signs, what it measures, what it refuses to load."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import bom, provenance
from airflow_mlsecops.core.signing import signer_from_uri
from airflow_mlsecops.hooks import folders
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
    (made,) = deployment.about(digest).of("provenance")
    assert [item.name for item in provenance.parse(made.statement).dependencies] == ["iris"]
    (about_folder,) = deployment.about(digest).of("bom")
    files = about_folder.statement.predicate["metadata"]["component"]["components"]
    assert {item["name"] for item in files} == {path.name for path in target.iterdir()}
    again = describe(iris_model, deployment, target=str(target))
    assert again.state == "failed"


def test_folder_names_what_the_model_was_made_from_and_measured_on(
    iris_model: Path, holdout: Path, tmp_path: Path, deployment: Deployment
) -> None:
    data, trained = pin(str(holdout), name="iris-data").artifact, pin(str(iris_model), kind=Kind.MODEL).artifact
    statement = provenance.build(
        trained, inputs=[data], parameters={}, run={}, builder="", started_at=None, finished_at=datetime.now(UTC)
    )
    deployment.store.put(signer_from_uri(f"file:{deployment.key}").sign(statement))
    done = describe(
        iris_model, deployment, evaluation=str(holdout), label_column="target", target=str(tmp_path / "described")
    )
    assert done.state == "success", done.error
    digest = done.xcoms["return_value"]["artifact"]["digest"]
    made = provenance.parse(deployment.about(digest).of("provenance")[0].statement)
    # A policy that asks about the data sets of the folder asks about those that the model was trained on.
    assert [(item.name, item.digest) for item in made.datasets()] == [("iris-data", data.digest)]
    assert made.parameters["evaluated_on"] == data.digest


def test_model_that_changes_under_the_description_is_noticed(
    iris_model: Path, tmp_path: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = folders._copied

    def swapped(parts: Any, folder: Path) -> Any:
        parts["iris.pkl"].write_bytes(EVIL4)  # the private copy, by another process of the same user
        return honest(parts, folder)

    monkeypatch.setattr(folders, "_copied", swapped)
    done = describe(iris_model, deployment, target=str(tmp_path / "described"))
    assert done.state == "failed"
    assert "[artifact-changed]" in str(done.error)
    assert not deployment.about(pin(f"{tmp_path / 'described'}/", kind=Kind.MODEL).artifact.digest).verified


def test_unreadable_description_is_told(iris_model: Path, deployment: Deployment) -> None:
    done = describe(iris_model, deployment, description="/nowhere/model.yaml")
    assert done.state == "failed"
    assert "/nowhere/model.yaml" in str(done.error)


def test_evaluation_needs_a_label() -> None:
    with pytest.raises(ValueError, match="label_column"):
        DescribeModelOperator(task_id="d", artifact="/m", evaluation="/d")
