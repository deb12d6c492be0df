"""Signed notes, checkpoints and entries: one spelling each, and only by a known key."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.errors import SigningError, StatementError
from airflow_mlsecops.core.log import Checkpoint, Entry, LogTrust
from airflow_mlsecops.core.log.entry import MAX_SUBJECTS
from airflow_mlsecops.core.log.errors import LogEntryError, LogSignatureError
from airflow_mlsecops.core.log.merkle import EMPTY_ROOT
from airflow_mlsecops.core.log.note import MAX_NOTE_BYTES, NoteKey, open_note, sign_note
from airflow_mlsecops.core.log.tiles import MAX_ENTRY_BYTES
from airflow_mlsecops.core.signing import PublicKey
from airflow_mlsecops.core.statement import Statement
from tests.support.evidence import NOW, approval_statement, artifact, bundle
from tests.support.logs import ORIGIN, log_entry, log_key, log_trust, sha

ROOT = hashlib.sha256(b"root").digest()
SIGNED = Checkpoint.sign(12, ROOT, ORIGIN, log_key()).raw
TEXT = f"{ORIGIN}\n12\n{base64.b64encode(ROOT).decode()}\n"


def by(name: str, text: str = TEXT, signer: str = "log", kind: str = "ed25519") -> bytes:
    """One signature line."""
    return sign_note(text, name, log_key(signer, kind)).partition(b"\n\n")[2]


# --- notes ------------------------------------------------------------------------------------------------------------


def test_a_note_of_the_specification_verifies() -> None:
    """The example of https://pkg.go.dev/golang.org/x/mod/sumdb/note."""
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    name, key_id, encoded = vkey.split("+", 2)
    raw = base64.b64decode(encoded)
    key = NoteKey(name, PublicKey.of(ed25519.Ed25519PublicKey.from_public_bytes(raw[1:])))
    text = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
    line = "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="

    assert (key.vkey, key.key_id.hex()) == (vkey, key_id)
    assert open_note(f"{text}\n{line}\n".encode(), [key]) == text


@pytest.mark.parametrize("kind", ["ed25519", "ec"])
def test_both_kinds_of_keys_sign(kind: str) -> None:
    signer = log_key("either", kind)
    checkpoint = Checkpoint.sign(12, ROOT, ORIGIN, signer)

    assert Checkpoint.parse(checkpoint.raw, LogTrust(ORIGIN, (signer.public_key,))) == checkpoint
    assert checkpoint.raw.startswith(TEXT.encode())
    assert NoteKey(ORIGIN, signer.public_key).vkey.startswith(f"{ORIGIN}+")


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 3072)],
    ids=["p384", "rsa"],
)
def test_other_keys_are_refused(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    with pytest.raises(LogSignatureError, match="Ed25519 or ECDSA"):
        assert NoteKey(ORIGIN, PublicKey.of(key.public_key())).key_id


@pytest.mark.parametrize("name", ["", "two words", "a+b", "line\nbreak", "no\u00a0blank"])
def test_names_that_a_note_cannot_carry_are_refused(name: str) -> None:
    with pytest.raises(LogSignatureError, match="can't name a log"):
        sign_note("text\n", name, log_key())


def test_a_signer_whose_signature_does_not_verify_signs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = log_key("wrong")
    monkeypatch.setattr(signer, "_sign", lambda _: b"x" * 64)
    with pytest.raises(SigningError, match="no usable signature"):
        sign_note("text\n", ORIGIN, signer)


def test_signatures_by_witnesses_are_passed_over() -> None:
    witnessed = SIGNED + by("witness.example/w", signer="witness")

    assert Checkpoint.parse(witnessed, log_trust()).size == 12
    assert Checkpoint.parse(TEXT.encode() + b"\n" + by("w", signer="witness") + by(ORIGIN), log_trust()).size == 12


HEAD_OF_NOTE = TEXT.encode() + b"\n"
NO_NOTES: dict[str, bytes] = {
    "empty": b"",
    "text only": TEXT.encode(),
    "no signature": HEAD_OF_NOTE,
    "no last newline": SIGNED[:-1],
    "bytes after": SIGNED + b"x",
    "an empty line after": SIGNED + b"\n",
    "carriage returns": SIGNED.replace(b"\n", b"\r\n"),
    "control character": SIGNED.replace(b"12", b"1\x002"),
    "not UTF-8": SIGNED.replace(b"12", b"\xff"),
    "hyphen for dash": SIGNED.replace("—".encode(), b"-"),
    "too large": HEAD_OF_NOTE + by(ORIGIN) * 1000,
    "only a witness": HEAD_OF_NOTE + by("w", signer="witness"),
    "our name, another key": HEAD_OF_NOTE + by(ORIGIN, signer="witness"),
    "our key, another name": HEAD_OF_NOTE + by("other.example/log"),
    "one good, one bad by us": SIGNED + by(ORIGIN, "another text\n"),
    "another text": SIGNED.replace(b"\n12\n", b"\n13\n"),
    "a line more": SIGNED.replace(b"\n12\n", b"\n12\nmore\n"),
    "key id only": HEAD_OF_NOTE + f"— {ORIGIN} AAAAAA==\n".encode(),
    "not Base64": HEAD_OF_NOTE + f"— {ORIGIN} !!!!\n".encode(),
}


@pytest.mark.parametrize("case", NO_NOTES)
def test_what_is_no_checkpoint_of_this_log_is_refused(case: str) -> None:
    with pytest.raises(LogSignatureError):
        Checkpoint.parse(NO_NOTES[case], log_trust())
    assert len(NO_NOTES["too large"]) > MAX_NOTE_BYTES


ROOT_TEXT = base64.b64encode(ROOT).decode()
BAD_TEXTS: dict[str, str] = {
    "another origin": f"other.example/log\n12\n{ROOT_TEXT}\n",
    "no root": f"{ORIGIN}\n12\n",
    "leading zero": f"{ORIGIN}\n012\n{ROOT_TEXT}\n",
    "plus": f"{ORIGIN}\n+12\n{ROOT_TEXT}\n",
    "negative": f"{ORIGIN}\n-1\n{ROOT_TEXT}\n",
    "other digits": f"{ORIGIN}\n\u0661\u0662\n{ROOT_TEXT}\n",
    "too many entries": f"{ORIGIN}\n{2**62}\n{ROOT_TEXT}\n",
    "short root": f"{ORIGIN}\n12\n{base64.b64encode(ROOT[:31]).decode()}\n",
    "loose Base64": f"{ORIGIN}\n12\n{ROOT_TEXT[:-2]}{chr(ord(ROOT_TEXT[-2]) + 1)}=\n",
    "empty log, some root": f"{ORIGIN}\n0\n{ROOT_TEXT}\n",
    "an empty line": f"{ORIGIN}\n12\n{ROOT_TEXT}\n\nmore\n",
}


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_a_signed_text_that_no_checkpoint_is_is_refused(case: str) -> None:
    signed = sign_note(BAD_TEXTS[case], ORIGIN, log_key())
    with pytest.raises(LogSignatureError):
        Checkpoint.parse(signed, log_trust())


def test_lines_after_the_root_are_the_logs_own() -> None:
    assert Checkpoint.parse(sign_note(TEXT + "extension\n", ORIGIN, log_key()), log_trust()).size == 12
    empty = Checkpoint.sign(0, EMPTY_ROOT, ORIGIN, log_key())
    assert Checkpoint.parse(empty.raw, log_trust()) == empty


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_a_checkpoint_with_any_byte_flipped_is_refused(at: int, mask: int) -> None:
    changed = bytearray(SIGNED)
    changed[at] ^= mask
    with pytest.raises(LogSignatureError):
        Checkpoint.parse(bytes(changed), log_trust())


# --- entries ----------------------------------------------------------------------------------------------------------


def of_many(count: int) -> Bundle:
    subjects = [artifact(f"subject {number}") for number in range(count)]
    return bundle(Statement.build(subjects, approval_statement(subjects[0], "a", "approved", NOW).predicate_type, {}))


@pytest.mark.parametrize("count", [1, 2, MAX_SUBJECTS])
def test_an_entry_binds_bundle_kind_and_subjects(count: int) -> None:
    signed = of_many(count)
    entry = Entry.of(signed)

    assert (entry.bundle, entry.predicate, len(entry.subjects)) == (signed.digest, "approval", count)
    assert Entry.parse(entry.encode()) == entry
    assert len(entry.encode()) <= MAX_ENTRY_BYTES
    assert entry.keys == tuple(
        f"bundles/{subject}/approval/{signed.digest}.sigstore.json" for subject in sorted(entry.subjects)
    )


def test_too_many_subjects_are_refused() -> None:
    with pytest.raises(LogEntryError, match="513 subjects"):
        Entry.of(of_many(MAX_SUBJECTS + 1))


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(StatementError, match="unknown predicate"):
        Entry.of(bundle(Statement.build([artifact()], "https://example.com/p/v1", {})))


GOOD = log_entry("x", "b", "a").encode()
CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "blank after": lambda data: data + b" ",
    "newline after": lambda data: data + b"\n",
    "upper case": lambda data: data.replace(sha("a").encode(), sha("a").upper().encode()),
    "another kind": lambda data: data.replace(b"evidence/v1", b"evidence/v2"),
    "path for a predicate": lambda data: data.replace(b"test-result", b"../../../etc"),
    "no subjects": lambda data: data[: data.index(b"[") + 1] + b"]}",
    "unsorted": lambda data: (
        log_entry("x").encode().replace(f'"{sha("subject x")}"'.encode(), f'"{"f" * 64}","{"0" * 64}"'.encode())
    ),
    "twice": lambda data: data.replace(data[data.index(b"[") :], f'["{"0" * 64}","{"0" * 64}"]}}'.encode()),
    "one key more": lambda data: data[:-1] + b',"x":1}',
    "other order": lambda data: b'{"kind":"evidence/v1",' + data[1:].replace(b'"kind":"evidence/v1",', b""),
}


@pytest.mark.parametrize("case", CHANGES)
def test_an_entry_has_one_spelling(case: str) -> None:
    changed = CHANGES[case](GOOD)
    assert changed != GOOD
    with pytest.raises(LogEntryError):
        Entry.parse(changed)


@given(st.binary(max_size=400))
def test_bytes_are_an_entry_only_if_they_are_spelt_like_one(data: bytes) -> None:
    try:
        entry = Entry.parse(data)
    except LogEntryError:
        return
    assert entry.encode() == data


def test_the_keys_kinds_are_what_the_specification_says() -> None:
    ed, p256 = NoteKey(ORIGIN, log_key().public_key), NoteKey(ORIGIN, log_key("p", "ec").public_key)
    der = serialization.load_pem_public_key(p256.public_key.pem.encode()).public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert base64.b64decode(ed.vkey.split("+", 2)[2])[:1] == b"\x01"
    assert base64.b64decode(p256.vkey.split("+", 2)[2]) == b"\x02" + der
    assert p256.key_id == hashlib.sha256(der).digest()[:4]
