"""The command line against a real S3 server, reached as a person would: by environment variables."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import pytest

from airflow_mlsecops.core.store import open_store
from tests.cli.conftest import Run
from tests.cli.released import Released, flip_a_byte
from tests.support.s3_server import REGION, S3Server, closed_port

pytestmark = pytest.mark.s3


@pytest.fixture
def place(s3_server: S3Server, released: Released, monkeypatch: pytest.MonkeyPatch) -> str:
    """The released world's model, data and evidence, copied to a prefix of its own."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_server.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", s3_server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", s3_server.secret_key)
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    client, prefix = s3_server.client(), s3_server.prefix()
    for path in released.root.rglob("*"):
        if path.is_file():
            key = prefix + path.relative_to(released.root).as_posix()
            client.put_object(Bucket=s3_server.bucket, Key=key, Body=path.read_bytes())
    return f"s3://{s3_server.bucket}/{prefix}"


def test_verify_and_evidence_on_s3(run: Run, released: Released, place: str, s3_server: S3Server) -> None:
    options = ["--store", f"{place}evidence", "--trust", released.trust]
    yes = run("verify", f"{place}model.bin", *options, "--policy", released.policy)
    pinned = run("pin", f"{place}data/", "--json")
    listed = run("evidence", "list", f"{place}data/", *options, "--json")
    blob = open_store(f"{place}evidence", s3_server.access()).put_blob(b"rows")
    shown = run("evidence", "blob", blob, *options[:2], "--json")

    assert yes.code == 0
    assert yes.out.startswith("YES  ")
    assert pinned.json["digest"] == run("pin", released.data, "--json").json["digest"]
    assert [item["counts"] for item in listed.json["statements"]] == [True, True]
    assert shown.json["content"] == "rows"

    flip_a_byte(released.model)
    key = place.removeprefix(f"s3://{s3_server.bucket}/") + "model.bin"
    s3_server.client().put_object(Bucket=s3_server.bucket, Key=key, Body=released.model.read_bytes())
    changed = run("verify", f"{place}model.bin", *options, "--policy", released.policy, "--json")
    assert (changed.code, changed.json["verified"]) == (1, False)
    assert changed.json["artifact"]["digest"] == hashlib.sha256(released.model.read_bytes()).hexdigest()


def test_a_model_on_s3_and_evidence_from_an_export_with_nothing_on_disk(
    run: Run, released: Released, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashing streams: where no file can be made, it works all the same."""
    policy, archive = ["--trust", released.trust, "--policy", released.policy], tmp_path / "export.tar"
    done = run("export", f"{place}model.bin", "--store", f"{place}evidence", *policy, "--output", archive)
    assert done.code == 0
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    before = sorted(tmp_path.rglob("*"))

    answer = run("verify", f"{place}model.bin", "--evidence", archive, *policy, "--json")

    assert (answer.code, answer.json["verified"]) == (0, True)
    assert answer.json["artifact"]["version"]
    assert sorted(tmp_path.rglob("*")) == before


def test_a_model_signature_on_s3(run: Run, released: Released, place: str, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    run("keygen", key, "--no-passphrase")
    digest = run("pin", f"{place}data/", "--json").json["digest"]
    signed = run("oms", "sign", f"{place}data/", "--signer", key, "--json")

    assert signed.json["signature"]["uri"] == f"{place}data/model.sig"
    assert run("pin", f"{place}data/", "--json").json["digest"] == digest
    assert run("oms", "verify", f"{place}data/", "--key", tmp_path / "key.pub").code == 0
    assert run("oms", "verify", f"{place}model.bin", "--key", tmp_path / "key.pub").code == 1


def test_server_that_is_down_is_no_answer(
    run: Run, released: Released, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{closed_port()}")
    store = run("verify", released.model, "--store", f"{place}evidence", "--trust", released.trust, "--json")
    model = run("verify", f"{place}model.bin", *released.options, "--json")
    policies = ["--trust", released.trust, "--policy", released.policy, "--output", released.root / "export.tar"]
    exported = run("export", released.model, "--store", f"{place}evidence", *policies, "--json")

    assert (exported.code, exported.json["error"]["code"]) == (3, "store-unavailable")
    assert (store.code, store.json["error"]["code"]) == (3, "store-unavailable")
    assert (model.code, model.json["error"]["code"]) == (3, "artifact-unavailable")


def test_wrong_access_is_a_wrong_configuration(
    run: Run, released: Released, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    denied = run("verify", released.model, "--store", f"{place}evidence", "--trust", released.trust, "--json")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "not a URL")
    nonsense = run("pin", f"{place}model.bin", "--json")

    assert (denied.code, denied.json["error"]["code"]) == (2, "configuration")
    assert (nonsense.code, nonsense.json["error"]["code"]) == (2, "configuration")
    assert "wrong" not in denied.out


def test_missing_bucket_or_object(run: Run, released: Released, place: str, s3_server: S3Server) -> None:
    gone = run("verify", f"{place}nothing", *released.options, "--json")
    bucket = run("evidence", "blob", "0" * 64, "--store", "s3://no-such-bucket/x", "--json")

    assert (gone.code, gone.json["error"]["code"]) == (3, "artifact-not-found")
    assert (bucket.code, bucket.json["error"]["code"]) == (2, "configuration")
