"""``mlsecops requests`` and ``mlsecops approve``: what is shown, asked, signed and refused."""

from __future__ import annotations

import getpass
import io
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.evidence import collect
from airflow_mlsecops.core.log import EvidenceLog, LogTrust
from airflow_mlsecops.core.log.entry import Entry
from airflow_mlsecops.core.policy import quorum
from airflow_mlsecops.core.predicates import approval, revocation
from airflow_mlsecops.core.predicates.approval import Assurance
from airflow_mlsecops.core.signing import generate_key
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from airflow_mlsecops.core.store.local import LocalBackend
from airflow_mlsecops.core.trust import TrustPolicy
from tests.cli.asked import Asked
from tests.cli.conftest import Run
from tests.support.logs import ORIGIN, log_key


@pytest.fixture
def asked(tmp_path: Path) -> Asked:
    return Asked(tmp_path / "asked")


def _approve(run: Run, asked: Asked, request: str, *more: str, by: str = "alice", yes: bool = True) -> Any:
    ready = ("--yes", "--reason", "looked at it") if yes else ()
    return run("approve", request, *asked.options, "--signer", f"file:{asked.key(by)}", *ready, *more)


@pytest.fixture
def types(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Lets a person at a terminal type lines."""

    def type_(*lines: str) -> None:
        stream = io.StringIO("".join(f"{line}\n" for line in lines))
        monkeypatch.setattr(stream, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", stream)

    return type_


def _answers(asked: Asked) -> list[quorum.Answer]:
    trust = TrustPolicy.from_bytes(asked.trust.read_bytes())
    found = collect(asked.store, asked.model_artifact.digest, trust, utcnow()).of("approval")
    return [quorum.answer(approval.parse(item.statement), item) for item in found]


def test_two_people_approve_with_their_own_keys(run: Run, asked: Asked) -> None:
    request = asked.ask()
    listed = run("requests", *asked.options, "--person", "alice", "--json")
    assert (listed.code, [item["request"] for item in listed.json["requests"]]) == (0, [request])
    row = listed.json["requests"][0]
    assert (row["quorum"], row["level"], row["approved_by"], row["missing"]) == (
        2,
        "signed",
        [],
        ["a bill of materials"],
    )

    done = _approve(run, asked, request, "--json")
    assert (done.code, done.json["decision"], done.json["person"], done.json["counts"]) == (
        0,
        "approved",
        "alice",
        True,
    )
    assert {item["what"] for item in done.json["shown"]} == {"model-scan", "provenance", "signature"}
    (said,) = _answers(asked)
    assert (said.names, said.level, said.said.reason) == (frozenset({"alice"}), Assurance.SIGNED, "looked at it")
    assert run("requests", *asked.options, "--person", "alice", "--json").json["requests"] == []
    by_key = run("requests", *asked.options, "--signer", f"file:{asked.key('bob')}", "--json")
    assert (by_key.json["person"], by_key.json["requests"][0]["approved_by"]) == ("bob", ["alice"])

    assert _approve(run, asked, request, by="bob").code == 0
    assert run("requests", *asked.options, "--json").json["requests"] == []
    late = _approve(run, asked, request, by="carol")
    assert (late.code, "[request-decided]" in late.err, len(_answers(asked))) == (1, True, 2)


def test_what_is_on_the_screen(run: Run, asked: Asked, types: Any) -> None:
    request = asked.ask()
    types("because it is better", "approve")
    done = _approve(run, asked, request, yes=False)
    assert done.code == 0, done.err
    for text in (
        f"sha256        {asked.model_artifact.digest}",
        "triggered by  dave",
        "0 of 2, signed",
        "you are       alice (alice)",
        "accuracy: 0.91, was 0.90",
        "a bill of materials",
        "model-scan",
        "looked",
        'Type "approve" to sign that',
    ):
        assert text in done.err, text
    assert done.out.startswith("APPROVED  model model.bin sha256:")
    assert _answers(asked)[0].said.reason == "because it is better"


@pytest.mark.parametrize(
    ("lines", "code"), [(("why", "yes"), 1), (("why", "reject"), 1), (("", "approve"), 2), ((), 2), (("why",), 1)]
)
def test_anything_else_than_the_word_signs_nothing(
    run: Run, asked: Asked, types: Any, lines: tuple[str, ...], code: int
) -> None:
    request = asked.ask()
    types(*lines)
    done = _approve(run, asked, request, yes=False)
    assert (done.code, _answers(asked)) == (code, [])


def test_a_rejection_ends_it(run: Run, asked: Asked, types: Any) -> None:
    request = asked.ask()
    types("reject")
    done = _approve(run, asked, request, "--reject", "--reason", "too old", yes=False)
    assert (done.code, done.out[:8]) == (0, "REJECTED")
    after = _approve(run, asked, request, by="bob")
    assert (after.code, "alice rejected it already" in after.err) == (1, True)
    assert run("requests", *asked.options, "--json").json["requests"] == []


def test_evidence_that_changes_while_one_reads_is_read_anew(run: Run, asked: Asked, monkeypatch: Any) -> None:
    request = asked.ask()

    class Slow:
        def isatty(self) -> bool:
            return True

        def readline(self, *_: Any) -> str:
            if "signature" in asked.digests:
                asked.path_of("signature").unlink()
                del asked.digests["signature"]
            return "approve\n"

    monkeypatch.setattr(sys, "stdin", Slow())
    done = _approve(run, asked, request, "--reason", "fine", yes=False)
    assert (done.code, "[request-evidence]" in done.err, "changed while you read it" in done.err) == (1, True, True)
    assert _answers(asked) == []


@pytest.mark.parametrize(
    ("terms", "code", "exit_code"),
    [
        ({"expires_at": utcnow() - timedelta(minutes=1)}, "request-expired", 1),
        ({"triggered_by": "alice"}, "approver-excluded", 1),
        ({"approvers": ("bob", "carol")}, "approver-not-asked", 1),
    ],
)
def test_what_would_not_count_is_refused(
    run: Run, asked: Asked, terms: dict[str, Any], code: str, exit_code: int
) -> None:
    done = _approve(run, asked, asked.ask(**terms), "--json")
    assert (done.code, done.json["error"]["code"], _answers(asked)) == (exit_code, code, [])
    assert done.json["error"]["advice"]


def test_keys_that_cannot_approve(run: Run, asked: Asked) -> None:
    request = asked.ask()
    for by in ("asker", "alice"):
        asked.write_people(alice="")
        done = _approve(run, asked, request, "--json", by=by)
        assert (done.code, done.json["error"]["code"]) == (2, "nobodys-key"), by
    pem, _ = generate_key()
    asked.key("eve").write_bytes(pem)
    stranger = _approve(run, asked, request, "--json", by="eve")
    assert (stranger.code, stranger.json["error"]["code"], _answers(asked)) == (2, "trust", [])


def test_unknown_answered_and_withdrawn(run: Run, asked: Asked) -> None:
    request = asked.ask()
    assert "[request-unknown]" in _approve(run, asked, "0" * 64).err
    assert _approve(run, asked, "not a digest").code == 2
    assert _approve(run, asked, request).code == 0
    assert "[answered-already]" in _approve(run, asked, request).err
    asked.put("revocation", _withdrawn(asked.digests["signature"]), "revoker")
    gone = _approve(run, asked, request, by="bob")
    assert (gone.code, "[request-evidence]" in gone.err, "it leaked" in gone.err) == (1, True, True)
    assert _approve(run, asked, request, "--reject", by="bob").code == 0


def _withdrawn(digest: str) -> Any:
    now = utcnow()
    target, cause = revocation.Target.EVIDENCE, revocation.Cause.UNTRUSTED
    return revocation.build(
        target, "it", digest, cause=cause, reason="it leaked", since=now, by="x", revoked_at=now, run={}
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--yes"], "--yes without --reason"),
        (["--reason", " "], "--reason is given, but empty"),
        (["--reason", "fine"], "no terminal"),
        (["--yes", "--reason", "fine", "--signer", ""], "--signer is missing"),
    ],
)
def test_usage(run: Run, asked: Asked, arguments: list[str], words: str) -> None:
    done = _approve(run, asked, asked.ask(), *arguments, yes=False)
    assert (done.code, words in done.err, _answers(asked)) == (2, True, [])
    both = run("requests", *asked.options, "--person", "alice", "--signer", "file:x.pem")
    assert both.code == 2


def test_hostile_text_is_harmless(run: Run, asked: Asked, types: Any) -> None:
    evil = "fine\x1b[2J\x1b[1;32mAPPROVED\n  missing  nothing\u202e\r"
    request = asked.ask(
        missing=(evil, *(f"line {number}" for number in range(60))), changes=("x" * 1000,), triggered_by=evil
    )
    types("why", "no")
    done = _approve(run, asked, request, yes=False)
    listed = run("requests", *asked.options)
    for text in (done.err, done.out, listed.out):
        assert not {"\x1b", "\r", "\u202e"} & set(text)
    assert r"fine\x1b[2J\x1b[1;32mAPPROVED\n  missing  nothing\u202e\r" in done.err
    assert "and 11 more" in done.err
    assert "x" * 301 not in done.err
    assert r"\x1b[2J" in listed.out


def test_a_request_that_was_taken_away_is_noticed(run: Run, asked: Asked) -> None:
    request = asked.ask()
    path = asked.path_of("request")
    path.chmod(0o644)
    path.write_bytes(b"changed")
    for found in asked.evidence.glob(f"bundles/*/*/{request}.sigstore.json"):
        found.chmod(0o644)
        found.write_bytes(b"changed")
    listed = run("requests", *asked.options)
    assert (listed.code, "was changed" in listed.out) == (1, True)
    assert "[request-unknown]" in _approve(run, asked, request).err


def test_an_encrypted_key_is_asked_for_its_passphrase(
    run: Run, asked: Asked, types: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem, _ = generate_key(b"a secret")
    asked.key("alice").write_bytes(pem)
    asked.signers["alice"] = FileKeySigner(pem, "a secret")
    asked.write_people()
    request = asked.ask()
    assert "[signing]" in _approve(run, asked, request).err
    types("approve")
    monkeypatch.setattr(getpass, "getpass", lambda _: "a secret")
    done = _approve(run, asked, request, "--reason", "fine", yes=False)
    assert (done.code, "a secret" in done.out + done.err) == (0, False)


def test_where_a_log_is_asked_for_it_counts_once_it_is_logged(run: Run, asked: Asked) -> None:
    request = asked.ask()
    trust = LogTrust(ORIGIN, (log_key().public_key,))
    key = log_key().public_key.pem.replace("\n", "\n      ").rstrip()
    text = f"log:\n  origin: {ORIGIN}\n  required: true\n  keys:\n    - |\n      {key}\n"
    asked.trust.write_text(asked.trust.read_text() + text)
    log = EvidenceLog(LocalBackend(asked.evidence), trust, log_key())
    bundles = [asked.store.get(digest).bundle for digest in asked.digests.values()]
    log.append([Entry.of(bundle).encode() for bundle in bundles if bundle is not None])

    done = _approve(run, asked, request)
    assert (done.code, "entered it into the evidence log" in done.out, _answers(asked)) == (0, True, [])
    # It is known all the same: nobody signs twice because the gate was slow.
    assert "[answered-already]" in _approve(run, asked, request).err
    (digest,) = (path.name.split(".")[0] for path in asked.evidence.glob("bundles/*/approval/*"))
    bundle = asked.store.get(digest).bundle
    assert bundle is not None
    log.append([Entry.of(bundle).encode()])  # as the gate does that waits
    assert [said.level for said in _answers(asked)] == [Assurance.SIGNED]
