"""``mlsecops export``, and ``mlsecops verify --evidence``."""

from __future__ import annotations

import shutil
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.log import EvidenceLog, LogTrust
from airflow_mlsecops.core.log.entry import Entry
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.predicates import revocation
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import EvidenceStore, open_store
from airflow_mlsecops.core.store.local import LocalBackend
from airflow_mlsecops.core.store.tar import tar_chunks
from tests.cli.conftest import Ran, Run
from tests.cli.released import Released, flip_a_byte
from tests.support.oms_models import write_model

ORIGIN = "example.com/log"


class Logged(Released):
    """The same world, whose trust policy asks for a log that everything is put into."""

    @property
    def store(self) -> EvidenceStore:
        return open_store(str(self.evidence), log=lambda backend: EvidenceLog(backend, self.log_trust, self.log_key))

    @property
    def log_key(self) -> FileKeySigner:
        return self.signers["gate"]

    @property
    def log_trust(self) -> LogTrust:
        return LogTrust(ORIGIN, (self.log_key.public_key,))

    def write_trust(self, roles: dict[str, tuple[str, ...]]) -> None:
        super().write_trust({**roles, "gate": (*roles["gate"], "revoke")})
        key = self.log_key.public_key.pem.replace("\n", "\n      ").rstrip()
        self.trust.write_text(
            self.trust.read_text() + f"log:\n  origin: {ORIGIN}\n  required: true\n  keys:\n    - |\n      {key}\n"
        )


@pytest.fixture
def logged(tmp_path: Path) -> Logged:
    world = Logged(tmp_path / "logged")
    world.run_pipeline()
    return world


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "export.tar"


def export(run: Run, world: Released, archive: Path, *more: object) -> Ran:
    return run("export", world.model, *world.options, "--policy", world.policy, "--output", archive, *more)


def verify(run: Run, world: Released, archive: Path, *more: object) -> Ran:
    return run(
        "verify", world.model, "--evidence", archive, "--trust", world.trust, "--policy", world.policy, "--json", *more
    )


def test_the_export_stands_in_for_the_store(run: Run, released: Released, archive: Path) -> None:
    done = export(run, released, archive, "--json")
    assert (done.code, done.json["exported"], done.json["missing"]) == (0, True, [])
    shutil.rmtree(released.evidence)

    answer = verify(run, released, archive)

    assert (answer.code, answer.json["verified"]) == (0, True)
    assert answer.json["store"] == f"export {archive}"
    assert len(answer.json["evidence"]) == 6
    flip_a_byte(released.model)
    assert verify(run, released, archive).code == 1


def test_the_environments_store_is_not_asked(
    run: Run, released: Released, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(run, released, archive)
    monkeypatch.setenv("MLSECOPS_STORE", str(released.root / "nowhere"))

    assert verify(run, released, archive).code == 0


def test_what_is_not_released_is_not_exported(run: Run, world: Released, archive: Path) -> None:
    refused = export(run, world, archive)

    assert refused.code == 1
    assert refused.out.splitlines()[0] == "NO  model.bin is not released; nothing was written"
    assert "[not-released]" in refused.out
    assert export(run, world, archive, "--json").json["reasons"][0]["code"] == "not-released"
    assert not archive.exists()


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
@pytest.mark.parametrize("prefix", ["", "sha256:"])
def test_a_release_by_its_digest_makes_the_same_file(
    run: Run, world: Released, archive: Path, prefix: str, folder: bool
) -> None:
    if folder:
        world.model.unlink()
        write_model(world.model)
        world.store.put_blob(pin(str(world.model)).manifest.to_bytes())
    world.run_pipeline()
    assert export(run, world, archive).code == 0
    options = [*world.options, "--policy", world.policy, "--output", archive.with_name("by-digest.tar")]

    assert run("export", prefix + world.model_artifact.digest, *options).code == 0
    assert archive.with_name("by-digest.tar").read_bytes() == archive.read_bytes()


def test_a_digest_that_nobody_judged(run: Run, released: Released, archive: Path) -> None:
    options = [*released.options, "--policy", released.policy, "--output", archive]

    assert run("export", "0" * 64, *options).code == 1
    released.write_trust({"pipeline": ("sign",)})
    assert run("export", released.model_artifact.digest, *options).code == 1
    assert not archive.exists()


def _scanned(world: Released) -> None:
    """What the shipped policies ask for besides."""
    world.control(world.model_artifact, "model-scan", Verdict.PASS, utcnow() - timedelta(minutes=20))


def test_a_policy_that_extends_files_comes_along_whole(
    run: Run, world: Released, archive: Path, tmp_path: Path
) -> None:
    (world.root / "base").mkdir()
    (world.root / "base" / "common.yaml").write_text(world.policy.read_text() + "extends: deeper.yaml\n")
    (world.root / "base" / "deeper.yaml").write_text("version: 1\nname: deeper\nextends: mlsecops:dev\n")
    world.policy.write_text("version: 1\nname: ours\nextends: ./base/common.yaml\n")
    _scanned(world)
    world.run_pipeline(policy=ReleasePolicy.from_file(world.policy))
    assert export(run, world, archive).code == 0

    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    unpacked = tmp_path / "unpacked"
    there = {str(path.relative_to(unpacked)) for path in (unpacked / "policies").rglob("*.yaml")}
    assert there == {
        "policies/policy.yaml",
        "policies/base/common.yaml",
        "policies/base/deeper.yaml",
        "policies/mlsecops/dev.yaml",
    }
    assert there <= {line.split("  ")[1] for line in (unpacked / "SHA256SUMS").read_text().splitlines()}
    policy = ReleasePolicy.from_file(unpacked / "policies" / "policy.yaml")
    assert policy.digest == ReleasePolicy.from_file(world.policy).digest
    options = ["--evidence", archive, "--trust", world.trust, "--policy", unpacked / "policies" / "policy.yaml"]
    assert run("verify", world.model, *options).code == 0
    (unpacked / "policies" / "base" / "deeper.yaml").write_text("version: 1\nname: other\nextends: mlsecops:dev\n")
    assert run("verify", world.model, *options).code == 1


def test_a_policy_that_comes_with_the_package(run: Run, world: Released, archive: Path) -> None:
    _scanned(world)
    world.run_pipeline(policy=ReleasePolicy.from_file("mlsecops:dev"))
    options = [*world.options, "--output", archive]
    assert run("export", world.model, *options, "--policy", "mlsecops:dev").code == 0
    with tarfile.open(archive) as packed:
        assert "policy.yaml" in packed.getnames()
        assert not any(name.startswith("policies/") for name in packed.getnames())
    assert run("export", world.model, *options, "--policy", "mlsecops:nothing").code == 2


def test_a_policy_whose_name_cannot_be_unpacked(run: Run, world: Released, archive: Path) -> None:
    (world.root / "with a blank.yaml").write_text(world.policy.read_text())
    world.policy.write_text("version: 1\nname: ours\nextends: with a blank.yaml\n")
    world.run_pipeline(policy=ReleasePolicy.from_file(world.policy))
    refused = export(run, world, archive)
    assert (refused.code, "has no place in an export" in refused.err) == (2, True)


def test_nothing_is_overwritten(run: Run, released: Released, archive: Path) -> None:
    archive.write_bytes(b"mine")

    assert export(run, released, archive).code == 2
    assert archive.read_bytes() == b"mine"


@pytest.mark.parametrize("spoil", ["truncated", "flipped", "no-archive", "nothing"])
def test_a_spoilt_export_is_a_no(run: Run, released: Released, archive: Path, spoil: str) -> None:
    export(run, released, archive)
    data = archive.read_bytes()
    if spoil == "truncated":
        archive.write_bytes(data[:-1])
    elif spoil == "flipped":
        archive.write_bytes(data.replace(b"sigstore.bundle", b"sigstore.bundlf", 1))
    elif spoil == "no-archive":
        archive.write_bytes(b"PK\x03\x04")
    else:
        archive.unlink()

    assert verify(run, released, archive).code == 1


@pytest.mark.parametrize("more", [["--evidence", ""], ["--store", "/somewhere"]], ids=["empty", "with-a-store"])
def test_one_source_of_evidence(run: Run, released: Released, archive: Path, more: list[str]) -> None:
    export(run, released, archive)

    assert verify(run, released, archive, *more).code == 2


def test_with_proofs_from_the_log(run: Run, released: Released, archive: Path) -> None:
    signer, backend = released.signers["gate"], LocalBackend(released.evidence)
    log = EvidenceLog(backend, LogTrust("example.com/log", (signer.public_key,)), signer, admit=lambda _: True)
    key = released.root / "log.pub"
    key.write_text(signer.public_key.pem)
    options = ["--log-origin", "example.com/log", "--log-key", key]
    assert export(run, released, archive, *options).code == 1  # nothing is logged
    bundles = [found.bundle for subject in released.store.subjects() for found in released.store.find(subject)]
    log.append([Entry.of(bundle).encode() for bundle in bundles if bundle is not None])

    assert export(run, released, archive, *options[:2]).code == 2
    assert export(run, released, archive, *options).code == 0
    assert archive.read_bytes().count(b"c2sp.org/tlog-proof@v1") == 6
    assert verify(run, released, archive).code == 0


def test_under_a_trust_policy_that_asks_for_the_log(run: Run, logged: Logged, archive: Path) -> None:
    assert export(run, logged, archive).code == 0
    shutil.rmtree(logged.evidence)

    assert verify(run, logged, archive).json["verified"] is True
    with tarfile.open(archive) as members:
        names = [member.name for member in members]
    assert sum(name.startswith("proofs/") for name in names) == 6
    assert "log/checkpoint" in names


@pytest.mark.parametrize("gone", ["log/checkpoint", "log/tile/entries/", "proofs", "bundles/"])
def test_what_is_missing_in_a_logged_export_is_a_no(run: Run, logged: Logged, archive: Path, gone: str) -> None:
    assert export(run, logged, archive).code == 0
    with tarfile.open(archive) as members:
        files = {member.name: members.extractfile(member).read() for member in members}  # type: ignore[union-attr]
    first = next(name for name in sorted(files) if name.startswith(gone))
    del files[first]
    poorer = archive.with_name("poorer.tar")
    poorer.write_bytes(b"".join(tar_chunks(files)))

    answer = verify(run, logged, poorer)

    # A proof is for other tools; the verification here reads the log itself.
    assert (answer.code, answer.json["verified"]) == ((0, True) if gone == "proofs" else (1, False))


def revocation_of(target: revocation.Target, digest: str) -> Statement:
    return revocation.build(
        target,
        "it",
        digest,
        cause=revocation.Cause.COMPROMISED,
        reason="poisoned",
        since=utcnow(),
        by="carol",
        revoked_at=utcnow(),
        run={},
    )


def test_what_is_said_about_a_key_comes_along(run: Run, logged: Logged, archive: Path) -> None:
    """Whoever has no right to revoke may still be in the log; without their statement it would look withheld."""
    hint = logged.signers["pipeline"].public_key.hint
    logged.put("revocation", revocation_of(revocation.Target.KEY, hint), "people")

    assert export(run, logged, archive).code == 0
    shutil.rmtree(logged.evidence)

    assert verify(run, logged, archive).json["verified"] is True


def test_a_revoked_release_is_not_exported(run: Run, logged: Logged, archive: Path) -> None:
    said = revocation_of(revocation.Target.ARTIFACT, logged.model_artifact.digest)
    logged.put("revocation", said, "gate")

    refused = export(run, logged, archive)

    assert refused.code == 1
    assert "poisoned" in refused.out
    assert not archive.exists()
