"""Promotion, rollback, and Dags that an asset event triggers, through Airflow's own task runner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset, task

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import alarm, promotion
from airflow_mlsecops.core.releases import History, read_history
from airflow_mlsecops.operators.promote_model import PromoteModelOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from airflow_mlsecops.operators.revoke import RevokeArtifactOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.taskflow import released_model
from tests.support.deployment import ROLES, Deployment
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow

POLICY = "version: 1\nname: production\nrequire: [{evidence: signature, of: model}]\n"
RELEASED = Asset("s3://models/digits")


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path / "deployment", roles=(*ROLES, "promote", "alarm", "revoke"))


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "production.yaml"
    path.write_text(POLICY)
    return str(path)


def run(operator: Any, deployment: Deployment, **kwargs: Any) -> OpRun:
    return run_op(operator, connections=deployment.connections, **kwargs)


def gate(model: Path, deployment: Deployment, policy: str, **kwargs: Any) -> OpRun:
    assert run(SignArtifactOperator(task_id="sign", artifact=str(model)), deployment).state == "success"
    return run(ReleaseGateOperator(task_id="gate", artifact=str(model), policy=policy, **kwargs), deployment)


def go(model: Path, deployment: Deployment, policy: str, version: str = "1", **kwargs: Any) -> OpRun:
    given = {"model_name": "digits", "stage": "production", "outlets": [RELEASED], **kwargs}
    operator = PromoteModelOperator(task_id="promote", artifact=str(model), version=version, policy=policy, **given)
    return run(operator, deployment)


def history(deployment: Deployment) -> History:
    return read_history(deployment.store, "digits", deployment.trust, utcnow())


def alarms(deployment: Deployment) -> list[alarm.Alarm]:
    return [alarm.parse(item.statement) for item in deployment.about(alarm.EVERY_ALARM.digest).of("alarm")]


def test_a_released_model_is_promoted(model: Path, deployment: Deployment, policy: str) -> None:
    gated = gate(model, deployment, policy, outlets=[RELEASED])
    done = go(model, deployment, policy, "{{ params.version }}", params={"version": "1.0"})
    assert done.state == "success"
    (step,) = history(deployment).steps
    assert step.said.release == promotion.Release("digits", "1.0", "production")
    reference = done.xcoms["return_value"]
    assert reference["evidence"] == step.evidence.digest
    assert step.evidence.statement.predicate["run"]["task_id"] == "promote"
    (event,) = done.outlet_events
    assert event["extra"]["mlsecops"] == reference
    assert gated.outlet_events[0]["extra"]["mlsecops"]["artifact"] == reference["artifact"]
    assert reference["artifact"]["digest"] in done.xcoms["_link_EvidenceLink"]


@pytest.mark.parametrize("given", [{"stage": "Production"}, {"version": ""}, {"model_name": "{{ none }}"}])
def test_names_are_checked(given: Any, model: Path, deployment: Deployment, policy: str) -> None:
    gate(model, deployment, policy)
    assert go(model, deployment, policy, retries=3, **given).state == "failed"
    assert not history(deployment).steps


def test_a_forged_xcom_promotes_nothing(model: Path, deployment: Deployment, policy: str) -> None:
    """What the gate returned says ``released``; only the evidence counts."""
    forged = {"artifact": pin(str(model), kind=Kind.MODEL).artifact.to_dict(), "released": True, "evidence": "0" * 64}
    operator = PromoteModelOperator(
        task_id="promote", artifact=forged, model_name="digits", version="1", stage="production", policy=policy
    )
    done = run(operator, deployment)
    assert done.state == "failed"
    assert "promotion-refused" in str(done.error) and "not-released" in str(done.error)


def test_bytes_that_changed_since_the_gate_are_not_promoted(model: Path, deployment: Deployment, policy: str) -> None:
    gate(model, deployment, policy)
    model.write_bytes(b"other weights")
    assert go(model, deployment, policy).state == "failed"
    assert not history(deployment).steps


def test_without_the_role_nothing_is_written(model: Path, tmp_path: Path, policy: str) -> None:
    deployment = Deployment(tmp_path / "other")
    gate(model, deployment, policy)
    before = deployment.bundles()
    done = go(model, deployment, policy)
    assert (done.state, "role" in str(done.error)) == ("failed", True)
    assert deployment.bundles() == before


def test_rollback(model: Path, deployment: Deployment, policy: str, tmp_path: Path) -> None:
    newer = tmp_path / "newer.bin"
    newer.write_bytes(b"newer weights")
    for version, path in (("1", model), ("2", newer)):
        gate(path, deployment, policy)
        assert go(path, deployment, policy, version).state == "success"
    assert go(model, deployment, policy, "1", rollback=True).state == "failed"  # no reason
    done = go(model, deployment, policy, "1", rollback=True, reason="2 is slow")
    assert done.state == "success"
    assert [step.said.release.version for step in history(deployment).steps] == ["1", "2", "1"]
    revoked = run(RevokeArtifactOperator(task_id="revoke", artifact=str(newer), reason="leaked"), deployment)
    assert revoked.state == "success"
    again = go(newer, deployment, policy, "2", rollback=True, reason="1 is slow too")
    assert (again.state, "revoked" in str(again.error)) == ("failed", True)


# --- what an asset event triggers -------------------------------------------------------------------------------------


def use(events: Sequence[Mapping[str, Any]], deployment: Deployment, policy: str, **given: Any) -> OpRun:
    @task(task_id="use")
    def take() -> dict[str, Any]:
        return released_model(policy=policy, **given)

    posted = [{"uri": RELEASED.uri, **event} for event in events]
    return run(take(), deployment, asset_events=posted, run_type="asset_triggered", triggering_user=None)


AT = {"model_name": "digits", "stage": "production"}


@pytest.mark.parametrize("given", [{}, AT])
def test_an_event_of_ours_is_taken(given: Any, model: Path, deployment: Deployment, policy: str) -> None:
    gate(model, deployment, policy)
    (event,) = go(model, deployment, policy).outlet_events
    done = use([{"extra": event["extra"]}], deployment, policy, **given)
    assert done.state == "success"
    assert done.xcoms["return_value"]["artifact"]["digest"] == pin(str(model)).artifact.digest
    assert not alarms(deployment)


@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"from_rest_api": True},
        {"mlsecops": "yes"},
        {"mlsecops": {"artifact": {"digest": "0" * 64}}},
        {"mlsecops": {"artifact": None}},
    ],
    ids=str,
)
def test_an_event_that_names_no_model(extra: Any, deployment: Deployment, policy: str) -> None:
    done = use([{"extra": extra}], deployment, policy)
    assert done.state == "failed"
    (seen,) = alarms(deployment)
    assert (seen.event, seen.run["task_id"]) == (alarm.Event.EVENT_NOT_VERIFIED, "use")


@pytest.mark.parametrize("given", [{}, AT])
def test_a_forged_event_fails_and_is_recorded(
    given: Any, model: Path, deployment: Deployment, policy: str, tmp_path: Path
) -> None:
    gate(model, deployment, policy)
    (event,) = go(model, deployment, policy).outlet_events
    evil = tmp_path / "evil.bin"
    evil.write_bytes(b"evil")
    told = {**event["extra"]["mlsecops"], "artifact": pin(str(evil), kind=Kind.MODEL).artifact.to_dict()}
    done = use([{"extra": {"mlsecops": told, "from_rest_api": True}}], deployment, policy, **given)
    assert done.state == "failed"
    assert "isn't to be believed" in str(done.error)
    assert len(alarms(deployment)) == 1


def test_an_event_that_leads_elsewhere(model: Path, deployment: Deployment, policy: str) -> None:
    gate(model, deployment, policy)
    (event,) = go(model, deployment, policy).outlet_events
    event["extra"]["mlsecops"]["artifact"]["uri"] = "s3://mallory/model"
    assert use([{"extra": event["extra"]}], deployment, policy, **AT).state == "failed"


def test_an_event_that_was_overtaken_is_no_alarm(
    model: Path, deployment: Deployment, policy: str, tmp_path: Path
) -> None:
    gate(model, deployment, policy)
    (event,) = go(model, deployment, policy).outlet_events
    newer = tmp_path / "newer.bin"
    newer.write_bytes(b"newer weights")
    gate(newer, deployment, policy)
    (later,) = go(newer, deployment, policy, "2").outlet_events
    done = use([{"extra": event["extra"]}], deployment, policy, **AT)
    assert (done.state, "overtaken" in str(done.error)) == ("failed", True)
    assert not alarms(deployment)
    now = datetime.now(UTC)
    both = [{"extra": later["extra"], "timestamp": now}, {"extra": event["extra"], "timestamp": now - timedelta(1)}]
    assert use(both, deployment, policy, **AT).state == "success"


def test_no_event_at_all(deployment: Deployment, policy: str) -> None:
    assert use([], deployment, policy).state == "failed"


def test_a_stage_needs_a_name(deployment: Deployment, policy: str) -> None:
    done = use([], deployment, policy, stage="production")
    assert (done.state, "belong together" in str(done.error)) == ("failed", True)
