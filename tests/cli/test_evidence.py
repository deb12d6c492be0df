"""``mlsecops evidence list``, ``show`` and ``blob``."""

from __future__ import annotations

import hashlib
import io
import sys

import pytest

from airflow_mlsecops.core.bundle import Bundle, pre_authentication_encoding
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.signing import KeySigner, PublicKey, generate_key
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from airflow_mlsecops.core.statement import Statement
from tests.cli.conftest import Run
from tests.cli.released import Released, flip_a_byte


class _BadSigner(KeySigner):
    """Signs other bytes than it is asked to, and doesn't check."""

    def __init__(self, good: FileKeySigner) -> None:
        self._good = good

    @property
    def public_key(self) -> PublicKey:
        return self._good.public_key

    def _sign(self, message: bytes) -> bytes:
        return self._good._sign(message + b"!")

    def sign(self, statement: Statement) -> Bundle:
        signature = self._sign(pre_authentication_encoding(statement.payload))
        return Bundle.build(statement, signature, self.public_key.hint)


def test_subjects(run: Run, released: Released) -> None:
    text, document = run("evidence", "list", *released.options), run("--json", "evidence", "list", *released.options)

    data, model = pin(str(released.data)).artifact.digest, released.model_artifact.digest
    assert text.code == 0
    assert model in text.out
    assert "NOT VERIFIED" not in text.out
    found = {item["sha256"]: item for item in document.json["subjects"]}
    assert found[model] == {"sha256": model, "names": ["model.bin"], "statements": 4, "counting": 4, "broken": 0}
    assert found[data] == {"sha256": data, "names": ["data"], "statements": 2, "counting": 2, "broken": 0}


@pytest.mark.parametrize("by", ["path", "digest", "prefixed digest"])
def test_statements_of_one_artifact(run: Run, released: Released, by: str) -> None:
    digest = released.model_artifact.digest
    subject = {"path": str(released.model), "digest": digest, "prefixed digest": f"sha256:{digest}"}[by]
    text = run("evidence", "list", subject, *released.options)
    document = run("evidence", "list", subject, *released.options, "--json")

    assert text.code == document.code == 0
    says = [(item["predicate"], item["says"], item["signer"], item["counts"]) for item in document.json["statements"]]
    assert says[:3] == [
        ("provenance", "made from data", "pipeline", True),
        ("signature", "signed as model model.bin", "pipeline", True),
        ("approval", "approved by alice", "people", True),
    ]
    assert says[3][0] == "verification-summary"
    assert says[3][1].startswith("released under policy sha256:")
    for item in document.json["statements"]:
        assert item["digest"] in text.out


def test_without_trust_nothing_is_verified_and_that_is_loud(run: Run, released: Released) -> None:
    for arguments in ([], [released.model]):
        text = run("evidence", "list", *arguments, "--store", released.evidence)
        document = run("evidence", "list", *arguments, "--store", released.evidence, "--json")
        assert text.code == 0
        assert text.out.startswith("NOT VERIFIED")
        assert "not verified" in text.out.partition("\n\n")[2]
        assert document.json["verified"] is False
    assert {item["counts"] for item in document.json["statements"]} == {None}
    shown = run("evidence", "show", released.digests["approval"], "--store", released.evidence)
    assert shown.code == 0
    assert shown.out.startswith("NOT VERIFIED")


def test_what_does_not_count_is_told(run: Run, released: Released) -> None:
    stranger = FileKeySigner(generate_key()[0])
    released.signers |= {"stranger": stranger, "liar": _BadSigner(released.signers["pipeline"])}  # type: ignore[dict-item]
    data = pin(str(released.data)).artifact
    forged: dict[str, str] = {}
    for name in ("stranger", "liar"):
        pipeline, released.signers["pipeline"] = released.signers["pipeline"], released.signers[name]
        forged[name] = released.control(data, f"{name}-control", Verdict.PASS, utcnow())
        released.signers["pipeline"] = pipeline
    flip_a_byte(released.path_of("data-validation"))
    text = run("evidence", "list", released.data, *released.options)
    document = run("evidence", "list", released.data, *released.options, "--json")

    found = {item["digest"]: item for item in document.json["statements"]}
    assert found[forged["stranger"]]["counts"] is False
    assert "not in the trust policy" in found[forged["stranger"]]["why_not"]
    assert "signature" in found[forged["liar"]]["why_not"]
    assert found[released.digests["data-validation"]]["says"] == "BROKEN"
    assert found[released.digests["label-poisoning"]]["counts"] is True
    assert text.out.count("doesn't count:") == 2
    assert text.out.count("is broken:") == 1
    names = run("evidence", "list", *released.options, "--json").json["subjects"]
    assert {(item["statements"], item["counting"], item["broken"]) for item in names} == {(4, 4, 0), (4, 1, 1)}


def test_no_evidence_is_an_empty_list(run: Run, world: Released) -> None:
    everything = run("evidence", "list", *world.options, "--json")
    about = run("evidence", "list", world.model, *world.options)

    assert (everything.code, everything.json["subjects"]) == (0, [])
    assert about.code == 0
    assert "no evidence about it" in about.out


def test_foreign_folders_are_listed_without_a_crash(run: Run, released: Released) -> None:
    odd = released.evidence / "bundles" / "\x1b[31mred" / "approval"
    odd.mkdir(parents=True)
    (odd / "x").write_text("x")
    ran = run("evidence", "list", *released.options)

    assert ran.code == 0
    assert "\x1b" not in ran.out
    assert r"\x1b[31mred" in ran.out


def test_show(run: Run, released: Released) -> None:
    digest = released.digests["label-poisoning"]
    text = run("evidence", "show", digest, *released.options)
    document = run("evidence", "show", f"sha256:{digest}", *released.options, "--json")

    assert text.code == document.code == 0
    assert text.out.startswith("test-result: pass: label-poisoning\n")
    assert "signer     pipeline: counts" in text.out
    assert '"result": "PASSED"' in text.out
    assert document.json["statement"]["_type"] == "https://in-toto.io/Statement/v1"
    assert document.json["statement"]["predicateType"] == document.json["predicate_type"]
    assert (document.json["counts"], document.json["signer"]) == (True, "pipeline")


def test_show_raw_gives_the_exact_bytes(released: Released, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    from airflow_mlsecops.cli.main import main

    digest = released.digests["approval"]
    assert main(["evidence", "show", digest, *released.options, "--raw"]) == 0
    assert sha256_bytes(capfdbinary.readouterr().out) == digest


def test_raw_and_json_exclude_each_other(run: Run, released: Released) -> None:
    ran = run("evidence", "show", released.digests["approval"], *released.options, "--raw", "--json")

    assert (ran.code, ran.json["error"]["code"]) == (2, "usage")


def test_show_says_no_if_it_does_not_count(run: Run, released: Released) -> None:
    released.write_trust({"gate": ("gate",)})
    digest = released.digests["approval"]
    text, raw = (
        run("evidence", "show", digest, *released.options),
        run("evidence", "show", digest, *released.options, "--raw"),
    )

    assert text.code == raw.code == 1
    assert "doesn't count" in text.out
    assert "doesn't count" in raw.err


def test_show_of_broken_or_missing_evidence(run: Run, released: Released) -> None:
    missing = run("evidence", "show", "0" * 64, *released.options, "--json")
    flip_a_byte(released.path_of("approval"))
    broken = run("evidence", "show", released.digests["approval"], *released.options, "--json")

    assert (missing.code, missing.json["error"]["code"]) == (1, "evidence-not-found")
    assert (broken.code, broken.json["error"]["code"]) == (1, "evidence-broken")


@pytest.mark.parametrize("command", ["show", "blob"])
@pytest.mark.parametrize("digest", ["abc", "../../etc/passwd", "0" * 63 + "G", ""])
def test_what_is_no_digest(run: Run, released: Released, command: str, digest: str) -> None:
    ran = run("evidence", command, digest, "--store", released.evidence)

    assert ran.code == 2
    assert "SHA-256" in ran.err


@pytest.mark.parametrize("arguments", [["list"], ["list", "0" * 64], ["show", "0" * 64], ["blob", "0" * 64]])
def test_missing_store_is_no_answer(run: Run, world: Released, arguments: list[str]) -> None:
    ran = run("evidence", *arguments, "--store", world.root / "gone", "--json")

    assert ran.code == 3
    assert ran.json["error"]["code"] == "store-unavailable"


def test_blob(run: Run, released: Released) -> None:
    text = "ä\x1b[31m\n".encode()
    digests = [released.store.put_blob(data) for data in (text, b"\xff\x00")]
    documents = [run("evidence", "blob", digest, "--store", released.evidence, "--json").json for digest in digests]

    assert documents[0] == {"digest": digests[0], "size": 8, "encoding": "utf-8", "content": text.decode()}
    assert (documents[1]["encoding"], documents[1]["content"]) == ("base64", "/wA=")


def test_blob_is_exact_in_a_pipe_and_harmless_on_a_terminal(
    released: Released, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from airflow_mlsecops.cli.main import main

    data = b"one\x1b[31m\xff\ntwo\n"
    digest = released.store.put_blob(data)
    arguments = ["evidence", "blob", digest, "--store", str(released.evidence)]
    pipe = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", pipe)
    assert main(arguments) == 0
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(terminal, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(arguments) == 0

    assert pipe.buffer.getvalue() == data
    assert terminal.buffer.getvalue() == b"one\\x1b[31m\\xff\ntwo\n\n"
    assert "redirect it" in capsys.readouterr().err


def test_blob_that_is_not_there_or_was_changed(run: Run, released: Released) -> None:
    missing = run("evidence", "blob", "0" * 64, "--store", released.evidence, "--json")
    digest = released.store.put_blob(b"a long enough blob")
    flip_a_byte(released.evidence / "blobs" / digest)
    changed = run("evidence", "blob", digest, "--store", released.evidence, "--json")

    assert (missing.code, missing.json["error"]["code"]) == (1, "evidence-not-found")
    assert (changed.code, changed.json["error"]["code"]) == (1, "evidence-broken")


def test_statement_of_a_hostile_writer_is_harmless(run: Run, released: Released) -> None:
    """Odd but parseable: escapes in every place, a predicate that is none of ours."""
    subject = released.model_artifact.digest
    payload = (
        '{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://in-toto.io/attestation/test-result/v0.1",'
        '"subject":[{"name":"\\u001b]0;pwned\\u0007\\u009b2J","digest":{"sha256":"SUBJECT"}}],'
        '"predicate":{"a\\u001b[2J\\u2028":1e308,"b":"\\r\\n","c":"\\u007f"}}'
    ).replace("SUBJECT", subject)
    bundle = Bundle.build(Statement.parse(payload.encode()), b"no signature", "\x1b[31mhint")
    digest = released.store.put(bundle)
    assert digest == hashlib.sha256(bundle.raw).hexdigest()

    for arguments in (["list"], ["list", subject], ["show", digest]):
        for options in (["--store", str(released.evidence)], released.options):
            text = run("evidence", *arguments, *options)
            assert text.code == (1 if arguments[0] == "show" and "--trust" in options else 0)
            assert not [char for char in text.out if char != "\n" and not char.isprintable()]
            document = run("evidence", *arguments, *options, "--json")
            assert document.out.isascii()
            assert not [char for char in document.out if char != "\n" and not char.isprintable()]
            assert "error" not in document.json
