"""``SignArtifactOperator(oms=…)``: a signature that other tools read; what follows still speaks of the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.oms import CertificateTrust, verify_oms
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import signature
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.operators.verify_artifact import VerifyArtifactOperator
from tests.support.deployment import Deployment
from tests.support.model_signing_tool import Keys, need_model_signing
from tests.support.oms_models import write_model
from tests.support.oms_pki import intermediate, leaf, root
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_model(tmp_path / "digits")


def sign(model: Any, deployment: Deployment, **kwargs: Any) -> OpRun:
    operator = SignArtifactOperator(task_id="sign", artifact=model, **kwargs)
    return run_op(operator, connections=deployment.connections)


def test_a_folder(folder: Path, deployment: Deployment) -> None:
    before = pin(str(folder), kind=Kind.MODEL).artifact
    done = sign(str(folder), deployment, oms="create")

    assert done.state == "success"
    bundle = (folder / "model.sig").read_bytes()
    reference = done.xcoms["return_value"]
    assert reference["oms"] == {"uri": (folder / "model.sig").as_uri(), "sha256": sha256_bytes(bundle)}
    assert verify_oms(bundle, folder, trust=deployment.public, at=utcnow()).name == "digits"
    (evidence,) = deployment.about(before.digest).of("signature")
    assert signature.parse(evidence.statement).oms == sha256_bytes(bundle)
    assert deployment.store.get_blob(sha256_bytes(bundle)) == bundle

    # What comes after it in the Dag still speaks of the same bytes, and of the folder as it lies there now.
    for artifact in (reference, str(folder)):
        verify = VerifyArtifactOperator(task_id="verify", artifact=artifact)
        assert run_op(verify, connections=deployment.connections).state == "success"


def test_model_signing_accepts_it(folder: Path, deployment: Deployment, tmp_path: Path) -> None:
    need_model_signing()
    assert sign(str(folder), deployment, oms="create").state == "success"
    (tmp_path / "keys").mkdir()
    keys = Keys(tmp_path / "keys", leaf(), root())
    keys.public.write_text(deployment.public.pem)

    assert keys.verify("key", folder, folder / "model.sig")


def test_a_retry_keeps_the_signature_and_another_file_is_an_error(folder: Path, deployment: Deployment) -> None:
    place = folder / "model.sig"
    sign(str(folder), deployment, oms="create")
    first = place.read_bytes()
    assert sign(str(folder), deployment, oms="create").state == "success"
    assert place.read_bytes() == first

    place.unlink()
    place.write_bytes(b"somebody's")
    refused = sign(str(folder), deployment, oms="create", retries=2)
    assert refused.state == "failed"
    assert "[oms-exists]" in str(refused.error)
    assert place.read_bytes() == b"somebody's"


def test_replace_a_strangers_signature(folder: Path, deployment: Deployment, tmp_path: Path) -> None:
    sign(str(folder), Deployment(tmp_path / "stranger"), oms="create")
    theirs = (folder / "model.sig").read_bytes()

    assert sign(str(folder), deployment, oms="create").state == "failed"
    assert (folder / "model.sig").read_bytes() == theirs
    assert sign(str(folder), deployment, oms="replace").state == "success"
    assert verify_oms((folder / "model.sig").read_bytes(), folder, trust=deployment.public, at=utcnow())


def test_with_certificates(folder: Path, deployment: Deployment, tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_bytes(leaf().pem + intermediate().pem)
    wrong = sign(str(folder), deployment, oms="create", oms_certificates=str(chain))
    assert wrong.state == "failed"
    assert "[oms-certificate]" in str(wrong.error)

    deployment.key.write_bytes(leaf().private_pem)
    done = sign(str(folder), deployment, oms="create", oms_certificates=str(chain))
    assert done.state == "success"
    trust = CertificateTrust((root().certificate,))
    assert verify_oms((folder / "model.sig").read_bytes(), folder, trust=trust, at=utcnow())


def test_a_file_and_no_signature_unless_asked(model: Path, deployment: Deployment) -> None:
    assert "oms" not in sign(str(model), deployment).xcoms["return_value"]
    assert list(model.parent.glob("*.sig")) == []

    assert sign(str(model), deployment, oms="create").state == "success"
    assert verify_oms((model.parent / "model.bin.sig").read_bytes(), model, trust=deployment.public, at=utcnow())


def test_a_changed_model_gets_no_signature(folder: Path, deployment: Deployment) -> None:
    pinned = pin(str(folder), kind=Kind.MODEL).artifact.to_dict()
    (folder / "config.json").write_bytes(b"{}")

    assert sign(pinned, deployment, oms="create").state == "failed"
    assert not (folder / "model.sig").exists()


def test_a_misspelt_choice_is_refused_at_parse_time() -> None:
    with pytest.raises(ValueError, match="oms='yes'"):
        SignArtifactOperator(task_id="sign", artifact="/m", oms="yes")  # type: ignore[arg-type]
