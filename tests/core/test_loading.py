"""What is loaded are the bytes that were verified: a swap after the check changes nothing, and a NO raises."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core import loading
from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.errors import (
    ArtifactNotFoundError,
    ArtifactRefusedError,
    ConfigurationError,
    StoreUnavailableError,
)
from airflow_mlsecops.core.loading import NotVerifiedError, VerifiedBytes, open_verified
from airflow_mlsecops.core.pinning import pin, pinned_copy
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.store import EvidenceStore, open_store
from airflow_mlsecops.core.store.local import LocalBackend
from tests.support.evidence import NOW, World, policy
from tests.support.oms_models import FILES, signed, write_model
from tests.support.s3_server import S3Server, s3_server

__all__ = ["s3_server"]

RULES: ReleasePolicy = policy({"evidence": "signature", "of": "model"})


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where private copies are made; nothing of them may be left at the end."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def place(tmp_path: Path) -> Path:
    path = tmp_path / "digits.bin"
    path.write_bytes(b"weights" * 1000)
    return path


def release(uri: str, evidence: Path, **how: Any) -> World:
    world = World(backend=LocalBackend(evidence), model=pin(uri, kind=Kind.MODEL, **how).artifact)
    world.sign(age=2)
    world.release(RULES, age=1)
    return world


def load(world: World, uri: str, rules: ReleasePolicy | None = RULES, **how: Any) -> VerifiedBytes:
    return open_verified(uri, world.store, world.trust, rules, NOW, **how)


@pytest.mark.parametrize("in_memory", [False, True])
def test_a_swap_after_the_check_is_without_effect(place: Path, tmp_path: Path, in_memory: bool) -> None:
    world, good = release(str(place), tmp_path / "evidence"), place.read_bytes()

    with load(world, str(place), in_memory=in_memory) as model:
        place.write_bytes(b"evil")
        place.unlink()
        assert model.read() == good
        assert model.path.read_bytes() == good
        with model.open() as stream:
            assert stream.read(7) == b"weights"
        assert model.names == ("digits.bin",)
        assert model.artifact == world.model
        assert model.verification
    with pytest.raises(OSError, match=r"No such|Bad file"):
        model.read()


@pytest.mark.parametrize("moment", ["while-hashing", "after-hashing"])
def test_a_swap_during_the_check_is_found_out_or_without_effect(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    world, good = release(str(place), tmp_path / "evidence"), place.read_bytes()
    real: Callable[..., Any] = pinned_copy

    def swap(*args: Any, **kwargs: Any) -> Any:
        if moment == "while-hashing":
            place.write_bytes(b"evil")
        answer = real(*args, **kwargs)
        place.write_bytes(b"evil")
        return answer

    monkeypatch.setattr(loading, "pinned_copy", swap)
    if moment == "while-hashing":
        with pytest.raises(NotVerifiedError):
            load(world, str(place))
    else:
        with load(world, str(place)) as model:
            assert model.read() == good


def test_sealed_memory_cannot_be_written_by_anybody(place: Path, tmp_path: Path) -> None:
    world = release(str(place), tmp_path / "evidence")

    with load(world, str(place), in_memory=True) as model:
        with pytest.raises(PermissionError):
            model.path.write_bytes(b"evil")
        with model.path.open("r+b", buffering=0) as stream, pytest.raises(PermissionError):
            stream.write(b"evil")
        with pytest.raises(PermissionError):
            os.truncate(model.path, 0)
        assert model.read() == place.read_bytes()


def test_the_copy_is_the_owners_alone_and_read_only(place: Path, tmp_path: Path, temporary: Path) -> None:
    world = release(str(place), tmp_path / "evidence")

    with load(world, str(place)) as model:
        (folder,) = temporary.iterdir()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert model.path.stat().st_mode & 0o777 == 0o400
        assert model.path.name == "digits.bin"


def test_a_folder_without_its_signature(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "digits")
    world = release(str(folder), tmp_path / "evidence")
    (folder / "model.sig").write_bytes(signed(folder))

    with load(world, str(folder)) as model:
        write_model(folder, {"config.json": b"evil", "extra.py": b"import os"})
        found = {path.relative_to(model.path).as_posix() for path in model.path.rglob("*") if path.is_file()}
        assert found == set(FILES) == set(model.names)
        assert {name: model.read(name) for name in model.names} == FILES
        for name in ("", "model.sig", "../digits/config.json", "nothing"):
            with pytest.raises(ArtifactNotFoundError):
                model.open(name)


def test_a_no_raises_with_its_reasons(place: Path, tmp_path: Path) -> None:
    world = release(str(place), tmp_path / "evidence")
    place.write_bytes(place.read_bytes() + b"!")

    with pytest.raises(NotVerifiedError, match="not-released") as caught:
        load(world, str(place))

    assert [reason.code for reason in caught.value.reasons] == ["not-released"]
    copy = pickle.loads(pickle.dumps(caught.value))
    assert copy.reasons == caught.value.reasons


def test_without_a_policy_a_signature_is_asked_for(place: Path, tmp_path: Path) -> None:
    world = release(str(place), tmp_path / "evidence")
    with load(world, str(place), None) as model:
        assert model.verification.signers == ("pipeline",)
    with pytest.raises(NotVerifiedError, match="other-identity"):
        load(world, str(place), None, kind=Kind.DATASET)
    nobody: EvidenceStore = open_store(str(tmp_path / "empty"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotVerifiedError, match="not-signed"):
        open_verified(str(place), nobody, world.trust, None, NOW)


def test_an_expired_release_is_a_no(place: Path, tmp_path: Path) -> None:
    rules = policy({"evidence": "signature", "of": "model"}, valid_for="1d")
    world = World(backend=LocalBackend(tmp_path / "e"), model=pin(str(place), kind=Kind.MODEL).artifact)
    world.sign(age=2)
    world.release(rules, age=1)

    load(world, str(place), rules).close()
    with pytest.raises(NotVerifiedError, match="release-expired"):
        open_verified(str(place), world.store, world.trust, rules, NOW + timedelta(days=2))


def test_what_cannot_be_told_leaves_nothing_behind(place: Path, tmp_path: Path) -> None:
    world = release(str(place), tmp_path / "evidence")
    (tmp_path / "link").symlink_to(place)
    with pytest.raises(ArtifactRefusedError):
        load(world, str(tmp_path / "link"))
    with pytest.raises(ArtifactNotFoundError):
        load(world, str(tmp_path / "nothing"))
    with pytest.raises(StoreUnavailableError):
        open_verified(str(place), open_store(str(tmp_path / "gone")), world.trust, RULES, NOW)


def test_a_folder_is_not_kept_in_memory(tmp_path: Path) -> None:
    for files in (FILES, {"one": b"1"}):
        folder = write_model(tmp_path / str(len(files)), files)
        world = release(str(folder), tmp_path / "evidence")
        descriptors = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(ConfigurationError, match="folder"):
            load(world, str(folder), in_memory=True)
        assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


@pytest.mark.s3
@pytest.mark.parametrize("in_memory", [False, True])
def test_one_version_of_an_object(s3_server: S3Server, tmp_path: Path, in_memory: bool) -> None:
    client, access = s3_server.client(), s3_server.access()
    key = s3_server.prefix() + "digits.bin"
    uri = f"s3://{s3_server.bucket}/{key}"
    client.put_object(Bucket=s3_server.bucket, Key=key, Body=b"good" * 100_000)
    world = release(uri, tmp_path / "evidence", access=access)

    with load(world, uri, access=access, in_memory=in_memory) as model:
        client.put_object(Bucket=s3_server.bucket, Key=key, Body=b"evil")
        assert model.read() == b"good" * 100_000
        assert model.artifact.version
    with pytest.raises(NotVerifiedError):
        load(world, uri, access=access)


@pytest.mark.s3
def test_a_prefix(s3_server: S3Server, tmp_path: Path) -> None:
    client, access, prefix = s3_server.client(), s3_server.access(), s3_server.prefix()
    for name, data in FILES.items():
        client.put_object(Bucket=s3_server.bucket, Key=prefix + name, Body=data)
    uri = f"s3://{s3_server.bucket}/{prefix}"
    world = release(uri, tmp_path / "evidence", access=access)

    with load(world, uri, access=access) as model:
        client.put_object(Bucket=s3_server.bucket, Key=prefix + "config.json", Body=b"evil")
        assert {name: model.read(name) for name in model.names} == FILES
