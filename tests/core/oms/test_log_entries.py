"""Log entries and timestamps in a bundle are about that bundle, or the bundle is refused."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.oms import CertificateTrust, OmsVerification, sign_oms, verify_oms
from airflow_mlsecops.core.oms.certificates import der
from airflow_mlsecops.core.oms.errors import OmsLogEntryError
from airflow_mlsecops.core.oms.log_entries import root_from_proof
from airflow_mlsecops.core.pinning import pin
from tests.support import oms_logs
from tests.support.oms_logs import KINDS, key_entry, leaf_hash, timestamp, tree_path, tree_root
from tests.support.oms_models import base64_text, edited, sign_statement, signed, signer, statement_of, verify
from tests.support.oms_models import write_model as _write_model
from tests.support.oms_pki import DURING, intermediate, leaf, root


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return _write_model(tmp_path / "digits")


@pytest.fixture
def bundle(model: Path) -> bytes:
    return signed(model)


def _with_entries(bundle: bytes, *entries: dict[str, Any]) -> bytes:
    return edited(bundle, lambda value: value["verificationMaterial"].update(tlogEntries=list(entries)))


def _entry(bundle: bytes, kind: str, version: str) -> dict[str, Any]:
    return key_entry(bundle, kind, version, signer().public_key.pem)


@pytest.mark.parametrize("kind, version", KINDS)
def test_an_entry_about_this_bundle(bundle: bytes, model: Path, kind: str, version: str) -> None:
    assert verify(_with_entries(bundle, _entry(bundle, kind, version)), model).log_entries == 1


@pytest.mark.parametrize("kind, version", KINDS)
def test_the_entries_of_these_tests_have_the_shape_that_the_sigstore_project_reads(
    bundle: bytes, kind: str, version: str
) -> None:
    import rekor_types
    from sigstore_models.rekor.v1 import TransparencyLogEntry
    from sigstore_models.rekor.v2.entry import Entry

    entry = _entry(bundle, kind, version)

    read = TransparencyLogEntry.from_json(json.dumps(entry))
    if version == "0.0.2":
        assert Entry.from_json(read.canonicalized_body).kind == kind
    else:
        of_kind = rekor_types.Dsse if kind == "dsse" else rekor_types.Hashedrekord
        assert of_kind.model_validate_json(read.canonicalized_body).kind == kind


def test_the_inclusion_proofs_of_these_tests_hold_for_sigstore(bundle: bytes) -> None:
    from sigstore._internal.merkle import verify_merkle_inclusion
    from sigstore.models import TransparencyLogEntry
    from sigstore_models.rekor.v1 import TransparencyLogEntry as Inner

    entry = _entry(bundle, "hashedrekord", "0.0.2")

    verify_merkle_inclusion(TransparencyLogEntry(Inner.from_json(json.dumps(entry))))


@pytest.mark.parametrize("kind, version", KINDS)
def test_the_entry_of_another_bundle_is_refused(bundle: bytes, model: Path, kind: str, version: str) -> None:
    value = statement_of(bundle)
    value["subject"][0]["name"] = "letters"
    other = sign_statement(value)

    with pytest.raises(OmsLogEntryError, match="another"):
        verify(_with_entries(bundle, _entry(other, kind, version)), model)
    with pytest.raises(OmsLogEntryError):
        verify(_with_entries(bundle, _entry(bundle, kind, version), _entry(other, kind, version)), model)


@pytest.mark.parametrize("kind, version", KINDS)
def test_the_entry_of_another_signature_over_the_same_statement_is_refused(
    bundle: bytes, model: Path, kind: str, version: str
) -> None:
    again = sign_statement(statement_of(bundle))
    assert statement_of(again) == statement_of(bundle)

    with pytest.raises(OmsLogEntryError, match="another"):
        verify(_with_entries(bundle, _entry(again, kind, version)), model)


@pytest.mark.parametrize("kind, version", KINDS)
def test_an_entry_by_another_key_is_refused(bundle: bytes, model: Path, kind: str, version: str) -> None:
    with pytest.raises(OmsLogEntryError, match="key or certificate"):
        verify(_with_entries(bundle, key_entry(bundle, kind, version, signer("secp384r1").public_key.pem)), model)


def _body(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], dict[str, Any]]:
    """An entry whose body was changed before it was logged, so that its proof holds."""

    def make(bundle: bytes) -> dict[str, Any]:
        pem = signer().public_key.pem.encode()
        value = oms_logs.body("hashedrekord", "0.0.1", bundle, pem, b"")
        change(value)
        return oms_logs.entry(value)

    return make


def _part(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], dict[str, Any]]:
    """An entry that was changed after it was logged."""

    def make(bundle: bytes) -> dict[str, Any]:
        value = _entry(bundle, "hashedrekord", "0.0.1")
        change(value)
        return value

    return make


def _proof(**fields: Any) -> Callable[[bytes], dict[str, Any]]:
    return _part(lambda value: value["inclusionProof"].update(fields))


ZERO = base64_text(bytes(32))
WRONG: dict[str, Callable[[bytes], Any]] = {
    "empty": lambda bundle: {},
    "unknown-key": _part(lambda value: value.update(extra=1)),
    "no-body": _part(lambda value: value.pop("canonicalizedBody")),
    "body-is-no-json": _part(lambda value: value.update(canonicalizedBody=base64_text(b"{"))),
    "body-is-no-object": _part(lambda value: value.update(canonicalizedBody=base64_text(b"[]"))),
    "body-of-another-kind": _part(lambda value: value["kindVersion"].update(kind="dsse")),
    "body-of-another-version": _part(lambda value: value["kindVersion"].update(version="0.0.2")),
    "unknown-kind": _body(lambda value: value.update(kind="intoto")),
    "unknown-version": _body(lambda value: value.update(apiVersion="0.0.9")),
    "unknown-key-in-body": _body(lambda value: value.update(extra=1)),
    "unknown-key-in-spec": _body(lambda value: value["spec"].update(extra=1)),
    "weak-hash": _body(lambda value: value["spec"]["data"]["hash"].update(algorithm="sha1")),
    "hash-is-no-text": _body(lambda value: value["spec"]["data"]["hash"].update(algorithm=1)),
    "key-is-no-pem": _body(lambda value: value["spec"]["signature"]["publicKey"].update(content="AAAA")),
    "proof-with-another-root": _proof(rootHash=ZERO),
    "proof-at-another-index": _proof(logIndex="3"),
    "proof-beyond-the-tree": _proof(logIndex="7"),
    "proof-in-a-larger-tree": _proof(treeSize="8000"),
    "proof-too-short": _part(lambda value: value["inclusionProof"]["hashes"].pop()),
    "proof-too-long": _part(lambda value: value["inclusionProof"]["hashes"].append(ZERO)),
    "proof-with-a-negative-index": _proof(logIndex=-1),
    "proof-with-an-index-that-is-no-number": _proof(logIndex="four"),
    "proof-without-a-root": _part(lambda value: value["inclusionProof"].pop("rootHash")),
    "checkpoint-of-another-tree": _proof(checkpoint={"envelope": f"log.example\n7\n{ZERO}\n\n"}),
    "checkpoint-of-another-size": _proof(checkpoint={"envelope": f"log.example\n8\n{ZERO}\n\n"}),
    "checkpoint-is-nothing": _proof(checkpoint={"envelope": "log.example"}),
    "checkpoint-without-a-size": _proof(checkpoint={"envelope": f"log.example\nx\n{ZERO}\n"}),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_broken_entry_is_refused(bundle: bytes, model: Path, case: str) -> None:
    with pytest.raises(OmsLogEntryError):
        verify(_with_entries(bundle, WRONG[case](bundle)), model)


@pytest.mark.parametrize("kind, version", KINDS)
def test_every_other_value_in_a_body_is_refused(bundle: bytes, model: Path, kind: str, version: str) -> None:
    """Each text in it, replaced; only Rekor's own hash of the envelope and the name of the key's kind are free."""
    free = {"envelopeHash", "keyDetails"}

    def variants(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [{**value, key: item} for key in value if key not in free for item in variants(value[key])]
        if isinstance(value, list):
            return [[item, *value[1:]] for item in variants(value[0])] + [[], value * 2]
        return [value[::-1], "", None]

    body = oms_logs.body(kind, version, bundle, signer().public_key.pem.encode(), _der())
    changed = variants(body)
    assert len(changed) > 10
    for variant in changed:
        if variant.get("kind") is None or variant.get("apiVersion") is None:
            continue
        with pytest.raises(OmsLogEntryError):
            verify(_with_entries(bundle, oms_logs.entry(variant)), model)
    assert verify(_with_entries(bundle, oms_logs.entry(copy.deepcopy(body))), model)


def _der() -> bytes:
    return base64.b64decode(b"".join(signer().public_key.pem.encode().splitlines()[1:-1]))


def test_an_entry_without_a_proof_is_about_the_bundle_all_the_same(bundle: bytes, model: Path) -> None:
    entry = _entry(bundle, "dsse", "0.0.1")
    del entry["inclusionProof"]

    assert verify(_with_entries(bundle, entry), model).log_entries == 1


@pytest.mark.parametrize("kind, version", KINDS)
def test_an_entry_with_the_signing_certificate(model: Path, kind: str, version: str) -> None:
    chain = [leaf().certificate, intermediate().certificate]
    bundle = sign_oms(pin(str(model)), leaf().signer, certificates=chain)

    def check(identity: Any) -> OmsVerification:
        body = oms_logs.body(kind, version, bundle, identity.pem, der(identity.certificate))
        trust = CertificateTrust((root().certificate,))
        return verify_oms(_with_entries(bundle, oms_logs.entry(body)), model, trust=trust, at=DURING)

    assert check(leaf()).log_entries == 1
    with pytest.raises(OmsLogEntryError, match="key or certificate"):
        check(intermediate())


# --- timestamps -------------------------------------------------------------------------------------------------------


def _with_stamp(bundle: bytes, response: bytes) -> bytes:
    stamps = {"rfc3161Timestamps": [{"signedTimestamp": base64_text(response)}]}
    return edited(bundle, lambda value: value["verificationMaterial"].update(timestampVerificationData=stamps))


def _signature(bundle: bytes) -> bytes:
    return base64.b64decode(json.loads(bundle)["dsseEnvelope"]["signatures"][0]["sig"])


def test_a_timestamp_over_this_signature(bundle: bytes, model: Path) -> None:
    assert verify(_with_stamp(bundle, timestamp(_signature(bundle))), model).log_entries == 1


@pytest.mark.parametrize("case", ["other", "statement", "damaged", "nothing"])
def test_a_timestamp_over_anything_else_is_refused(bundle: bytes, model: Path, case: str) -> None:
    stamps = {
        "other": timestamp(b"another signature"),
        "statement": timestamp(json.dumps(statement_of(bundle)).encode()),
        "damaged": timestamp(_signature(bundle))[:-10],
        "nothing": b"\x30\x00",
    }

    with pytest.raises(OmsLogEntryError, match="timestamp"):
        verify(_with_stamp(bundle, stamps[case]), model)


# --- proofs -----------------------------------------------------------------------------------------------------------


@given(st.integers(1, 70).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
def test_proofs_of_trees_of_every_shape(shape: tuple[int, int]) -> None:
    size, index = shape
    bodies = [b"%d" % number for number in range(size)]
    leaves = [leaf_hash(body) for body in bodies]
    path = tree_path(leaves, index)

    assert root_from_proof(bodies[index], index, size, path) == tree_root(leaves)
    assert root_from_proof(b"x", index, size, path) != tree_root(leaves)
    assert root_from_proof(bodies[index], index, size, [*path, bytes(32)]) is None
    if path:
        assert root_from_proof(bodies[index], index, size, path[:-1]) is None


def test_the_hash_of_an_empty_body_is_the_rfcs() -> None:
    assert root_from_proof(b"", 0, 1, []) == hashlib.sha256(b"\0").digest()
