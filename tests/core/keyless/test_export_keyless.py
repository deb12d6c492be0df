"""What was signed by identity, in an export: sigstore-python and model_signing verify it as the README says."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.export import Documents, Export, collect
from airflow_mlsecops.core.oms import sign_oms
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import signature
from airflow_mlsecops.core.predicates.signature import OmsReference
from tests.cli.released import RUN, Released
from tests.support import keyless
from tests.support.loopback_sigstore import LoopbackSigstore
from tests.support.model_signing_tool import need_model_signing
from tests.support.oms_models import write_model
from tests.support.oms_pki import intermediate, leaf, root


@pytest.fixture
def world(tmp_path: Path) -> Released:
    world = Released(tmp_path / "world")
    world.model.unlink()
    write_model(world.model)
    world.run_pipeline()
    return world


def _export(world: Released) -> Export:
    documents = Documents(world.trust.read_bytes(), world.policy.read_bytes())
    return collect(pin(str(world.model), kind=Kind.MODEL), world.store, documents, utcnow())


def _unpack(export: Export, folder: Path) -> Path:
    for name, data in export.files.items():
        (folder / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "out" / name).write_bytes(data)
    return folder / "out"


def _command(export: Export, tool: str, **filled: str) -> list[str]:
    lines = [line.strip() for line in export.files["README.txt"].decode().splitlines()]
    (line,) = [line for line in lines if line.startswith(f"{tool} ")]
    for name, value in filled.items():
        line = line.replace(name, value)
    return [sys.executable, "-m", *line.split()]


@pytest.mark.parametrize("version", [1, 2])
def test_statements_and_model_signatures_by_identity(
    version: int, world: Released, sigstore: LoopbackSigstore, tmp_path: Path
) -> None:
    need_model_signing()
    pinned, signer = pin(str(world.model), kind=Kind.MODEL), keyless.signer(sigstore, version)
    oms = world.store.put_blob(sign_oms(pinned, signer))
    reference = OmsReference(pinned.artifact.uri + "model.sig", oms)
    at = utcnow() - timedelta(minutes=1)
    statement = signature.build(pinned.artifact, signed_at=at, evidence=[], run=RUN, oms=reference)
    world.store.put(Bundle.parse(signer.sign(statement).raw))
    (tmp_path / "config.json").write_text(json.dumps(sigstore.client_trust_config(version, True)))
    export = _export(world)
    folder = _unpack(export, tmp_path)

    for tool in ("sigstore", "model_signing"):
        command = _command(export, tool, MODEL=str(world.model), TRUST_CONFIG=str(tmp_path / "config.json"))
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        other = [word.replace("accounts/worker", "accounts/other") for word in command]
        assert other != command
        assert subprocess.run(other, cwd=folder, capture_output=True, check=False).returncode != 0


def test_model_signatures_by_certificate(world: Released, tmp_path: Path) -> None:
    need_model_signing()
    pinned = pin(str(world.model), kind=Kind.MODEL)
    chain = [leaf().certificate, intermediate().certificate]
    oms = world.store.put_blob(sign_oms(pinned, leaf().signer, certificates=chain))
    reference = OmsReference(pinned.artifact.uri + "model.sig", oms)
    statement = signature.build(pinned.artifact, signed_at=utcnow(), evidence=[], run=RUN, oms=reference)
    world.put("oms", statement, "pipeline")
    (tmp_path / "root.pem").write_bytes(root().pem)
    export = _export(world)

    filled = {"MODEL": str(world.model), "ROOT.pem": str(tmp_path / "root.pem")}
    command = _command(export, "model_signing", **filled)
    done = subprocess.run(command, cwd=_unpack(export, tmp_path), capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
