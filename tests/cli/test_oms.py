"""``mlsecops oms``: signatures that ``model_signing`` reads, by key, certificate and identity."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_mlsecops.core.signing import generate_key
from tests.cli.conftest import Run
from tests.support.model_signing_tool import Keys, need_model_signing
from tests.support.oms_models import write_model
from tests.support.oms_pki import intermediate, issue, leaf, root


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "digits")


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    (tmp_path / "keys").mkdir()
    return Keys(tmp_path / "keys", leaf(), intermediate(), root())


def test_sign_and_verify_by_key(run: Run, model: Path, keys: Keys) -> None:
    signed = run("oms", "sign", model, "--signer", f"file:{keys.private}", "--json")
    assert signed.code == 0
    assert signed.json["written"] is True
    assert signed.json["signature"]["uri"] == (model / "model.sig").as_uri()

    verified = run("oms", "verify", model, "--key", keys.public, "--json")

    assert verified.code == 0
    assert (verified.json["verified"], verified.json["method"], verified.json["ignored"]) == (True, "key", [])
    told = run("oms", "verify", model, "--key", keys.public)
    assert told.out.startswith("YES  model digits: these are exactly the signed files")
    need_model_signing()
    assert keys.verify("key", model, model / "model.sig")
    again = run("oms", "sign", model, "--signer", keys.private)
    assert "was there already" in again.out


def test_by_certificate(run: Run, model: Path, keys: Keys, tmp_path: Path) -> None:
    chain = tmp_path / "chain.pem"
    chain.write_bytes(leaf().pem + intermediate().pem)
    assert run("oms", "sign", model, "--signer", keys.private, "--certificates", chain).code == 0

    roots = ["--certificate-roots", keys.root]
    assert run("oms", "verify", model, *roots).code == 0
    assert run("oms", "verify", model, *roots, "--certificate-name", "CN=Model Signer").code == 0
    assert run("oms", "verify", model, *roots, "--certificate-name", "CN=Somebody").code == 1
    (tmp_path / "other.pem").write_bytes(issue("Other Root", authority=True).pem)
    refused = run("oms", "verify", model, "--certificate-roots", tmp_path / "other.pem", "--json")
    assert (refused.code, refused.json["reason"]["code"]) == (1, "oms-certificate")


def test_encrypted_key(run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem, public = generate_key(b"correct horse")
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "key.pub").write_text(public.pem)
    monkeypatch.setenv("PASS", "correct horse")

    assert run("oms", "sign", model, "--signer", tmp_path / "key.pem").code == 2
    done = run("oms", "sign", model, "--signer", tmp_path / "key.pem", "--passphrase-env", "PASS")
    assert done.code == 0
    assert "horse" not in done.out + done.err
    assert run("oms", "verify", model, "--key", tmp_path / "key.pub").code == 0


@pytest.mark.parametrize("change", ["changed", "extra", "missing", "no-signature", "broken-signature"])
def test_no(run: Run, model: Path, keys: Keys, change: str) -> None:
    run("oms", "sign", model, "--signer", keys.private)
    if change == "changed":
        (model / "config.json").write_bytes(b"{}")
    elif change == "extra":
        (model / "extra.py").write_bytes(b"import os")
    elif change == "missing":
        (model / "config.json").unlink()
    else:
        (model / "model.sig").unlink()
        if change == "broken-signature":
            (model / "model.sig").write_bytes(b"{")

    answer = run("oms", "verify", model, "--key", keys.public, "--json")

    assert (answer.code, answer.json["verified"]) == (1, False)
    told = run("oms", "verify", model, "--key", keys.public)
    assert (told.code, told.out.split()[0]) == (1, "NO")


def test_ignored_files_are_told(run: Run, model: Path, keys: Keys) -> None:
    run("oms", "sign", model, "--signer", keys.private)
    (model / "README.md").write_text("hello")

    assert run("oms", "verify", model, "--key", keys.public).code == 1
    answer = run("oms", "verify", model, "--key", keys.public, "--ignore", "README.md")
    assert answer.code == 0
    assert "unsigned, and ignored as asked: README.md" in answer.out


def test_nothing_is_overwritten_unasked(run: Run, model: Path, keys: Keys) -> None:
    (model / "model.sig").write_bytes(b"mine")

    refused = run("oms", "sign", model, "--signer", keys.private)

    assert (refused.code, (model / "model.sig").read_bytes()) == (2, b"mine")
    assert "oms-exists" in refused.err
    assert run("oms", "sign", model, "--signer", keys.private, "--replace").code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--key", "KEY", "--certificate-roots", "ROOT"],
        ["--sigstore", "ROOT"],
        ["--key", "KEY", "--identity", "me"],
        ["--sigstore", "ROOT", "--identity", "me"],
        ["--key", "KEY", "--certificate-name", "CN=x"],
        ["--key", "/nowhere"],
        ["--certificate-roots", "KEY"],
        ["--sigstore", "KEY", "--identity", "me", "--issuer", "you"],
        ["--key", "KEY", "--signature", "/nowhere"],
    ],
)
def test_a_question_that_trusts_nobody_is_none(run: Run, model: Path, keys: Keys, arguments: list[str]) -> None:
    run("oms", "sign", model, "--signer", keys.private)
    places = {"KEY": str(keys.public), "ROOT": str(keys.root)}

    assert run("oms", "verify", model, *(places.get(item, item) for item in arguments)).code == 2


def test_a_signature_elsewhere_and_a_renamed_file(run: Run, model: Path, keys: Keys, tmp_path: Path) -> None:
    run("oms", "sign", model / "config.json", "--signer", keys.private)
    (model / "config.json.sig").rename(tmp_path / "s")
    (model / "config.json").rename(model / "other.json")
    question = ["oms", "verify", model / "other.json", "--key", keys.public, "--signature", tmp_path / "s"]

    assert run(*question).code == 1
    assert run(*question, "--name", "config.json").code == 0
