"""Signing, verification, approval and release, through Airflow's own task runner."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import vsa
from airflow_mlsecops.operators.approval_gate import ApprovalGateOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.operators.verify_artifact import VerifyArtifactOperator
from tests.support.deployment import Deployment
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow

BOB = {"id": "bob", "name": "bob"}
POLICY = """\
version: 1
name: small
require:
  - {evidence: signature, of: model}
  - {evidence: approval, of: model, count: 1}
"""


def run(operator: Any, deployment: Deployment, **kwargs: Any) -> OpRun:
    return run_op(operator, connections=deployment.connections, **kwargs)


def sign(model: Path, deployment: Deployment, **kwargs: Any) -> OpRun:
    return run(SignArtifactOperator(task_id="sign", artifact=str(model), **kwargs), deployment)


def ask(artifact: Any, deployment: Deployment, **kwargs: Any) -> OpRun:
    return run(ApprovalGateOperator(task_id="approve", artifact=artifact, require_reason=False, **kwargs), deployment)


def policy_file(tmp_path: Path, text: str = POLICY) -> str:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    return str(path)


def reference(run_: OpRun) -> Mapping[str, Any]:
    value = run_.xcoms["return_value"]
    assert isinstance(value, dict)
    return value


class TestSigning:
    def test_signature_counts_and_is_linked(self, model: Path, deployment: Deployment) -> None:
        signed = sign(model, deployment)
        assert signed.state == "success"
        digest = pin(str(model)).artifact.digest
        evidence = deployment.about(digest)
        assert [item.slug for item in evidence.verified] == ["signature"]
        assert reference(signed)["evidence"] == evidence.verified[0].digest
        assert digest in signed.xcoms["_link_EvidenceLink"]

    def test_model_changed_since_it_was_pinned_is_not_signed(self, model: Path, deployment: Deployment) -> None:
        pinned = pin(str(model)).artifact.to_dict()
        model.write_bytes(b"other weights")
        signed = run(SignArtifactOperator(task_id="sign", artifact=pinned, retries=3), deployment)
        assert signed.state == "failed"  # not up_for_retry: the bytes would be the same
        assert "artifact-changed" in str(signed.error)
        assert not deployment.bundles()

    def test_encrypted_key_and_no_secret_anywhere(self, tmp_path: Path, model: Path) -> None:
        deployment = Deployment(tmp_path / "encrypted", passphrase="correct horse battery")
        signed = sign(model, deployment)
        assert signed.state == "success"
        stored = b"".join(path.read_bytes() for path in deployment.evidence.rglob("*") if path.is_file())
        everywhere = signed.logs + str(signed.xcoms) + str(signed.rendered) + stored.decode()
        assert "correct horse" not in everywhere
        assert "PRIVATE KEY" not in everywhere

    def test_wrong_passphrase_fails_without_naming_it(self, tmp_path: Path, model: Path) -> None:
        deployment = Deployment(tmp_path / "encrypted", passphrase="right")
        deployment.passphrase = "wrong-one"
        signed = sign(model, deployment, retries=2)
        assert signed.state == "failed"
        assert "[signing]" in str(signed.error)
        assert "wrong-one" not in signed.logs

    def test_store_that_is_down_is_retried(self, model: Path, deployment: Deployment) -> None:
        deployment.evidence.rmdir()
        deployment.evidence.write_text("a file where the store's folder was")
        signed = sign(model, deployment, retries=1)
        assert signed.state == "up_for_retry"
        assert "store-unavailable" in str(signed.error)
        deployment.evidence.unlink()
        deployment.evidence.mkdir()
        assert signed.rerun().state == "success"

    def test_template_renders_the_uri(self, model: Path, deployment: Deployment) -> None:
        operator = SignArtifactOperator(task_id="sign", artifact="{{ params.model }}")
        signed = run(operator, deployment, params={"model": str(model)})
        assert signed.state == "success"
        assert signed.rendered["artifact"] == str(model)

    @pytest.mark.parametrize("artifact", ["", "None", 7, {"digest": "x"}, '{"a": 1'])
    def test_what_is_no_artifact_fails_clearly(self, artifact: Any, deployment: Deployment) -> None:
        signed = run(SignArtifactOperator(task_id="sign", artifact=artifact, retries=1), deployment)
        assert signed.state == "failed"
        assert "->" in str(signed.error)  # every error says what to do

    def test_link_in_a_folder_is_refused(self, tmp_path: Path, model: Path, deployment: Deployment) -> None:
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "weights").symlink_to(model)
        signed = run(SignArtifactOperator(task_id="sign", artifact=str(folder)), deployment)
        assert signed.state == "failed"
        assert "artifact-refused" in str(signed.error)


class TestEmbeddedDefault:
    def test_works_without_a_connection_and_says_so(
        self, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
        signed = run_op(SignArtifactOperator(task_id="sign", artifact=str(model)))
        assert signed.state == "success"
        assert "TRYING OUT ONLY" in signed.logs
        key = tmp_path / "home" / "mlsecops" / "signing-key.pem"
        assert key.stat().st_mode & 0o077 == 0
        assert run_op(VerifyArtifactOperator(task_id="verify", artifact=str(model))).state == "success"

    def test_named_connection_that_is_missing_is_no_default(self, model: Path) -> None:
        operator = SignArtifactOperator(task_id="sign", artifact=str(model), mlsecops_conn_id="production")
        assert run_op(operator).state == "failed"


class TestVerification:
    def test_unsigned_is_no(self, model: Path, deployment: Deployment) -> None:
        verified = run(VerifyArtifactOperator(task_id="verify", artifact=str(model)), deployment)
        assert verified.state == "failed"
        assert "not-signed" in str(verified.error)

    def test_signed_is_yes_and_a_changed_byte_is_no(self, model: Path, deployment: Deployment) -> None:
        sign(model, deployment)
        assert run(VerifyArtifactOperator(task_id="verify", artifact=str(model)), deployment).state == "success"
        model.write_bytes(model.read_bytes()[:-1] + b"S")
        assert run(VerifyArtifactOperator(task_id="verify", artifact=str(model)), deployment).state == "failed"

    @pytest.mark.parametrize(("on_fail", "state"), [("fail", "failed"), ("skip", "skipped"), ("continue", "success")])
    def test_what_a_no_does_is_the_authors_choice(
        self, on_fail: Any, state: str, model: Path, deployment: Deployment
    ) -> None:
        verified = run(VerifyArtifactOperator(task_id="verify", artifact=str(model), on_fail=on_fail), deployment)
        assert verified.state == state
        assert verified.xcoms["mlsecops"]["verified"] is False

    def test_misspelt_choice_is_refused_when_the_dag_is_parsed(self) -> None:
        with pytest.raises(ValueError, match="expected one of fail, skip, continue"):
            VerifyArtifactOperator(task_id="verify", artifact="x", on_fail="ignore")  # type: ignore[arg-type]

    def test_key_without_the_role_is_no(self, model: Path, tmp_path: Path) -> None:
        deployment = Deployment(tmp_path / "d", roles=("control",))
        sign(model, deployment)
        verified = run(VerifyArtifactOperator(task_id="verify", artifact=str(model)), deployment)
        assert verified.state == "failed"
        assert "roles ['control']" in str(verified.error)

    def test_unknown_key_is_no(self, model: Path, tmp_path: Path, deployment: Deployment) -> None:
        sign(model, deployment)
        stranger = Deployment(tmp_path / "other")
        deployment.trust_file.write_bytes(stranger.trust_file.read_bytes())
        verified = run(VerifyArtifactOperator(task_id="verify", artifact=str(model)), deployment)
        assert verified.state == "failed"
        assert "not in the trust policy" in str(verified.error)

    def test_deleted_and_tampered_evidence_is_no(self, model: Path, deployment: Deployment) -> None:
        sign(model, deployment)
        (bundle,) = deployment.bundles()
        whole = bundle.read_bytes()
        bundle.unlink()
        assert run(VerifyArtifactOperator(task_id="verify", artifact=str(model)), deployment).state == "failed"
        bundle.write_bytes(whole[:-2] + b" " + whole[-2:])
        verified = run(VerifyArtifactOperator(task_id="verify", artifact=str(model)), deployment)
        assert verified.state == "failed"
        assert "evidence-broken" in str(verified.error)


class TestReleaseGate:
    def released(self, model: Path, deployment: Deployment, policy: str) -> OpRun:
        ask(reference(sign(model, deployment)), deployment).respond(["Approve"], by=BOB)
        return run(ReleaseGateOperator(task_id="release", artifact=str(model), policy=policy), deployment)

    def test_yes_and_its_summary_verifies(self, tmp_path: Path, model: Path, deployment: Deployment) -> None:
        policy = policy_file(tmp_path)
        released = self.released(model, deployment, policy)
        assert released.state == "success"
        (item,) = deployment.about(pin(str(model)).artifact.digest).of("verification-summary")
        summary = vsa.parse(item.statement)
        assert summary.passed
        assert len(summary.evidence) == 2
        verify = VerifyArtifactOperator(task_id="verify", artifact=str(model), policy=policy)
        assert run(verify, deployment).state == "success"

    def test_no_is_signed_with_its_reasons(self, tmp_path: Path, model: Path, deployment: Deployment) -> None:
        sign(model, deployment)
        gate = ReleaseGateOperator(task_id="release", artifact=str(model), policy=policy_file(tmp_path), retries=3)
        refused = run(gate, deployment)
        assert refused.state == "failed"
        assert "no valid approval" in str(refused.error)
        (item,) = deployment.about(pin(str(model)).artifact.digest).of("verification-summary")
        assert not vsa.parse(item.statement).passed
        assert refused.xcoms["mlsecops"]["released"] is False

    def test_evidence_deleted_after_the_release_is_no(
        self, tmp_path: Path, model: Path, deployment: Deployment
    ) -> None:
        policy = policy_file(tmp_path)
        self.released(model, deployment, policy)
        next(path for path in deployment.bundles() if "/approval/" in str(path)).unlink()
        verified = run(VerifyArtifactOperator(task_id="verify", artifact=str(model), policy=policy), deployment)
        assert verified.state == "failed"
        assert "evidence-missing" in str(verified.error)

    def test_policy_changed_after_the_release_is_no(self, tmp_path: Path, model: Path, deployment: Deployment) -> None:
        policy = policy_file(tmp_path)
        self.released(model, deployment, policy)
        Path(policy).write_text(POLICY + "# a comment\n")
        verified = run(VerifyArtifactOperator(task_id="verify", artifact=str(model), policy=policy), deployment)
        assert verified.state == "failed"
        assert "judged by another policy" in str(verified.error)

    @pytest.mark.parametrize(
        "text", ["", "version: 1", "version: 1\nname: x\nrequire: []", "[", "version: 1\nname: x\nallow: all"]
    )
    def test_policy_that_says_nothing_is_no(
        self, text: str, tmp_path: Path, model: Path, deployment: Deployment
    ) -> None:
        gate = ReleaseGateOperator(task_id="release", artifact=str(model), policy=policy_file(tmp_path, text))
        refused = run(gate, deployment)
        assert refused.state == "failed"
        assert "[policy]" in str(refused.error)

    def test_unreachable_store_is_retried_and_never_yes(
        self, tmp_path: Path, model: Path, deployment: Deployment
    ) -> None:
        pinned = pin(str(model)).artifact.to_dict()
        moved = deployment.evidence.rename(tmp_path / "moved")
        gate = ReleaseGateOperator(task_id="release", artifact=pinned, policy=policy_file(tmp_path), retries=1)
        assert run(gate, deployment).state == "up_for_retry"
        assert moved.exists()

    def test_approval_dated_after_now_does_not_count(self, tmp_path: Path, model: Path, deployment: Deployment) -> None:
        sign(model, deployment)
        ask(str(model), deployment).respond(["Approve"], by=BOB, at=utcnow() + timedelta(days=2))
        gate = ReleaseGateOperator(task_id="release", artifact=str(model), policy=policy_file(tmp_path))
        refused = run(gate, deployment)
        assert refused.state == "failed"
        assert "evidence-from-the-future" in str(refused.error)
