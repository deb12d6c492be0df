"""``mlsecops revoke``: what is withdrawn is a NO from then on, and what can't be withdrawn leaves nothing behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.log import Entry
from airflow_mlsecops.core.signing import generate_key
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from tests.cli.conftest import Run
from tests.cli.released import ROLES, Released
from tests.support.logs import ORIGIN, log_key, log_trust, new_log


@pytest.fixture
def revoker(released: Released) -> list[str]:
    pem, _ = generate_key(b"a passphrase")
    path = released.root / "revoker.pem"
    path.write_bytes(pem)
    released.signers["revoker"] = FileKeySigner(pem, "a passphrase")
    released.write_trust({**ROLES, "revoker": ("revoke",)})
    return ["--signer", f"file:{path}", "--reason", "it leaked", *released.options]


@pytest.fixture(autouse=True)
def passphrase(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSECOPS_PASSPHRASE", "a passphrase")


def _verify(run: Run, released: Released) -> Any:
    return run("verify", released.model, *released.options, "--policy", released.policy, "--json")


@pytest.mark.parametrize("by_digest", [False, True])
def test_artifact(run: Run, released: Released, revoker: list[str], by_digest: bool) -> None:
    digest = released.model_artifact.digest
    assert _verify(run, released).code == 0
    ran = run("revoke", "artifact", f"sha256:{digest}" if by_digest else released.model, *revoker)
    assert (ran.code, ran.err) == (0, "")
    assert "can't be taken back" in ran.out
    assert "a passphrase" not in ran.out

    after = _verify(run, released)
    assert after.code == 1
    (reason,) = [item for item in after.json["reasons"] if item["code"] == "artifact-revoked"]
    assert "it leaked" in reason["text"]
    listed = run("evidence", "list", released.model, *released.options)
    assert "revoked by" in listed.out


def test_evidence(run: Run, released: Released, revoker: list[str]) -> None:
    digest = released.digests["signature"]
    assert run("evidence", "show", digest, *released.options).code == 0
    ran = run("revoke", "evidence", digest, *revoker, "--json")
    assert (ran.code, ran.json["revoked"]["sha256"]) == (0, digest)
    assert _verify(run, released).code == 1
    shown = run("evidence", "show", digest, *released.options)
    assert shown.code == 1
    assert "it leaked" in shown.out


@pytest.mark.parametrize("by_name", [False, True])
def test_key(run: Run, released: Released, revoker: list[str], by_name: bool) -> None:
    hint = released.signers["pipeline"].public_key.hint
    assert run("revoke", "key", "pipeline" if by_name else hint, *revoker, "--since", "2020-01-01T00:00:00Z").code == 0
    after = _verify(run, released)
    assert after.code == 1
    assert {item["code"] for item in after.json["not_counted"]} == {"revoked"}


def test_identity(run: Run, released: Released, revoker: list[str]) -> None:
    ran = run("revoke", "identity", "a@example.com", "https://issuer.example", *revoker, "--json")
    assert ran.code == 0
    assert run("evidence", "show", ran.json["evidence"], *released.options).code == 0
    assert _verify(run, released).code == 0  # nothing here was signed by them


@pytest.mark.parametrize(
    "change",
    [
        {"--reason": " "},
        {"--since": "soon"},
        {"--since": "2999-01-01T00:00:00Z"},
        {"--cause": "bored"},
        {"--signer": "file:/nowhere.pem"},
    ],
)
def test_what_is_wrong_leaves_nothing(run: Run, released: Released, revoker: list[str], change: dict[str, str]) -> None:
    options = dict(zip(revoker[::2], revoker[1::2], strict=True)) | change
    ran = run("revoke", "artifact", released.model, *(part for pair in options.items() for part in pair))
    assert ran.code in (1, 2)
    assert _verify(run, released).code == 0


def test_without_the_role_nothing_is_put(run: Run, released: Released, revoker: list[str]) -> None:
    released.write_trust(ROLES)
    ran = run("revoke", "artifact", released.model, *revoker)
    assert ran.code == 2
    assert "[trust]" in ran.err
    assert _verify(run, released).json["not_counted"] == []


@pytest.fixture
def logged(released: Released) -> Path:
    """The released model's evidence in a log that the trust policy asks for; where its state is remembered."""
    _append(released)
    trust = {"origin": ORIGIN, "keys": [log_key().public_key.pem]}
    released.trust.write_text(released.trust.read_text() + f"log: {json.dumps(trust)}\n")
    return released.root / "seen.checkpoint"


def _append(released: Released) -> None:
    bundles = [released.store.get(digest).bundle for digest in released.digests.values()]
    entries = [Entry.of(bundle).encode() for bundle in bundles if bundle is not None]
    new_log(released.store._backend).append(entries)


def test_checkpoint_is_remembered_and_a_rollback_noticed(run: Run, released: Released, logged: Path) -> None:
    ask = ["verify", released.model, *released.options, "--policy", released.policy, "--checkpoint", logged, "--json"]
    first = run(*ask)
    assert first.code == 0
    assert all(isinstance(item["log_place"], int) for item in first.json["evidence"])
    seen = logged.read_bytes()
    assert seen == released.store.log_reader(log_trust()).checkpoint().raw  # type: ignore[union-attr]
    before = {path: path.read_bytes() for path in (released.evidence / "log").rglob("*") if path.is_file()}

    from airflow_mlsecops.core.clock import utcnow

    released.approve(utcnow())
    _append(released)
    assert run(*ask).code == 0
    newer = logged.read_bytes()
    assert newer != seen

    for path, data in before.items():
        path.write_bytes(data)
    rolled = run(*ask)
    assert rolled.code == 1
    assert "log-proof" in {item["code"] for item in rolled.json["reasons"]}
    assert logged.read_bytes() == newer  # what is remembered never goes back


def test_removed_evidence_is_missed(run: Run, released: Released, logged: Path) -> None:
    for path in (released.evidence / "bundles").rglob(f"{released.digests['summary']}*"):
        path.unlink()
    ran = _verify(run, released)
    assert ran.code == 1
    assert "evidence-withheld" in {item["code"] for item in ran.json["reasons"]}


def test_a_checkpoint_needs_a_log_and_a_readable_memory(run: Run, released: Released) -> None:
    memory = released.root / "seen"
    assert run("verify", released.model, *released.options, "--checkpoint", memory).code == 2
    assert not memory.exists()


def test_an_empty_memory_is_no_memory(run: Run, released: Released, logged: Path) -> None:
    logged.write_bytes(b"")
    assert run("verify", released.model, *released.options, "--checkpoint", logged).code == 2
