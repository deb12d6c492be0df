"""What is told elsewhere: OpenLineage events and MLflow's registry, with the real libraries where they are there."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.lineage import evidence_lineage
from airflow_mlsecops.operators.promote_model import PromoteModelOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from tests.support.deployment import ROLES, Deployment
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "deployment", roles=(*ROLES, "promote"))


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "production.yaml"
    path.write_text("version: 1\nname: production\nrequire: [{evidence: signature, of: model}]\n")
    return str(path)


def gate(model: Path, deployment: Deployment, policy: str, *, signed: bool = True) -> OpRun:
    if signed:
        run_op(SignArtifactOperator(task_id="sign", artifact=str(model)), connections=deployment.connections)
    operator = ReleaseGateOperator(task_id="gate", artifact=str(model), policy=policy)
    return run_op(operator, connections=deployment.connections)


def promote(model: Path, deployment: Deployment, policy: str, stage: str = "production") -> OpRun:
    given: Any = {"model_name": "digits", "version": "1.0", "stage": stage, "policy": policy, "mirror": "mlflow"}
    operator = PromoteModelOperator(task_id="promote", artifact=str(model), **given)
    return run_op(operator, connections=deployment.connections)


@pytest.mark.parametrize("signed", [True, False])
def test_openlineage(signed: bool, model: Path, deployment: Deployment, policy: str) -> None:
    pytest.importorskip(
        "airflow.providers.openlineage", reason="apache-airflow-providers-openlineage isn't installed: NOT TESTED"
    )
    from airflow.providers.openlineage.extractors import ExtractorManager

    gated = gate(model, deployment, policy, signed=signed)
    lineage = ExtractorManager()._get_extractor(gated.ti.task).extract_on_complete(gated.ti)
    facet = lineage.run_facets["mlsecops"]
    told = gated.xcoms["mlsecops"]
    assert (facet.artifactSha256, facet.evidenceSha256) == (told["artifact"]["digest"], told["evidence"])
    assert facet.verdict == f"released: {signed}"
    (found,) = lineage.inputs
    assert (found.namespace, found.name) == ("file", str(model))


def test_without_the_provider_there_is_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("airflow.providers.openlineage", "airflow.providers.openlineage.extractors"):
        monkeypatch.setitem(sys.modules, name, None)
    assert evidence_lineage({"artifact": {"digest": "0" * 64, "uri": "s3://b/m"}}) is None
    assert evidence_lineage({}) is None


def test_mlflow(
    model: Path, deployment: Deployment, policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow", reason="mlflow-skinny isn't installed: the mirror is NOT TESTED")
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    gate(model, deployment, policy)
    done = [promote(model, deployment, policy, stage) for stage in ("staging", "production")]
    assert [run.xcoms["return_value"]["mirrored"] for run in done] == ["1", "1"]
    found = mlflow.MlflowClient(os.environ["MLFLOW_REGISTRY_URI"]).get_model_version_by_alias("digits", "production")
    reference = done[1].xcoms["return_value"]
    assert found.tags["mlsecops.version"] == "1.0"
    assert found.tags["mlsecops.sha256"] == reference["artifact"]["digest"]
    assert found.tags["mlsecops.evidence.production"] == reference["evidence"]


@pytest.mark.parametrize("broken", ["not installed", "not reachable"])
def test_a_mirror_that_fails_undoes_nothing(
    broken: str, model: Path, deployment: Deployment, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if broken == "not installed":
        monkeypatch.setitem(sys.modules, "mlflow", None)
    else:
        pytest.importorskip("mlflow", reason="mlflow-skinny isn't installed: the mirror is NOT TESTED")
        monkeypatch.setenv("MLFLOW_REGISTRY_URI", f"sqlite:///{model}/mlflow.db")  # a file is in the way
    gate(model, deployment, policy)
    done = promote(model, deployment, policy)
    assert (done.state, done.xcoms["return_value"]["mirrored"]) == ("success", "")
    assert "isn't copied to MLflow" in done.logs


def test_another_mirror_is_refused() -> None:
    with pytest.raises(ValueError, match="mirror"):
        PromoteModelOperator(
            task_id="p", artifact="m", model_name="d", version="1", stage="s", policy="p", mirror="other"
        )
