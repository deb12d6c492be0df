"""The example Dag of approvals that people sign themselves: what the production policy then still lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import provenance
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from tests.operators.test_approval_gate import People, a_new_triggerer
from tests.operators.test_bucket import tasks
from tests.support.deployment import Deployment
from tests.support.run_op import run_op

__all__ = ["a_new_triggerer"]

pytestmark = pytest.mark.airflow


def test_example_signed_approval(tmp_path: Path, deployment: Deployment) -> None:
    model, people, dag = tmp_path / "model.bin", People(deployment), tasks("example_signed_approval")
    model.write_bytes(b"weights")
    artifact = pin(str(model), kind=Kind.MODEL).artifact
    made = provenance.build(
        artifact,
        inputs=[],
        parameters={},
        run={"triggered_by": "tina"},
        builder="",
        started_at=None,
        finished_at=utcnow(),
    )
    deployment.store.put(FileKeySigner(deployment.key.read_bytes(), origin="pipeline").sign(made))
    keys = {name: people.key(name, "approve") for name in ("bob", "carol", "erin")}
    people.named({"id": "bob", "roles": ["ml-lead"]}, {"id": "carol", "roles": ["ml-lead"]}, {"id": "erin"})

    def release() -> str:
        """What the release gate says. It is a NO in any case: nothing was checked, scanned or signed."""
        said = run_op(dag["release"], connections=deployment.connections, conf={"model": str(model)})
        assert said.state == "failed"
        return said.logs

    waiting = run_op(
        dag["approve"], connections=deployment.connections, conf={"model": str(model)}, triggering_user="alice"
    )
    assert waiting.state == "deferred"
    (request,) = deployment.about(artifact.digest).of("approval-request")
    for name in ("bob", "erin"):
        people.signs(keys[name], name, model, request.digest)
    assert waiting.resume(waiting.trigger_event()).state == "deferred"
    assert "1 of 2 approvals; erin isn't one of those who were asked" in release()

    people.signs(keys["carol"], "carol", model, request.digest)
    assert waiting.resume(waiting.trigger_event()).state == "success"
    assert "approvals-missing" not in release()
