"""Revoking through Airflow's own task runner."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.operators.revoke import RevokeArtifactOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.operators.verify_artifact import VerifyArtifactOperator
from tests.support.deployment import Deployment
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow


def run(operator: Any, deployment: Deployment) -> OpRun:
    return run_op(operator, connections=deployment.connections, triggering_user="alice")


def allow_revoking(deployment: Deployment) -> None:
    text = deployment.trust_file.read_text()
    assert '"gate"' in text
    deployment.trust_file.write_text(text.replace('"gate"', '"gate", "revoke"', 1))


def test_a_revoked_model_is_no_longer_to_be_used(model: Path, deployment: Deployment) -> None:
    allow_revoking(deployment)
    assert run(SignArtifactOperator(task_id="sign", artifact=str(model)), deployment).state == "success"
    assert run(VerifyArtifactOperator(task_id="verify", artifact=str(model)), deployment).state == "success"
    pinned = pin(str(model)).artifact.to_dict()

    revoked = run(RevokeArtifactOperator(task_id="revoke", artifact=pinned, reason="it leaked"), deployment)
    assert revoked.state == "success"
    after = run(VerifyArtifactOperator(task_id="verify", artifact=str(model)), deployment)
    assert after.state == "failed"
    assert "artifact-revoked" in str(after.error)
    assert "alice" in str(after.error) and "it leaked" in str(after.error)


@pytest.mark.parametrize(
    "how", [{"reason": " "}, {"reason": "r", "since": "soon"}, {"reason": "r", "since": "2999-01-01T00:00:00Z"}]
)
def test_what_is_wrong_puts_nothing(model: Path, deployment: Deployment, how: dict[str, str]) -> None:
    allow_revoking(deployment)
    failed = run(RevokeArtifactOperator(task_id="revoke", artifact=str(model), retries=2, **how), deployment)
    assert failed.state == "failed"
    assert not deployment.bundles()


def test_without_the_role_nothing_is_put(model: Path, deployment: Deployment) -> None:
    failed = run(RevokeArtifactOperator(task_id="revoke", artifact=str(model), reason="r"), deployment)
    assert failed.state == "failed"
    assert "[trust]" in str(failed.error)
    assert not deployment.bundles()


def test_a_misspelt_cause_is_refused_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="expected one of"):
        RevokeArtifactOperator(task_id="revoke", artifact="x", reason="r", cause="bored")
