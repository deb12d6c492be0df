"""Pinning on a real S3 server: versions, overwritten objects, prefixes, and a store that isn't there."""

from __future__ import annotations

import io
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from airflow_mlsecops.core.artifact import Artifact, Form
from airflow_mlsecops.core.digest import HashingSink, sha256_bytes
from airflow_mlsecops.core.errors import (
    ArtifactChangedError,
    ArtifactNotFoundError,
    ArtifactRefusedError,
    ArtifactUnavailableError,
    ConfigurationError,
)
from airflow_mlsecops.core.manifest import FileEntry, Manifest
from airflow_mlsecops.core.pinning import Access, Pin, pin, recheck, verified_copy
from airflow_mlsecops.core.pinning.s3 import S3Source
from tests.support.s3_server import S3Server, closed_port

pytestmark = pytest.mark.s3


class Place:
    """One bucket with a prefix of its own."""

    def __init__(self, server: S3Server, bucket: str) -> None:
        self.bucket, self.prefix, self.access = bucket, server.prefix(), server.access()
        self.client: Any = server.client()
        self.uri = f"s3://{bucket}/{self.prefix}"

    def put(self, name: str, data: bytes) -> str:
        """Write an object; return its version id."""
        answer = self.client.put_object(Bucket=self.bucket, Key=self.prefix + name, Body=data)
        return str(answer.get("VersionId", ""))

    def delete(self, name: str, **version: str) -> None:
        """Delete an object: on a versioned bucket it goes behind a delete marker."""
        self.client.delete_object(Bucket=self.bucket, Key=self.prefix + name, **version)

    def pin(self, name: str = "") -> Pin:
        """Pin an object, or the whole prefix."""
        return pin(self.uri + name, access=self.access)

    def copy(self, pinned: Pin, into: Path) -> Path:
        """The verified copy of what was pinned."""
        return verified_copy(pinned.artifact, into, access=self.access, blob=_blob(pinned))


def _blob(pinned: Pin) -> Callable[[str], bytes]:
    blobs = {sha256_bytes(data): data for data in pinned.blobs}
    return lambda digest: blobs[sha256_bytes(blobs[digest])]  # type: ignore[index]


@pytest.fixture
def versioned(s3_server: S3Server) -> Place:
    return Place(s3_server, s3_server.bucket)


@pytest.fixture
def plain(s3_server: S3Server) -> Place:
    return Place(s3_server, s3_server.plain_bucket)


@pytest.fixture(params=["versioned", "plain"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path


def test_an_object(place: Place, into: Path) -> None:
    place.put("model.pkl", b"weights")

    pinned = place.pin("model.pkl")

    assert pinned.artifact.digest == sha256_bytes(b"weights")
    assert (pinned.artifact.form, pinned.artifact.size, pinned.artifact.name) == (Form.FILE, 7, "model.pkl")
    assert bool(pinned.artifact.version) is (place.bucket == "versioned")
    assert place.copy(pinned, into).read_bytes() == b"weights"
    recheck(pinned.artifact, access=place.access)


def test_an_object_of_many_parts_has_the_digest_of_its_bytes(place: Place, into: Path) -> None:
    data = bytes(range(256)) * (21 * 4096)  # 21 MiB: three ranged reads
    place.put("big", data)

    pinned = place.pin("big")

    assert pinned.artifact.digest == sha256_bytes(data)
    assert place.copy(pinned, into).read_bytes() == data


def test_a_prefix_is_the_tree_that_the_same_files_on_disk_are(place: Place, into: Path, tmp_path: Path) -> None:
    files = {"a.csv": b"1", "part=1/b.csv": b"22", "part=1/ü c?#%41+.csv": b"", "z/z/z": b"333"}
    for name, data in files.items():
        place.put(name, data)
    place.put("empty/", b"")  # the marker of a folder, as consoles make it

    pinned = place.pin()

    expected = Manifest.of(FileEntry(name, len(data), sha256_bytes(data)) for name, data in files.items())
    assert pinned.manifest == expected
    assert pinned.artifact.digest == expected.digest
    assert (pinned.artifact.form, pinned.artifact.files, pinned.artifact.uri) == (Form.TREE, 4, place.uri)
    copy = place.copy(pinned, into)
    assert {name: (copy / name).read_bytes() for name in files} == files


def test_a_prefix_without_its_slash_is_the_same_tree_and_no_neighbours(place: Place) -> None:
    place.put("data/a", b"1")
    place.put("data-other/a", b"2")

    assert place.pin("data").artifact == place.pin("data/").artifact
    assert place.pin("data").artifact.files == 1


def test_more_objects_than_one_listing_holds(s3_server: S3Server, plain: Place) -> None:
    names = [f"part-{number}" for number in range(8)]
    for name in names:
        plain.put(name, name.encode())
    client, pages = s3_server.new_client(), []
    # The server itself cuts its answers: three keys in each.
    listing = "s3.ListObjectVersions"
    client.meta.events.register(f"before-parameter-build.{listing}", lambda params, **_: params.update(MaxKeys=3))
    client.meta.events.register(f"after-call.{listing}", lambda parsed, **_: pages.append(len(parsed["Versions"])))

    pinned = pin(plain.uri, access=Access(s3=lambda: client))

    assert [entry.name for entry in pinned.manifest.entries] == names
    assert pages == [3, 3, 2]


def _requests(client: Any) -> Counter[str]:
    """Counts the requests of a client by operation from now on."""
    seen = Counter[str]()
    client.meta.events.register("before-call.s3", lambda model, **_: seen.update([model.name]))
    return seen


def test_a_prefix_of_small_objects_takes_one_request_each_and_few_to_list(s3_server: S3Server, place: Place) -> None:
    for number in range(7):
        place.put(f"part-{number}", b"x")
    client = s3_server.new_client()
    seen = _requests(client)

    pin(place.uri, access=Access(s3=lambda: client))

    assert seen == {"ListObjectVersions": 1, "GetObject": 7}


def test_where_versions_cannot_be_listed_each_object_is_asked_for(s3_server: S3Server, place: Place) -> None:
    place.put("a", b"old")
    place.put("a", b"new")
    place.put("empty", b"")
    expected = place.pin()
    client = s3_server.new_client()
    seen = _requests(client)

    def deny(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "AccessDenied"}}, "ListObjectVersions")

    client.meta.events.register("before-call.s3.ListObjectVersions", deny)

    assert pin(place.uri, access=Access(s3=lambda: client)) == expected
    assert (seen["ListObjectsV2"], seen["HeadObject"]) == (1, 2)


@pytest.mark.parametrize(("failures", "succeeds"), [(2, True), (3, False)])
def test_an_answer_that_breaks_off_is_asked_for_again(
    s3_server: S3Server, place: Place, failures: int, succeeds: bool
) -> None:
    place.put("model.pkl", b"weights")
    client, left = s3_server.new_client(), [failures]

    def break_off(parsed: dict[str, Any], **_: Any) -> None:
        if left[0]:
            left[0] -= 1
            parsed["Body"] = StreamingBody(io.BytesIO(b"wei"), 7)

    client.meta.events.register("after-call.s3.GetObject", break_off)
    access = Access(s3=lambda: client)

    if succeeds:
        assert pin(place.uri + "model.pkl", access=access).artifact.digest == sha256_bytes(b"weights")
    else:
        with pytest.raises(ArtifactUnavailableError):
            pin(place.uri + "model.pkl", access=access)


def test_a_server_that_ignores_if_match_is_found_out_by_its_etag(plain: Place, s3_server: S3Server) -> None:
    plain.put("model.pkl", b"good")
    client = s3_server.new_client()
    client.meta.events.register("before-parameter-build.s3.GetObject", lambda params, **_: params.pop("IfMatch"))
    source = S3Source(client, plain.bucket, plain.prefix + "model.pkl")
    listed = source.list().files[0]
    plain.put("model.pkl", b"evil")

    with pytest.raises(ArtifactChangedError, match="changed since it was listed"):
        source.read(listed, HashingSink())


@pytest.mark.parametrize("lie", [b"weigh", b"weights and more"])
def test_an_object_whose_size_was_listed_wrongly_is_refused(s3_server: S3Server, versioned: Place, lie: bytes) -> None:
    versioned.put("model.pkl", b"weights")
    client = s3_server.new_client()
    client.meta.events.register(
        "after-call.s3.GetObject", lambda parsed, **_: parsed.update(Body=StreamingBody(io.BytesIO(lie), len(lie)))
    )

    with pytest.raises(ArtifactChangedError, match="read"):
        pin(versioned.uri + "model.pkl", access=Access(s3=lambda: client))


def test_on_a_versioned_bucket_the_pinned_version_is_read_for_ever(versioned: Place, into: Path) -> None:
    versioned.put("model.pkl", b"good")
    pinned = versioned.pin("model.pkl")
    versioned.put("model.pkl", b"evil")
    (into / "1").mkdir()
    (into / "2").mkdir()

    assert versioned.copy(pinned, into / "1").read_bytes() == b"good"
    versioned.delete("model.pkl")
    assert versioned.copy(pinned, into / "2").read_bytes() == b"good"
    recheck(pinned.artifact, access=versioned.access)


def test_on_a_versioned_bucket_the_pinned_tree_is_read_for_ever(versioned: Place, into: Path) -> None:
    versioned.put("a", b"good a")
    versioned.put("sub/b", b"good b")
    pinned = versioned.pin()
    versioned.put("a", b"evil a")
    versioned.put("new", b"evil new")
    versioned.delete("sub/b")

    copy = versioned.copy(pinned, into)

    assert pinned.artifact.versions == sha256_bytes(pinned.versions)
    assert (copy / "a").read_bytes() == b"good a"
    assert (copy / "sub" / "b").read_bytes() == b"good b"
    assert not (copy / "new").exists()
    with pytest.raises(ArtifactChangedError):  # without the version map only the newest objects can be read
        recheck(pinned.artifact, access=versioned.access)


def test_a_pinned_version_that_was_destroyed_is_an_error(versioned: Place, into: Path) -> None:
    versioned.put("model.pkl", b"good")
    pinned = versioned.pin("model.pkl")
    versioned.put("model.pkl", b"good")
    versioned.delete("model.pkl", VersionId=pinned.artifact.version)

    with pytest.raises(ArtifactChangedError):
        versioned.copy(pinned, into)


def test_on_a_bucket_without_versions_an_overwritten_object_is_refused(plain: Place, into: Path) -> None:
    plain.put("model.pkl", b"good")
    pinned = plain.pin("model.pkl")
    plain.put("model.pkl", b"evil")

    with pytest.raises(ArtifactChangedError):
        plain.copy(pinned, into)
    with pytest.raises(ArtifactChangedError):
        recheck(pinned.artifact, access=plain.access)


def test_on_a_bucket_without_versions_a_changed_prefix_is_refused(plain: Place) -> None:
    plain.put("a", b"1")
    pinned = plain.pin()
    plain.put("b", b"2")

    with pytest.raises(ArtifactChangedError):
        recheck(pinned.artifact, access=plain.access)


def test_an_object_overwritten_between_listing_and_reading_is_refused(plain: Place) -> None:
    plain.put("model.pkl", b"good")
    source = S3Source(plain.client, plain.bucket, plain.prefix + "model.pkl")
    listed = source.list().files[0]
    plain.put("model.pkl", b"evil")

    with pytest.raises(ArtifactChangedError, match="changed since it was listed"):
        source.read(listed, HashingSink())


def test_an_object_overwritten_while_it_is_read_is_refused(plain: Place) -> None:
    plain.put("model.pkl", b"good" * 5_000_000)
    source = S3Source(plain.client, plain.bucket, plain.prefix + "model.pkl")
    listed = source.list().files[0]

    class Sink(HashingSink):
        def write(self, data: bytes | memoryview) -> int:
            if not self.size:
                plain.put("model.pkl", b"evil" * 5_000_000)
            return super().write(data)

    with pytest.raises(ArtifactChangedError, match="changed since it was listed"):
        source.read(listed, Sink())


def test_names_that_are_not_normalised_are_pinned_and_read_again(place: Place, into: Path) -> None:
    place.put("e\u0301/file", b"decomposed")
    (into / "tree").mkdir()
    (into / "file").mkdir()
    tree, file = place.pin(), place.pin("e\u0301/file")

    assert [entry.name for entry in tree.manifest.entries] == ["\u00e9/file"]
    assert (place.copy(tree, into / "tree") / "\u00e9" / "file").read_bytes() == b"decomposed"
    assert place.copy(file, into / "file").read_bytes() == b"decomposed"


def test_an_overwritten_object_whose_name_is_not_normalised_is_read_in_its_version(
    versioned: Place, into: Path
) -> None:
    versioned.put("e\u0301", b"good")
    (into / "tree").mkdir()
    (into / "file").mkdir()
    tree, file = versioned.pin(), versioned.pin("e\u0301")
    versioned.put("e\u0301", b"evil")

    assert versioned.copy(file, into / "file").read_bytes() == b"good"
    assert (versioned.copy(tree, into / "tree") / "\u00e9").read_bytes() == b"good"


@pytest.mark.parametrize(
    "names", [("e\u0301", "\u00e9"), ("a\nb",), ("\x7f",), ("a", "a/b")], ids=lambda names: repr(names)
)
def test_names_that_could_mean_another_file_are_refused(plain: Place, names: tuple[str, ...]) -> None:
    for name in names:
        plain.put(name, b"x")

    with pytest.raises(ArtifactRefusedError):
        plain.pin()


@pytest.mark.parametrize("name", ["", "missing", "missing/", "missing/deep"])
def test_nothing_there_is_not_found(place: Place, name: str) -> None:
    with pytest.raises(ArtifactNotFoundError):
        place.pin(name)


def test_no_such_bucket_is_not_found(s3_server: S3Server) -> None:
    for uri in ("s3://no-such-bucket/key", "s3://no-such-bucket/"):
        with pytest.raises(ArtifactNotFoundError) as caught:
            pin(uri, access=s3_server.access())
        assert not caught.value.transient


def test_a_server_that_is_down_is_worth_another_try(s3_server: S3Server) -> None:
    access = s3_server.access(endpoint=f"http://127.0.0.1:{closed_port()}")

    for uri in ("s3://versioned/ready", "s3://versioned/"):
        with pytest.raises(ArtifactUnavailableError) as caught:
            pin(uri, access=access)
        assert caught.value.transient


def test_wrong_credentials_are_a_configuration_error_that_names_no_secret(place: Place, s3_server: S3Server) -> None:
    place.put("model.pkl", b"good")
    pinned = place.pin("model.pkl")
    access = s3_server.access(secret_key="wrong-secret-value")

    attempts: tuple[Callable[[], Pin], ...] = (
        lambda: pin(place.uri + "model.pkl", access=access),
        lambda: pin(place.uri, access=access),
        lambda: recheck(pinned.artifact, access=access),
    )
    for attempt in attempts:
        with pytest.raises(ConfigurationError, match="denied") as caught:
            attempt()
        assert not caught.value.transient
        assert "wrong-secret-value" not in "".join(traceback.format_exception(caught.value))


def test_no_credentials_are_a_configuration_error(s3_server: S3Server) -> None:
    anonymous = Access(
        s3=lambda: boto3.client(
            "s3",
            endpoint_url=s3_server.endpoint,
            region_name="us-east-1",
            config=Config(signature_version=UNSIGNED, retries={"max_attempts": 1}),
        )
    )
    with pytest.raises(ConfigurationError, match="denied"):
        pin("s3://versioned/ready", access=anonymous)


def test_a_forged_reference_reads_no_other_objects_as_the_pinned_ones(versioned: Place, into: Path) -> None:
    good, evil = versioned.put("model.pkl", b"good"), versioned.put("model.pkl", b"evil")
    assert good != evil
    versioned.put("model.pkl", b"newest")
    reference = {**versioned.pin("model.pkl").artifact.to_dict(), "version": evil}

    with pytest.raises(ArtifactChangedError):
        verified_copy(Artifact.from_dict(reference), into, access=versioned.access)
