"""Where a table's file is written: made once, never written over, and pinned as what was written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import (
    ArtifactChangedError,
    ArtifactUnavailableError,
    ConfigurationError,
    MlsecopsError,
)
from airflow_mlsecops.core.pinning import Access
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook
from airflow_mlsecops.hooks.snapshots import publish
from tests.support.deployment import Deployment
from tests.support.s3_server import S3Server, closed_port, s3_server

__all__ = ["s3_server"]
ROWS = b"PAR1 rows PAR1"


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    path = tmp_path / "spool"
    path.write_bytes(ROWS)
    return path


def hook(tmp_path: Path, access: Access | None = None) -> MlsecopsHook:
    made = MlsecopsHook()
    made.__dict__.update(store=Deployment(tmp_path / "deployment").store, access=access or Access())
    return made


def put(spool: Path, uri: str, by: MlsecopsHook) -> Any:
    return publish(spool, sha256_bytes(spool.read_bytes()), uri, by, name="rows")


def check_created_once(spool: Path, uri: str, by: MlsecopsHook) -> None:
    first = put(spool, uri, by)
    assert (first.digest, first.name, first.size) == (sha256_bytes(ROWS), "rows", len(ROWS))
    assert put(spool, uri, by).identity == first.identity  # as a retry finds it
    spool.write_bytes(b"other rows")
    with pytest.raises(ConfigurationError, match="something else lies at"):
        put(spool, uri, by)
    assert by.pin(uri).digest == first.digest


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_file_is_made_once(spool: Path, tmp_path: Path, form: str) -> None:
    check_created_once(spool, form.format(tmp_path / "new" / "rows.parquet"), hook(tmp_path))


@pytest.mark.s3
@pytest.mark.parametrize("bucket", ["bucket", "plain_bucket"])
def test_an_object_is_made_once(spool: Path, tmp_path: Path, s3_server: S3Server, bucket: str) -> None:
    uri = f"s3://{getattr(s3_server, bucket)}/{s3_server.prefix()}rows.parquet"
    check_created_once(spool, uri, hook(tmp_path, s3_server.access()))


@pytest.mark.s3
def test_a_bucket_that_is_not_there_and_a_key_that_is_none(spool: Path, tmp_path: Path, s3_server: S3Server) -> None:
    by = hook(tmp_path, s3_server.access())
    for uri in ("s3://no-such-bucket-here/rows.parquet", f"s3://{s3_server.bucket}/", "s3:///rows.parquet"):
        with pytest.raises(MlsecopsError) as refused:
            put(spool, uri, by)
        assert not refused.value.transient


def test_a_server_that_is_down_may_come_back(spool: Path, tmp_path: Path) -> None:
    import boto3
    from botocore.config import Config

    def client() -> Any:
        return boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{closed_port()}",
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=Config(retries={"max_attempts": 1}),
        )

    with pytest.raises(ArtifactUnavailableError):
        put(spool, "s3://bucket/rows.parquet", hook(tmp_path, Access(s3=client)))


def test_a_folder_that_is_a_file_may_be_mended(spool: Path, tmp_path: Path) -> None:
    with pytest.raises(ArtifactUnavailableError):
        put(spool, f"{spool}/rows.parquet", hook(tmp_path))


def test_half_a_file_is_not_left_behind(spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Any, target: Any, size: int) -> None:
        target.write(source.read(3))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("airflow_mlsecops.hooks.snapshots.shutil.copyfileobj", full)
    with pytest.raises(ArtifactUnavailableError, match="No space left"):
        put(spool, str(tmp_path / "rows.parquet"), hook(tmp_path))
    assert not (tmp_path / "rows.parquet").exists()


def test_what_somebody_else_put_there_meanwhile_is_noticed(
    spool: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by, target = hook(tmp_path), tmp_path / "rows.parquet"
    honest = by.pin

    def swapped(uri: str, **kwargs: Any) -> Any:
        target.write_bytes(b"not these")
        return honest(uri, **kwargs)

    monkeypatch.setattr(by, "pin", swapped)
    with pytest.raises(ArtifactChangedError, match="isn't what was written"):
        put(spool, str(target), by)
