"""The sensors that wait for evidence, and their trigger, through Airflow's own task runner."""

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
from airflow_mlsecops.operators.promote_model import PromoteModelOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from airflow_mlsecops.operators.revoke import RevokeArtifactOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.sensors.approved_model import ApprovedModelSensor
from airflow_mlsecops.sensors.evidence import EvidenceSensor
from airflow_mlsecops.triggers.evidence import EvidenceTrigger
from tests.support.deployment import ROLES, Deployment
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "deployment", roles=(*ROLES, "promote", "revoke"))


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "production.yaml"
    path.write_text("version: 1\nname: production\nrequire: [{evidence: signature, of: model}]\n")
    return str(path)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights")
    return path


def run(operator: Any, deployment: Deployment) -> OpRun:
    return run_op(operator, connections=deployment.connections)


def digest(path: Path) -> str:
    return pin(str(path), kind=Kind.MODEL).artifact.digest


def sign(path: Path, deployment: Deployment) -> None:
    assert run(SignArtifactOperator(task_id="sign", artifact=str(path)), deployment).state == "success"


def promote(path: Path, deployment: Deployment, policy: str, version: str) -> None:
    sign(path, deployment)
    gate = ReleaseGateOperator(task_id="gate", artifact=str(path), policy=policy)
    given: Any = {"model_name": "digits", "version": version, "stage": "production", "policy": policy}
    for operator in (gate, PromoteModelOperator(task_id="promote", artifact=str(path), **given)):
        assert run(operator, deployment).state == "success"


def evidence(path: Path, policy_: str, /, **given: Any) -> EvidenceSensor:
    given = {"digest": digest(path), "policy": policy_, "poke_interval": 0.05, "deferrable": True, **given}
    return EvidenceSensor(task_id="wait", **given)


def approved(policy: str, **given: Any) -> ApprovedModelSensor:
    given = {"model_name": "digits", "stage": "production", "poke_interval": 0.05, "deferrable": True, **given}
    return ApprovedModelSensor(task_id="wait", policy=policy, **given)


@pytest.mark.parametrize("deferrable", [True, False])
def test_evidence_that_is_there(deferrable: bool, model: Path, deployment: Deployment, policy: str) -> None:
    sign(model, deployment)
    found = run(evidence(model, policy, deferrable=deferrable), deployment)
    assert found.state == "success"
    reference = found.xcoms["return_value"]
    assert (reference["digest"], reference["policy"], len(reference["evidence"])) == (digest(model), "production", 1)
    assert digest(model) in found.xcoms["_link_EvidenceLink"]


def test_evidence_that_comes_while_the_triggerer_waits(model: Path, deployment: Deployment, policy: str) -> None:
    waiting = run(evidence(model, policy), deployment)
    assert waiting.state == "deferred"
    assert "evidence-missing" in waiting.logs

    def appear() -> None:
        time.sleep(0.2)
        statement = signature.build(pin(str(model), kind=Kind.MODEL).artifact, signed_at=utcnow(), evidence=[], run={})
        deployment.store.put(signer_from_uri(str(deployment.key)).sign(statement))

    thread = threading.Thread(target=appear)
    thread.start()
    event = waiting.trigger_event()
    thread.join()
    assert waiting.resume(event).state == "success"


def test_an_event_proves_nothing(model: Path, deployment: Deployment, policy: str) -> None:
    waiting = run(evidence(model, policy), deployment)
    assert waiting.resume({"look": "now"}).state == "deferred"
    waiting = run(approved(policy), deployment)
    assert waiting.resume({"artifact": {"digest": digest(model)}}).state == "deferred"


def test_evidence_about_the_same_bytes_as_a_data_set(model: Path, deployment: Deployment, policy: str) -> None:
    sign(model, deployment)
    assert run(evidence(model, policy, artifact_kind="dataset"), deployment).state == "deferred"
    assert run(evidence(model, policy, artifact_form="tree"), deployment).state == "deferred"


@pytest.mark.parametrize("given", [{"digest": "abc"}, {"policy": "/nowhere.yaml"}])
def test_what_waiting_cant_mend(given: dict[str, str], model: Path, deployment: Deployment, policy: str) -> None:
    assert run(evidence(model, policy, retries=3, **given), deployment).state == "failed"


def test_the_trigger_says_what_waiting_cant_mend(deployment: Deployment, policy: str) -> None:
    waiting = run(approved(policy), deployment)
    Path(policy).unlink()
    event = waiting.trigger_event()
    assert "can't be read" in event.payload["error"]
    assert waiting.resume(event).state == "failed"


def test_the_trigger_is_made_again_from_what_it_says() -> None:
    trigger = EvidenceTrigger(question="model", arguments={"a": 1}, mlsecops_conn_id="c", poke_interval=1.0)
    path, arguments = trigger.serialize()
    assert path == "airflow_mlsecops.triggers.evidence.EvidenceTrigger"
    assert EvidenceTrigger(**arguments).serialize() == (path, arguments)


def test_a_model_at_a_stage(model: Path, deployment: Deployment, policy: str) -> None:
    assert run(approved(policy), deployment).state == "deferred"
    promote(model, deployment, policy, "1")
    found = run(approved(policy), deployment)
    assert found.state == "success"
    reference = found.xcoms["return_value"]
    assert (reference["artifact"]["digest"], reference["version"]) == (digest(model), "1")
    assert run(approved(policy, stage="staging"), deployment).state == "deferred"


@pytest.mark.parametrize("by", ["version", "evidence"])
def test_a_newer_model(by: str, model: Path, deployment: Deployment, policy: str, tmp_path: Path) -> None:
    promote(model, deployment, policy, "1")
    seen = run(approved(policy), deployment).xcoms["return_value"][by]
    assert run(approved(policy, newer_than=seen), deployment).state == "deferred"
    newer = tmp_path / "newer.bin"
    newer.write_bytes(b"newer")
    promote(newer, deployment, policy, "2")
    found = run(approved(policy, newer_than=seen), deployment)
    assert found.xcoms["return_value"]["version"] == "2"
    assert run(approved(policy, newer_than="never"), deployment).state == "deferred"


def test_a_revoked_model_is_waited_on(model: Path, deployment: Deployment, policy: str) -> None:
    promote(model, deployment, policy, "1")
    run(RevokeArtifactOperator(task_id="revoke", artifact=str(model), reason="leaked"), deployment)
    waiting = run(approved(policy, deferrable=False, mode="reschedule"), deployment)
    assert waiting.state == "up_for_reschedule"
    assert "artifact-revoked" in waiting.logs
