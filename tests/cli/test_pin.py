"""``mlsecops pin``."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from airflow_mlsecops.cli import places
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import signature
from tests.cli.conftest import Run
from tests.cli.released import Released
from tests.support.s3_server import S3Server


def test_digest_of_a_file_is_its_sha256(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(b"x,y\n1,0\n")
    digest = hashlib.sha256(b"x,y\n1,0\n").hexdigest()
    text, document = run("pin", path), run("pin", path, "--name", "digits", "--kind", "model", "--json")

    assert (text.code, document.code) == (0, 0)
    lines = dict(line.split(maxsplit=1) for line in text.out.splitlines())
    assert lines["sha256"] == digest
    assert (lines["kind"], lines["name"], lines["form"], lines["size"], lines["files"]) == (
        "dataset",
        "train.csv",
        "file",
        "8 bytes",
        "1",
    )
    assert (document.json["digest"], document.json["name"], document.json["kind"]) == (digest, "digits", "model")
    assert "manifest" not in document.json


def test_manifest_of_a_folder_explains_its_digest(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    (folder / "part").mkdir(parents=True)
    (folder / "b.csv").write_bytes(b"b")
    (folder / "part" / "ä.csv").write_bytes(b"a")
    text, document = run("pin", folder, "--manifest"), run("pin", f"file://{folder}", "--manifest", "--json")

    manifest = document.json["manifest"]
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert hashlib.sha256(canonical.encode()).hexdigest() == document.json["digest"]
    assert [(entry["name"], entry["size"]) for entry in manifest] == [("b.csv", 1), ("part/ä.csv", 1)]
    assert f"{hashlib.sha256(b'a').hexdigest()}             1  part/ä.csv" in text.out


@pytest.mark.parametrize(
    ("make", "code", "reason"),
    [
        (lambda path: None, 3, "artifact-not-found"),
        (lambda path: path.mkdir(), 1, "artifact-refused"),
        (lambda path: path.symlink_to("/etc/hostname"), 1, "artifact-refused"),
        (lambda path: os.mkfifo(path), 1, "artifact-refused"),
    ],
    ids=["missing", "empty", "link", "pipe"],
)
def test_what_cannot_be_pinned(run: Run, tmp_path: Path, make, code: int, reason: str) -> None:  # type: ignore[no-untyped-def]
    make(tmp_path / "thing")
    ran = run("pin", tmp_path / "thing", "--json")

    assert ran.code == code
    assert ran.json["error"]["code"] == reason
    assert ran.json["error"]["advice"]


@pytest.mark.parametrize("uri", ["ftp://host/file", "file://otherhost/file", "s3:///key", " "])
def test_uri_that_means_nothing(run: Run, uri: str) -> None:
    assert run("pin", uri).code == 2


def test_hostile_name_is_shown_not_sent(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "model\u202etxt.bin"
    path.write_bytes(b"weights")
    text, document = run("pin", path), run("pin", path, "--json")

    assert r"name     model\u202etxt.bin" in text.out
    assert document.json["name"] == path.name
    assert document.out.isascii()


def test_digests_of_an_earlier_pin_that_nobody_signed_are_not_taken(run: Run, released: Released) -> None:
    options = ["--reuse-from", "a" * 64, *released.options]

    refused = run("pin", released.data, *options, "--json")

    assert refused.code != 0
    assert refused.json["error"]["code"] == "reuse-refused"


def test_reuse_needs_to_know_whom_to_trust(run: Run, released: Released) -> None:
    assert run("pin", released.data, "--reuse-from", "a" * 64, "--store", released.evidence).code == 2


@pytest.mark.s3
def test_an_unchanged_prefix_is_not_read_again(
    run: Run, world: Released, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix, client = s3_server.prefix(), s3_server.client()
    for name in ("a.bin", "b.bin"):
        client.put_object(Bucket=s3_server.bucket, Key=prefix + name, Body=name.encode() * 100)
    uri = f"s3://{s3_server.bucket}/{prefix}"
    monkeypatch.setattr(places, "access", s3_server.access)
    pinned = pin(uri, access=s3_server.access())
    for blob in pinned.blobs:
        world.store.put_blob(blob)
    world.put("signature", signature.build(pinned.artifact, signed_at=utcnow(), evidence=[], run={}), "pipeline")

    told = run("pin", uri, "--reuse-from", pinned.artifact.digest, *world.options)
    document = run("pin", uri, "--reuse-from", pinned.artifact.digest, *world.options, "--json").json

    assert "reused   2 files, 1000 bytes that were not read" in told.out
    assert document["reused"] == {"files": 2, "bytes": 1000, "earlier": pinned.artifact.digest}
    assert document["digest"] == pinned.artifact.digest
