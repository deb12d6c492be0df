"""Signing without reading again what an earlier, signed pin has read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from tests.support.deployment import Deployment
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "model"
    found.mkdir()
    for number in range(3):
        (found / f"part-{number}.bin").write_bytes(b"weights" * (number + 1))
    return found


def sign(folder: Path, deployment: Deployment, **options: Any) -> OpRun:
    operator = SignArtifactOperator(task_id="sign", artifact=str(folder), unsafe_reuse_local=True, **options)
    return run_op(operator, connections=deployment.connections)


def said(folder: Path, deployment: Deployment) -> list[Any]:
    digest = pin(str(folder), kind=Kind.MODEL).artifact.digest
    return [item.statement.predicate for item in deployment.about(digest).of("signature")]


def test_the_statement_says_what_was_not_read(folder: Path, deployment: Deployment) -> None:
    first = sign(folder, deployment)
    (folder / "part-0.bin").write_bytes(b"changed")
    second = sign(folder, deployment, reuse_from=first.xcoms["return_value"])

    assert (first.state, second.state) == ("success", "success")
    (predicate,) = said(folder, deployment)
    earlier = first.xcoms["return_value"]["artifact"]["digest"]
    assert predicate["reusedDigests"] == {"files": 2, "size": 35, "earlier": {"digest": {"sha256": earlier}}}
    assert "2 files (35 bytes) were not read" in second.logs


@pytest.mark.parametrize("prefix", ["", "sha256:"])
def test_an_earlier_artifact_by_its_digest(folder: Path, deployment: Deployment, prefix: str) -> None:
    digest = sign(folder, deployment).xcoms["return_value"]["artifact"]["digest"]
    (folder / "part-0.bin").write_bytes(b"changed")

    assert sign(folder, deployment, reuse_from=prefix + digest).state == "success"
    assert said(folder, deployment)[0]["reusedDigests"]["files"] == 2


def test_everything_is_read_unless_asked(folder: Path, deployment: Deployment) -> None:
    sign(folder, deployment)
    (folder / "part-0.bin").write_bytes(b"changed")
    sign(folder, deployment)

    assert "reusedDigests" not in said(folder, deployment)[0]


@pytest.mark.parametrize(("given", "code"), [("a" * 64, "reuse-refused"), ("/some/path", "configuration")])
def test_what_nobody_signed_is_not_reused(folder: Path, deployment: Deployment, given: str, code: str) -> None:
    failed = sign(folder, deployment, reuse_from=given)

    assert failed.state == "failed"
    assert f"[{code}]" in str(failed.error)
    assert not deployment.bundles()


def test_a_forged_version_map_is_not_signed(folder: Path, deployment: Deployment) -> None:
    """A reference from XCom can name any version map; what is signed is what was seen when the bytes were hashed."""
    honest = pin(str(folder), kind=Kind.MODEL, remember_local=True)
    deployment.store.put_blob(honest.blobs[0])
    forged = deployment.store.put_blob(b'{"part-0.bin":" 1-1-1-1","part-1.bin":" 1-1-1-1","part-2.bin":" 1-1-1-1"}')
    reference = {"artifact": {**honest.artifact.to_dict(), "versions": forged}}
    done = run_op(SignArtifactOperator(task_id="sign", artifact=reference), connections=deployment.connections)

    assert done.state == "success"
    (predicate,) = said(folder, deployment)
    assert predicate["artifact"]["versions"]["digest"]["sha256"] == honest.artifact.versions
