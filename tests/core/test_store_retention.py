"""Object Lock on a real server: what never moves is kept by the bucket itself, and nobody's code here shortens that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_mlsecops.core.errors import ConfigurationError, EvidenceNotFoundError
from airflow_mlsecops.core.log import Entry
from airflow_mlsecops.core.pinning import Access
from airflow_mlsecops.core.store import EvidenceStore, open_store
from airflow_mlsecops.core.store.retention import Held, Retention, is_final
from airflow_mlsecops.core.store.s3 import S3Backend
from tests.support.evidence import bundle
from tests.support.logs import log_entries, log_trust, new_log
from tests.support.s3_server import S3Server

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
SLACK = timedelta(minutes=10)


# --- values -----------------------------------------------------------------------------------------------------------


def test_a_retention_is_read() -> None:
    retention = Retention.parse("COMPLIANCE:365")
    assert retention == Retention("COMPLIANCE", 365)
    assert retention.until(NOW) - NOW >= 365 * DAY
    assert Retention.parse("GOVERNANCE:1").until(NOW).microsecond == 0


@pytest.mark.parametrize(
    "text", ["", "365", "COMPLIANCE", "COMPLIANCE:0", "COMPLIANCE:-1", "COMPLIANCE:036", "compliance:1", "NONE:1",
             "COMPLIANCE:99999", "COMPLIANCE:1\n", "COMPLIANCE:1d"]
)  # fmt: skip
def test_what_is_no_retention_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected a retention"):
        Retention.parse(text)


@pytest.mark.parametrize(
    ("held", "wanted", "result"),
    [
        (("GOVERNANCE", 1), ("GOVERNANCE", 2), ("GOVERNANCE", 2)),
        (("GOVERNANCE", 2), ("GOVERNANCE", 1), ("GOVERNANCE", 2)),
        (("COMPLIANCE", 1), ("GOVERNANCE", 2), ("COMPLIANCE", 2)),
        (("GOVERNANCE", 2), ("COMPLIANCE", 1), ("COMPLIANCE", 2)),
        (("COMPLIANCE", 2), ("COMPLIANCE", 1), ("COMPLIANCE", 2)),
        (("SOMETHING-NEW", 1), ("COMPLIANCE", 2), ("SOMETHING-NEW", 2)),
    ],
)
def test_a_retention_only_ever_rises(held: tuple[str, int], wanted: tuple[str, int], result: tuple[str, int]) -> None:
    def of(value: tuple[str, int]) -> Held:
        return Held(value[0], NOW + value[1] * DAY)

    assert of(held).raised_to(of(wanted)) == of(result)


def test_what_moves_is_not_locked() -> None:
    assert all(is_final(key) for key in ("bundles/a/b/c", "blobs/a", "log/tile/0/000", "log/tile/entries/x001/000"))
    moving = ("log/head", "log/checkpoint", "log/pending/1", "log/index/a", "log/turn", "log/tile/0/000.p/7")
    assert not any(is_final(key) for key in moving)


def test_a_folder_has_no_object_lock() -> None:
    with pytest.raises(ConfigurationError, match="no Object Lock"):
        open_store("/srv/evidence", retention="COMPLIANCE:1")
    with pytest.raises(ConfigurationError, match="expected a retention"):
        open_store("s3://bucket/prefix", Access(s3=lambda: None), retention="for ever")


# --- on a server ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Locked:
    """A prefix of its own in a bucket with Object Lock."""

    client: Any
    bucket: str
    prefix: str

    def backend(self, retention: str = "") -> S3Backend:
        return S3Backend(self.client, self.bucket, self.prefix, Retention.parse(retention) if retention else None)

    def version(self, key: str) -> dict[str, str]:
        where = {"Bucket": self.bucket, "Key": self.prefix + key}
        return {**where, "VersionId": self.client.head_object(**where)["VersionId"]}

    def all_keys(self) -> list[str]:
        return self.backend().list("")


@pytest.fixture
def locked(s3_server: S3Server) -> Iterator[Locked]:
    client = s3_server.client()
    try:
        client.create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
    except ClientError as error:
        assert error.response["Error"]["Code"].startswith("BucketAlready")  # made by another test
    yield Locked(client, "locked", s3_server.prefix())


def days_held(backend: S3Backend, key: str) -> float:
    held = backend.held(key)
    return 0.0 if held is None else (held.until - datetime.now(UTC)) / DAY


@pytest.mark.s3
def test_what_is_written_is_kept_and_what_moves_moves(locked: Locked) -> None:
    backend = locked.backend("COMPLIANCE:30")
    store = EvidenceStore(backend, new_log(backend))
    blob = store.put_blob(b"rows")
    signed = bundle()
    store.put(signed)
    new_log(backend).append(log_entries(256))

    final = [key for key in locked.all_keys() if is_final(key)]
    assert {f"blobs/{blob}", *Entry.of(signed).keys, "log/tile/0/000", "log/tile/entries/000"} <= set(final)
    for key in final:
        assert 29.9 < days_held(backend, key) < 30.1
        with pytest.raises(ClientError, match="AccessDenied"):
            locked.client.delete_object(**locked.version(key), BypassGovernanceRetention=True)
    assert all(backend.held(key) is None for key in locked.all_keys() if not is_final(key))
    store.put(bundle(signer="gate"))  # head, checkpoint and queue still move
    assert new_log(backend).reader.checkpoint().size == 258  # type: ignore[union-attr]


@pytest.mark.s3
def test_a_locked_bundle_that_was_hidden_is_missed_by_the_log_and_can_be_brought_back(locked: Locked) -> None:
    backend = locked.backend("COMPLIANCE:1")
    store = EvidenceStore(backend, new_log(backend))
    signed = bundle()
    store.put(signed)
    (key,) = Entry.of(signed).keys
    hidden = locked.client.delete_object(Bucket=locked.bucket, Key=locked.prefix + key)  # a delete marker
    assert hidden["DeleteMarker"]
    assert store.find(signed.statement.subjects[0][1]) == []

    assert store.verify_log(log_trust()).missing == ((0, key),)

    locked.client.delete_object(Bucket=locked.bucket, Key=locked.prefix + key, VersionId=hidden["VersionId"])
    assert store.verify_log(log_trust())


@pytest.mark.s3
def test_writing_again_renews_and_never_shortens(locked: Locked) -> None:
    first, longer, shorter = (locked.backend(f"GOVERNANCE:{days}") for days in (5, 9, 2))

    assert first.create("blobs/x", b"x")
    assert 4.9 < days_held(first, "blobs/x") < 5.1
    assert not shorter.create("blobs/x", b"x")
    assert 4.9 < days_held(first, "blobs/x") < 5.1
    assert not longer.create("blobs/x", b"x")
    assert 8.9 < days_held(first, "blobs/x") < 9.1
    assert not locked.backend("COMPLIANCE:1").create("blobs/x", b"x")
    held = first.held("blobs/x")
    assert held is not None
    assert (held.mode, 8.9 < days_held(first, "blobs/x") < 9.1) == ("COMPLIANCE", True)
    assert first.read("blobs/x", 10) == b"x"


@pytest.mark.s3
def test_what_was_written_without_a_retention_gets_one(locked: Locked) -> None:
    backend = locked.backend()
    backend.create("blobs/x", b"x")
    assert backend.held("blobs/x") is None

    backend.retain("blobs/x", "GOVERNANCE", datetime.now(UTC) + 3 * DAY)
    shortened = backend.retain("blobs/x", "GOVERNANCE", datetime.now(UTC) + DAY)

    assert shortened == backend.held("blobs/x")
    assert 2.9 < days_held(backend, "blobs/x") < 3.1
    for ask in (backend.held, lambda key: backend.retain(key, "GOVERNANCE", NOW + DAY)):
        with pytest.raises(EvidenceNotFoundError):
            ask("blobs/nothing")


@pytest.mark.s3
@pytest.mark.parametrize("bucket", ["plain", "versioned"])
def test_a_bucket_without_object_lock_is_a_mistake_and_not_passed_over(s3_server: S3Server, bucket: str) -> None:
    store = open_store(f"s3://{bucket}/{s3_server.prefix()}", s3_server.access(), retention="COMPLIANCE:1")

    with pytest.raises(ConfigurationError, match="has no Object Lock"):
        store.put_blob(b"rows")
    with pytest.raises(ConfigurationError, match="has no Object Lock"):
        store.put(bundle())
