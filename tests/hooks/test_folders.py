"""Where a folder is written: it appears whole or not at all, and is pinned as what was written."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.errors import (
    ArtifactChangedError,
    ArtifactRefusedError,
    ArtifactUnavailableError,
    ConfigurationError,
    MlsecopsError,
)
from airflow_mlsecops.core.pinning import Access, pin
from airflow_mlsecops.hooks import folders, snapshots
from airflow_mlsecops.hooks.folders import publish_folder
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook
from tests.support.deployment import Deployment
from tests.support.s3_server import S3Server, s3_server

__all__ = ["s3_server"]
MODEL = b"weights" * 100_000


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, Path | bytes]:
    source = tmp_path / "private" / "model.bin"
    source.parent.mkdir()
    source.write_bytes(MODEL)
    return {"deep/model.bin": source, "CARD.md": b"a card"}


def hook(tmp_path: Path, access: Access | None = None) -> MlsecopsHook:
    made = MlsecopsHook()
    made.__dict__.update(store=Deployment(tmp_path / "deployment").store, access=access or Access())
    return made


def put(parts: Any, uri: str, by: MlsecopsHook) -> Any:
    return publish_folder(parts, uri, by, name="m", kind=Kind.MODEL)


def killed(work: Callable[[], object]) -> None:
    """Do the work in a process of its own, which is killed in the middle of it."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}"])
def test_a_folder_is_made_once(parts: Any, tmp_path: Path, form: str) -> None:
    target, by = tmp_path / "out" / "described", hook(tmp_path)
    made, manifest = put(parts, form.format(target), by)
    assert (made.name, made.kind, made.files, made.digest) == ("m", Kind.MODEL, 2, manifest.digest)
    assert made.digest == pin(f"{target}/", kind=Kind.MODEL).artifact.digest
    assert (target / "deep" / "model.bin").read_bytes() == MODEL
    with pytest.raises(ConfigurationError, match="something lies at"):
        put(parts, form.format(target), by)
    assert [path.name for path in target.parent.iterdir()] == ["described"]


def test_what_could_not_be_flushed_does_not_lie_there_already(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders, "sync_folder", full)
    with pytest.raises(ArtifactUnavailableError, match="No space left on device"):
        put(parts, str(tmp_path / "out" / "described"), hook(tmp_path))


@pytest.mark.s3
@pytest.mark.parametrize("bucket", ["bucket", "plain_bucket"])
def test_a_prefix_is_written_once(parts: Any, tmp_path: Path, s3_server: S3Server, bucket: str) -> None:
    uri, by = f"s3://{getattr(s3_server, bucket)}/{s3_server.prefix()}described", hook(tmp_path, s3_server.access())
    made, manifest = put(parts, uri, by)
    assert (made.files, made.digest) == (2, manifest.digest)
    with pytest.raises(ConfigurationError, match="something lies at"):
        put(parts, uri, by)
    assert by.pin(f"{uri}/").digest == made.digest


@pytest.mark.s3
def test_a_prefix_that_failed_is_empty_again(
    parts: Any, tmp_path: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, by = f"s3://{s3_server.plain_bucket}/{s3_server.prefix()}described", hook(tmp_path, s3_server.access())
    honest, calls = snapshots.create_object, []

    def second_fails(file: Path, place: str, through: MlsecopsHook) -> bool:
        calls.append(place)
        if len(calls) == 2:
            raise ArtifactUnavailableError("the bucket went away", "try again")
        return honest(file, place, through)

    monkeypatch.setattr(folders, "create_object", second_fails)
    with pytest.raises(ArtifactUnavailableError):
        put(parts, uri, by)
    monkeypatch.undo()
    assert put(parts, uri, by)[0].files == 2


@pytest.mark.s3
def test_a_bucket_that_is_not_there(parts: Any, tmp_path: Path, s3_server: S3Server) -> None:
    with pytest.raises(MlsecopsError) as refused:
        put(parts, "s3://no-such-bucket-here/described", hook(tmp_path, s3_server.access()))
    assert not refused.value.transient


def test_a_writer_that_is_killed_leaves_nothing_at_the_target(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, by = tmp_path / "out" / "described", hook(tmp_path)
    honest = os.fsync

    def die(descriptor: int) -> None:
        honest(descriptor)
        os.kill(os.getpid(), signal.SIGKILL)  # the first file is written, the second isn't

    monkeypatch.setattr("airflow_mlsecops.hooks.folders.os.fsync", die)
    killed(lambda: put(parts, str(target), by))
    assert not target.exists()
    assert [path.suffix for path in target.parent.iterdir()] == [".part"]  # hidden, and no artifact
    monkeypatch.undo()
    assert put(parts, str(target), by)[0].files == 2


def test_a_file_whose_writer_is_killed_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool, target, by = tmp_path / "spool", tmp_path / "out" / "rows.csv", hook(tmp_path)
    spool.write_bytes(MODEL)
    digest = pin(str(spool)).artifact.digest

    def die(source: Any, stream: Any, size: int) -> None:
        stream.write(source.read(size))
        stream.flush()
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr("airflow_mlsecops.hooks.snapshots.shutil.copyfileobj", die)
    killed(lambda: snapshots.publish(spool, digest, str(target), by, name="rows"))
    assert not target.exists()
    monkeypatch.undo()
    assert snapshots.publish(spool, digest, str(target), by, name="rows").digest == digest


def test_a_folder_that_got_there_meanwhile_is_not_replaced(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, by = tmp_path / "out" / "described", hook(tmp_path)
    honest = folders._copied

    def slower(given: Any, folder: Path) -> Any:
        written = honest(given, folder)
        target.mkdir()
        (target / "theirs.bin").write_bytes(b"another writer's")
        return written

    monkeypatch.setattr(folders, "_copied", slower)
    with pytest.raises(ConfigurationError, match="something lies at"):
        put(parts, str(target), by)
    assert [path.name for path in target.parent.iterdir()] == ["described"]
    assert [path.name for path in target.iterdir()] == ["theirs.bin"]


@pytest.mark.parametrize("change", ["swap", "add", "remove"])
def test_what_somebody_changes_after_it_was_written_is_noticed(
    parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    target, by = tmp_path / "described", hook(tmp_path)
    honest = by.pin

    def swapped(uri: str, **kwargs: Any) -> Any:
        if change == "remove":
            (target / "CARD.md").unlink()
        else:
            (target / ("CARD.md" if change == "swap" else "more.bin")).write_bytes(b"not theirs")
        return honest(uri, **kwargs)

    monkeypatch.setattr(by, "pin", swapped)
    with pytest.raises(ArtifactChangedError, match="isn't what was written"):
        put(parts, str(target), by)


def test_names_that_lead_out_are_refused(tmp_path: Path) -> None:
    by = hook(tmp_path)
    with pytest.raises(ArtifactRefusedError):
        put({"../evil": b"x"}, str(tmp_path / "described"), by)
    with pytest.raises(ConfigurationError, match="absolute"):
        put({"a": b"x"}, "described", by)
    assert not (tmp_path / "evil").exists()


def test_a_disk_that_is_full_may_have_room_again(parts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("airflow_mlsecops.hooks.folders.os.fsync", full)
    with pytest.raises(ArtifactUnavailableError, match="No space left"):
        put(parts, str(tmp_path / "out" / "described"), hook(tmp_path))
    monkeypatch.undo()
    assert list((tmp_path / "out").iterdir()) == []
