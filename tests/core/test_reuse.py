"""Taking over digests from an earlier pin: what is read again, what isn't, and whose word counts."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.pinning import Access, Pin, Reuse, pin, recheck
from airflow_mlsecops.core.pinning.states import FileState, read_states, write_states
from airflow_mlsecops.core.predicates import revocation, signature
from airflow_mlsecops.core.reuse import ReuseRefusedError, verified_reuse
from airflow_mlsecops.core.store import EvidenceStore
from tests.support.evidence import NOW, MemoryBackend, key, trust
from tests.support.s3_server import S3Server

FILES = {"a.bin": b"first", "b.bin": b"second" * 1000, "deep/c.bin": b"third"}


class Bucket:
    """A prefix of a versioned bucket, and a client that counts what is read."""

    def __init__(self, server: S3Server, bucket: str) -> None:
        self.bucket, self.prefix = bucket, server.prefix()
        self.client: Any = server.client()
        self.read: list[str] = []
        self.client.meta.events.register(
            "before-call.s3.GetObject", lambda params, **_: self.read.append(params["url_path"].rpartition("/")[2])
        )
        self.uri = f"s3://{bucket}/{self.prefix}"
        for name, data in FILES.items():
            self.put(name, data)

    def put(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=data)

    def pin(self, reuse: Reuse | None = None) -> Pin:
        self.read.clear()
        return pin(self.uri, kind=Kind.MODEL, access=Access(s3=lambda: self.client), reuse=reuse)


@pytest.fixture
def bucket(s3_server: S3Server) -> Bucket:
    return Bucket(s3_server, s3_server.bucket)


@pytest.fixture
def store() -> EvidenceStore:
    return EvidenceStore(MemoryBackend())


def sign(pinned: Pin, store: EvidenceStore, by: str = "pipeline", at: datetime = NOW, **changes: Any) -> str:
    artifact = Artifact(**{**pinned.artifact.__dict__, **changes})
    for blob in pinned.blobs:
        store.put_blob(blob)
    return store.put(key(by).sign(signature.build(artifact, signed_at=at, evidence=[], run={})))


def reuse_of(pinned: Pin, store: EvidenceStore, **options: bool) -> Reuse:
    return verified_reuse(pinned.artifact.digest, store, trust(), NOW, **options)


@pytest.mark.s3
def test_what_has_not_changed_is_not_read(bucket: Bucket, store: EvidenceStore) -> None:
    first = bucket.pin()
    assert sorted(bucket.read) == ["a.bin", "b.bin", "c.bin"]
    sign(first, store)

    second = bucket.pin(reuse_of(first, store))

    assert bucket.read == []
    assert second.artifact == first.artifact
    assert second.manifest == first.manifest
    assert second.reused == ("a.bin", "b.bin", "deep/c.bin")
    assert second.reused_bytes == sum(map(len, FILES.values()))


@pytest.mark.s3
def test_what_changed_is_read_again(bucket: Bucket, store: EvidenceStore) -> None:
    first = bucket.pin()
    sign(first, store)
    bucket.put("b.bin", b"other")
    bucket.put("new.bin", b"new")
    bucket.put("a.bin", FILES["a.bin"])  # the same bytes, another version

    second = bucket.pin(reuse_of(first, store))

    assert sorted(bucket.read) == ["a.bin", "b.bin", "new.bin"]
    assert second.reused == ("deep/c.bin",)
    assert second.manifest == bucket.pin().manifest


@pytest.mark.s3
@pytest.mark.parametrize("part", ["size", "etag", "version", "name"])
def test_each_of_size_etag_version_and_name_counts(bucket: Bucket, store: EvidenceStore, part: str) -> None:
    first = bucket.pin()
    sign(first, store)
    good = reuse_of(first, store)
    states = {name: FileState(*state) for name, state in good.states.items()}
    manifest = good.manifest
    if part == "etag":
        states["a.bin"] = states["a.bin"]._replace(state='"0123"')
    elif part == "version":
        states["a.bin"] = states["a.bin"]._replace(version="another")
    elif part == "name":
        states["z.bin"] = states.pop("a.bin")
    else:
        entries = [
            entry._replace(size=entry.size + 1) if entry.name == "a.bin" else entry for entry in manifest.entries
        ]
        manifest = type(manifest)(tuple(entries))

    second = bucket.pin(Reuse(manifest, states))

    assert bucket.read == ["a.bin"]
    assert second.artifact == first.artifact


@pytest.mark.s3
def test_without_versions_everything_is_read(s3_server: S3Server, store: EvidenceStore) -> None:
    plain = Bucket(s3_server, s3_server.plain_bucket)
    first = plain.pin()
    sign(first, store)

    assert first.versions == b""
    with pytest.raises(ReuseRefusedError, match="without version ids"):
        reuse_of(first, store)


@pytest.mark.s3
def test_hashing_again_can_reuse_too_and_keeps_the_version_ids(bucket: Bucket, store: EvidenceStore) -> None:
    first = bucket.pin()
    sign(first, store)
    bucket.read.clear()

    again = recheck(
        first.artifact, access=Access(s3=lambda: bucket.client), blob=store.get_blob, reuse=reuse_of(first, store)
    )

    assert bucket.read == []
    assert again.artifact == first.artifact


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        (tmp_path / "model" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "model" / name).write_bytes(data)
    return tmp_path / "model"


def local(folder: Path, reuse: Reuse | None = None, *, remember: bool = True) -> Pin:
    return pin(str(folder), kind=Kind.MODEL, reuse=reuse, remember_local=remember)


def test_a_folder_is_reused_on_explicit_request_only(folder: Path, store: EvidenceStore) -> None:
    first = local(folder)
    sign(first, store)

    assert local(folder, reuse_of(first, store)).reused == ()
    assert local(folder, reuse_of(first, store, unsafe_local=True)).reused == ("a.bin", "b.bin", "deep/c.bin")


def test_a_folder_remembers_nothing_unless_asked(folder: Path) -> None:
    assert local(folder, remember=False).versions == b""


@pytest.mark.parametrize("how", ["write", "touch", "replace"])
def test_a_file_that_was_touched_is_read_again(folder: Path, store: EvidenceStore, how: str) -> None:
    first = local(folder)
    sign(first, store)
    target = folder / "a.bin"
    if how == "write":
        target.write_bytes(b"FIRST")
    elif how == "touch":
        os.utime(target, ns=(1, 1))
    else:
        other = folder.parent / "other"
        other.write_bytes(FILES["a.bin"])
        before = target.stat()
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        other.replace(target)

    second = local(folder, reuse_of(first, store, unsafe_local=True))

    assert second.reused == ("b.bin", "deep/c.bin")
    assert second.manifest == local(folder).manifest


def _strangers(pinned: Pin, store: EvidenceStore) -> None:
    sign(pinned, store, by="stranger")


def _without_role(pinned: Pin, store: EvidenceStore) -> None:
    sign(pinned, store, by="gate")


def _revoked(pinned: Pin, store: EvidenceStore) -> None:
    sign(pinned, store)
    said = revocation.build(
        revocation.Target.ARTIFACT,
        "it",
        pinned.artifact.digest,
        cause=revocation.Cause.COMPROMISED,
        reason="poisoned",
        since=NOW,
        by="carol",
        revoked_at=NOW,
        run={},
    )
    store.put(key("gate").sign(said))


def _manifest_gone(pinned: Pin, store: EvidenceStore) -> None:
    sign(pinned, store)
    del store.backend.objects[f"blobs/{pinned.artifact.digest}"]  # type: ignore[attr-defined]


def _versions_changed(pinned: Pin, store: EvidenceStore) -> None:
    sign(pinned, store)
    store.backend.objects[f"blobs/{pinned.artifact.versions}"] = b"{}"  # type: ignore[attr-defined]


def _nobody(pinned: Pin, store: EvidenceStore) -> None:
    for blob in pinned.blobs:
        store.put_blob(blob)


@pytest.mark.parametrize("case", [_nobody, _strangers, _without_role, _revoked, _manifest_gone, _versions_changed])
def test_what_does_not_verify_is_never_reused(
    folder: Path, store: EvidenceStore, case: Callable[[Pin, EvidenceStore], None]
) -> None:
    pinned = local(folder)
    case(pinned, store)
    policy = trust({"pipeline": ["sign"], "gate": ["gate", "revoke"]})

    with pytest.raises(ReuseRefusedError) as caught:
        verified_reuse(pinned.artifact.digest, store, policy, NOW, unsafe_local=True)
    assert "hash everything" in caught.value.advice or "versioned bucket" in caught.value.advice


def test_a_version_map_that_only_a_reference_names_is_not_taken(folder: Path, store: EvidenceStore) -> None:
    """Whoever forges another task's reference can name any blob; the statement is what counts."""
    pinned = local(folder)
    forged = write_states({name: FileState("", "1-1-1-1") for name in FILES})
    store.put_blob(forged)
    sign(pinned, store)

    found = reuse_of(pinned, store, unsafe_local=True)

    assert write_states(found.states) == pinned.versions != forged
    assert sha256_bytes(forged) != pinned.artifact.versions


def test_a_version_map_from_before_states_is_still_read() -> None:
    assert read_states(b'{"a":"v1"}') == {"a": FileState("v1", "")}


@given(
    st.dictionaries(
        st.text(max_size=8),
        st.builds(
            FileState,
            st.from_regex(r"[A-Za-z0-9._-]{1,8}", fullmatch=True),
            st.from_regex(r'"[0-9a-f]{0,8}"', fullmatch=True),
        ),
    )
)
def test_states_are_read_as_they_were_written(states: dict[str, FileState]) -> None:
    data = write_states(states)

    assert (read_states(data) if data else {}) == states


@pytest.mark.parametrize("data", [b"", b"[]", b'{"a":1}', b'{"a":["v"]}', b'{"a":"v","a":"w"}', b"\xff"])
def test_what_is_no_version_map_is_refused(data: bytes) -> None:
    with pytest.raises(StatementError):
        read_states(data)
