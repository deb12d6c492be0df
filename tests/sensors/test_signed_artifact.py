"""The sensor and its trigger, through Airflow's own task runner."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import signature
from airflow_mlsecops.core.signing import signer_from_uri
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.sensors.signed_artifact import SignedArtifactSensor
from airflow_mlsecops.triggers.signed_artifact import SignedArtifactTrigger
from tests.support.deployment import Deployment
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "deployment")


def wait(uri: Path, deployment: Deployment, **kwargs: Any) -> OpRun:
    sensor = SignedArtifactSensor(task_id="wait", uri=str(uri), poke_interval=0.05, **kwargs)
    return run_op(sensor, connections=deployment.connections)


def sign(path: Path, deployment: Deployment) -> None:
    signed = run_op(SignArtifactOperator(task_id="sign", artifact=str(path)), connections=deployment.connections)
    assert signed.state == "success"


@pytest.mark.parametrize("deferrable", [True, False])
def test_signed_artifact_is_found_at_once(deferrable: bool, tmp_path: Path, deployment: Deployment) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"weights")
    sign(model, deployment)
    found = wait(model, deployment, deferrable=deferrable)
    assert found.state == "success"
    reference = found.xcoms["return_value"]
    assert reference["artifact"]["digest"] == pin(str(model)).artifact.digest
    assert reference["signers"] == ["pipeline"]


def test_waits_in_the_triggerer_until_it_is_there_and_signed(tmp_path: Path, deployment: Deployment) -> None:
    model = tmp_path / "model"
    waiting = wait(model, deployment, deferrable=True)
    assert waiting.state == "deferred"

    def appear() -> None:
        time.sleep(0.2)
        model.write_bytes(b"weights")
        time.sleep(0.2)
        statement = signature.build(pin(str(model), kind=Kind.MODEL).artifact, signed_at=utcnow(), evidence=[], run={})
        deployment.store.put(signer_from_uri(str(deployment.key)).sign(statement))

    writer = threading.Thread(target=appear)
    writer.start()
    event = waiting.trigger_event()
    writer.join()
    assert waiting.resume(event).state == "success"


def test_worker_believes_no_event(tmp_path: Path, deployment: Deployment) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"weights")
    waiting = wait(model, deployment, deferrable=True)
    forged = waiting.resume({"digest": pin(str(model)).artifact.digest})
    assert forged.state == "deferred"  # it looked itself, saw no signature, and went on waiting


def test_unsigned_artifact_times_out(tmp_path: Path, deployment: Deployment) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"weights")
    assert wait(model, deployment, deferrable=True, timeout=60).timeout().state == "failed"
    assert wait(model, deployment, mode="poke", timeout=0.2).state == "failed"


def test_signed_as_something_else_is_waited_on(tmp_path: Path, deployment: Deployment) -> None:
    model = tmp_path / "model"
    model.write_bytes(b"weights")
    sign(model, deployment)
    assert wait(model, deployment, artifact_kind="dataset", deferrable=True).state == "deferred"


def test_what_waiting_cannot_mend_fails(tmp_path: Path, deployment: Deployment) -> None:
    model = tmp_path / "model"
    waiting = wait(model, deployment, deferrable=True)
    (tmp_path / "elsewhere").write_bytes(b"x")
    model.symlink_to(tmp_path / "elsewhere")
    failed = waiting.resume(waiting.trigger_event())
    assert failed.state == "failed"
    assert "artifact-refused" in str(failed.error)


def test_trigger_round_trips_and_carries_no_secret(deployment: Deployment) -> None:
    trigger = SignedArtifactTrigger(uri="s3://b/k", kind="model", mlsecops_conn_id="c", poke_interval=5.0)
    path, arguments = trigger.serialize()
    assert path == "airflow_mlsecops.triggers.signed_artifact.SignedArtifactTrigger"
    assert SignedArtifactTrigger(**arguments).serialize() == (path, arguments)
    assert set(arguments) == {"uri", "kind", "mlsecops_conn_id", "poke_interval"}
