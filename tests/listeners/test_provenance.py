"""Provenance that the worker observes, through Airflow's own task runner."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset, task

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.policy import ReleasePolicy, evaluate, gather
from airflow_mlsecops.core.predicates import provenance
from airflow_mlsecops.core.predicates.provenance import RunRecord
from airflow_mlsecops.hooks.surroundings import IMAGE_VARIABLE, packages
from airflow_mlsecops.operators.attest_provenance import AttestProvenanceOperator
from airflow_mlsecops.taskflow import observe_provenance
from tests.support import task_process
from tests.support.deployment import Deployment
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow

SETTING = "AIRFLOW__MLSECOPS__OBSERVE_PROVENANCE"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "data.csv"
    path.write_text("a,b\n1,2\n")
    return path


def copying(data: Path, model: Path, after: Callable[[], object] = lambda: None, **kwargs: Any) -> Any:
    """A task that makes the model out of the data."""

    @task(task_id="train", **kwargs)
    def train() -> None:
        model.write_bytes(b"model of " + data.read_bytes())
        after()

    return train()


def run(train: Any, deployment: Deployment, **kwargs: Any) -> OpRun:
    return run_op(train, connections=deployment.connections, **kwargs)


def said_about(path: Path, deployment: Deployment, kind: Kind = Kind.MODEL) -> list[provenance.Provenance]:
    found = deployment.about(pin(str(path), kind=kind).artifact.digest).of("provenance")
    return [provenance.parse(item.statement) for item in found]


def predicate(deployment: Deployment) -> Any:
    (bundle,) = deployment.bundles()
    return Bundle.parse(bundle.read_bytes()).statement.predicate


def test_a_task_that_asks_for_it_is_observed(data: Path, tmp_path: Path, deployment: Deployment) -> None:
    model = tmp_path / "model.bin"
    train = observe_provenance(copying(data, model), materials=[str(data)], products=[str(model)])

    assert run(train, deployment, bundle_version="b" * 40).state == "success"

    (said,) = said_about(model, deployment)
    assert [item.digest for item in said.datasets()] == [hashlib.sha256(data.read_bytes()).hexdigest()]
    assert said.run["triggered_by"] == "alice"
    assert said.run["git_commit"] == "b" * 40
    assert not said.failed
    materials = {item.kind: item for item in said.dependencies if item.kind != "dataset"}
    assert set(materials) == {"packages", "code"}
    assert deployment.store.get_blob(materials["packages"].digest) == packages()
    assert b'"apache-airflow","3' in packages()
    dag_file = Path(task_process.__file__)  # where the harness makes the Dag
    assert materials["code"].name == dag_file.name
    assert materials["code"].digest == hashlib.sha256(dag_file.read_bytes()).hexdigest()


def test_inputs_are_pinned_before_the_task_can_change_them(data: Path, tmp_path: Path, deployment: Deployment) -> None:
    model, before = tmp_path / "model.bin", hashlib.sha256(data.read_bytes()).hexdigest()
    train = copying(data, model, after=lambda: data.write_text("something else"))

    assert run(observe_provenance(train, materials=[str(data)], products=[str(model)]), deployment).state == "success"

    (said,) = said_about(model, deployment)
    assert [item.digest for item in said.datasets()] == [before]


def test_assets_are_observed_by_one_setting(
    data: Path, tmp_path: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model.bin"
    train = copying(data, model, inlets=[Asset(data.as_uri()), Asset("only-a-name")], outlets=[Asset(model.as_uri())])
    assert run(train, deployment).state == "success"
    assert deployment.bundles() == []  # not unless asked for

    monkeypatch.setenv(SETTING, "True")
    assert run(train, deployment).state == "success"

    (said,) = said_about(model, deployment)
    assert [item.digest for item in said.datasets()] == [hashlib.sha256(data.read_bytes()).hexdigest()]
    assert said.run["unpinned"] == ["only-a-name"]


def test_a_task_without_assets_is_left_alone(
    data: Path, tmp_path: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SETTING, "True")
    assert run(copying(data, tmp_path / "model.bin"), deployment).state == "success"
    assert deployment.bundles() == []


def test_a_failed_try_is_recorded_and_vouches_for_nothing(data: Path, tmp_path: Path, deployment: Deployment) -> None:
    model = tmp_path / "model.bin"

    def crash() -> None:
        raise RuntimeError("out of memory")

    train = observe_provenance(copying(data, model, after=crash), materials=[str(data)], products=[str(model)])
    done = run(train, deployment)

    assert done.state == "failed"
    assert said_about(model, deployment) == []
    record = RunRecord(
        {
            "orchestrator": "apache-airflow",
            "dag_id": "test_dag",
            "run_id": "manual__2026-01-02T03:04:05+00:00",
            "task_id": "train",
            "map_index": -1,
            "try_number": 1,
        }
    )
    (found,) = deployment.about(record.digest).verified
    said = provenance.parse(found.statement)
    assert said.failed
    byproducts = found.statement.predicate["runDetails"]["byproducts"]
    assert [item["digest"]["sha256"] for item in byproducts] == [hashlib.sha256(model.read_bytes()).hexdigest()]


def test_a_failed_tries_output_is_refused_at_the_gate(data: Path, tmp_path: Path, deployment: Deployment) -> None:
    model = tmp_path / "model.bin"

    def crash() -> None:
        raise RuntimeError("half-way")

    run(observe_provenance(copying(data, model, after=crash), products=[str(model)]), deployment)

    policy = ReleasePolicy.from_bytes(b"version: 1\nname: p\nrequire:\n  - {evidence: provenance, of: model}\n")
    artifact = pin(str(model), kind=Kind.MODEL).artifact
    decision = evaluate(policy, gather(deployment.store, artifact.identity, deployment.trust, utcnow()), utcnow())
    assert not decision
    assert [reason.code for reason in decision.reasons] == ["evidence-missing"]


def test_a_store_that_is_down_never_fails_the_task(data: Path, tmp_path: Path, deployment: Deployment) -> None:
    model = tmp_path / "model.bin"
    train = observe_provenance(copying(data, model), materials=[str(data)], products=[str(model)])
    deployment.evidence.rmdir()
    deployment.evidence.write_text("a file where the store should be")

    done = run(train, deployment)

    assert done.state == "success"
    assert "No provenance of this task is recorded" in done.logs
    assert model.exists()


def test_a_product_that_was_not_written_is_named(data: Path, tmp_path: Path, deployment: Deployment) -> None:
    model = tmp_path / "model.bin"
    products = [str(model), str(tmp_path / "never-written")]

    assert run(observe_provenance(copying(data, model), products=products), deployment).state == "success"

    (said,) = said_about(model, deployment)
    assert said.run["unpinned"] == [f"{tmp_path / 'never-written'}: artifact-not-found"]


def test_only_named_parameters_are_recorded(data: Path, tmp_path: Path, deployment: Deployment) -> None:
    model = tmp_path / "model.bin"
    train = observe_provenance(copying(data, model), products=["{{ params.model }}"], parameters=["depth"])

    done = run(train, deployment, params={"depth": 3, "password": "s3cret", "model": str(model)})

    assert done.state == "success"
    (said,) = said_about(model, deployment)
    assert said.parameters == {"depth": 3}
    assert not any(b"s3cret" in path.read_bytes() for path in deployment.evidence.rglob("*") if path.is_file())


def test_what_another_task_pinned_keeps_its_digest(data: Path, tmp_path: Path, deployment: Deployment) -> None:
    model, pinned = tmp_path / "model.bin", pin(str(data), name="the data").artifact
    data.write_text("changed since")
    train = observe_provenance(
        copying(data, model), materials=["{{ ti.xcom_pull(task_ids='ingest') | tojson }}"], products=[str(model)]
    )

    done = run(train, deployment, xcoms={("ingest", "return_value"): {"artifact": pinned.to_dict()}})

    assert done.state == "success"
    (said,) = said_about(model, deployment)
    assert [(item.name, item.digest) for item in said.datasets()] == [("the data", pinned.digest)]


def test_the_image_is_recorded_with_its_digest(
    data: Path, tmp_path: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(IMAGE_VARIABLE, f"registry.example/worker@sha256:{'c' * 64}")
    model = tmp_path / "model.bin"

    assert run(observe_provenance(copying(data, model), products=[str(model)]), deployment).state == "success"

    (said,) = said_about(model, deployment)
    assert ("registry.example/worker", "image", "c" * 64) in [(i.name, i.kind, i.digest) for i in said.dependencies]


def test_the_commit_of_a_checkout_is_recorded(
    data: Path, tmp_path: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow import settings

    dags = tmp_path / "dags"
    dags.mkdir()
    monkeypatch.setattr(settings, "DAGS_FOLDER", str(dags))
    author = {
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-C", str(dags), *command], check=True, env={**os.environ, **author})
    commit = subprocess.check_output(["git", "-C", str(dags), "rev-parse", "HEAD"], text=True).strip()
    model = tmp_path / "model.bin"

    assert run(observe_provenance(copying(data, model), products=[str(model)]), deployment).state == "success"

    (said,) = said_about(model, deployment)
    assert said.run["git_commit"] == commit


def test_an_author_can_attest_what_lies_there_already(data: Path, tmp_path: Path, deployment: Deployment) -> None:
    model = tmp_path / "model.bin"
    model.write_bytes(b"made by a cluster's job")
    operator = AttestProvenanceOperator(
        task_id="attest", artifact=str(model), materials=[str(data)], parameters={"epochs": 3}
    )

    done = run_op(operator, connections=deployment.connections)

    assert done.state == "success"
    (said,) = said_about(model, deployment)
    assert said.parameters == {"epochs": 3}
    assert [item.digest for item in said.datasets()] == [hashlib.sha256(data.read_bytes()).hexdigest()]
    assert done.xcoms["return_value"]["artifact"]["digest"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert predicate(deployment)["runDetails"]["builder"]["id"].endswith("/attestation/airflow")
