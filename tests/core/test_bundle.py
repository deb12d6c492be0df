"""Bundles: the format's published vectors, what other tools make of ours, and what is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from airflow_mlsecops.core.bundle import BUNDLE_TYPE, PAYLOAD_TYPE, Bundle, pre_authentication_encoding
from airflow_mlsecops.core.canonical import MAX_JSON_BYTES, canonical_json
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import MlsecopsError, StatementError
from airflow_mlsecops.core.evidence import verify_bundle
from tests.support.evidence import NOW, bundle, key, trust


def test_the_encoding_that_is_signed_is_the_one_of_the_specification() -> None:
    # The test vector of the DSSE specification (protocol.md, "Test Vectors"): encoding, key and signature.
    encoded = pre_authentication_encoding(b"hello world", "http://example.com/HelloWorld")

    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    public = ec.EllipticCurvePublicNumbers(
        46950820868899156662930047687818585632848591499744589407958293238635476079160,
        5640078356564379163099075877009565129882514886557779369047442380624545832820,
        ec.SECP256R1(),
    ).public_key()
    raw = base64.b64decode("A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==")
    signature = utils.encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    public.verify(signature, encoded, ec.ECDSA(hashes.SHA256()))


def test_lengths_are_counted_in_bytes() -> None:
    assert pre_authentication_encoding("ü".encode(), "é") == "DSSEv1 2 é 2 ü".encode()


def test_a_bundle_is_read_back_as_it_was_built() -> None:
    built = bundle()

    read = Bundle.parse(built.raw)

    assert read == built
    assert read.digest == sha256_bytes(built.raw)
    assert read.key_hint == key("pipeline").public_key.hint
    assert json.loads(read.raw)["mediaType"] == BUNDLE_TYPE
    assert verify_bundle(read, trust(), NOW).signer == "pipeline"


def test_bytes_in_another_form_keep_their_form_and_get_another_address() -> None:
    built = bundle()
    spaced = json.dumps(json.loads(built.raw), indent=2).encode()

    read = Bundle.parse(spaced)

    assert read.raw == spaced
    assert read.digest != built.digest
    assert read.statement == built.statement


def test_an_empty_list_of_log_entries_may_be_left_out() -> None:
    value = json.loads(bundle().raw)
    del value["verificationMaterial"]["tlogEntries"]

    assert verify_bundle(Bundle.parse(canonical_json(value)), trust(), NOW).signer == "pipeline"


Change = Callable[[dict[str, Any]], Any]


def _envelope(**fields: Any) -> Change:
    return lambda value: value["dsseEnvelope"].update(fields)


def _signature(**fields: Any) -> Change:
    return lambda value: value["dsseEnvelope"]["signatures"][0].update(fields)


def _material(**fields: Any) -> Change:
    return lambda value: value["verificationMaterial"].update(fields)


CHANGES: list[Change] = [
    lambda value: value.pop("mediaType"),
    lambda value: value.pop("verificationMaterial"),
    lambda value: value.pop("dsseEnvelope"),
    lambda value: value.update(messageSignature={}),
    lambda value: value.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1"),
    lambda value: value.update(mediaType=None),
    lambda value: value.update(dsseEnvelope=[]),
    lambda value: value.update(dsseEnvelope="text"),
    lambda value: value.update(verificationMaterial=[]),
    lambda value: value["dsseEnvelope"].pop("signatures"),
    lambda value: value["dsseEnvelope"].pop("payload"),
    lambda value: value["dsseEnvelope"]["signatures"].append(value["dsseEnvelope"]["signatures"][0]),
    lambda value: value["dsseEnvelope"]["signatures"][0].pop("sig"),
    lambda value: value["verificationMaterial"].pop("publicKey"),
    _envelope(signatures=[]),
    _envelope(signatures={}),
    _envelope(signatures=None),
    _envelope(signatures=[None]),
    _envelope(signatures=["sig"]),
    _envelope(payloadType="application/json"),
    _envelope(payloadType="application/vnd.in-toto+json; charset=utf-8"),
    _envelope(payloadType=["application/vnd.in-toto+json"]),
    _envelope(payload="not base64!"),
    _envelope(payload="ü"),
    _envelope(payload=None),
    _envelope(payload=[]),
    _envelope(payload={}),
    _envelope(payload=""),
    _envelope(payload=base64.b64encode(b"not a statement").decode()),
    _envelope(payload=base64.b64encode(b"{}").decode()),
    _envelope(extra=1),
    _signature(sig="not base64!"),
    _signature(sig=None),
    _signature(sig=1),
    _signature(cert="-----BEGIN CERTIFICATE-----"),
    _material(publicKey=None),
    _material(publicKey=[]),
    _material(publicKey="hint"),
    _material(publicKey={}),
    _material(publicKey={"hint": ""}),
    _material(publicKey={"hint": None}),
    _material(publicKey={"hint": ["a"]}),
    _material(publicKey={"hint": "a", "rawBytes": "b"}),
    _material(certificate={"rawBytes": "AA=="}),
    _material(x509CertificateChain={"certificates": []}),
    _material(unknown=1),
]


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_no_bundle_of_ours_is_refused(change: Change) -> None:
    value = json.loads(bundle().raw)
    change(value)

    with pytest.raises(StatementError):
        Bundle.parse(canonical_json(value))


@pytest.mark.parametrize("value", [None, 1, "x", [], {}, True])
def test_other_json_is_refused(value: Any) -> None:
    with pytest.raises(StatementError):
        Bundle.parse(canonical_json(value))


def test_a_signature_can_be_written_in_one_way_only() -> None:
    value = json.loads(bundle().raw)
    good = value["dsseEnvelope"]["signatures"][0]["sig"]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    # Two '=' leave four spare bits in the last character, one '=' two.
    data = base64.b64decode(good)
    data = data + b"\0" * ((1 - len(data)) % 3)  # of a length that leaves two '='
    padded = base64.b64encode(data).decode()
    spare = padded[:-3] + alphabet[alphabet.index(padded[-3]) + 1] + "=="
    assert base64.b64decode(spare) == base64.b64decode(padded)

    for text in (spare, good + "\n", good[:4] + " " + good[4:], good.rstrip("=") + "====", "\ufeff" + good):
        value["dsseEnvelope"]["signatures"][0]["sig"] = text
        with pytest.raises(StatementError):
            Bundle.parse(canonical_json(value))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\0" * 100,
        b"{" * 100_000,
        b'{"mediaType":NaN}',
        b'{"mediaType":"a","mediaType":"a"}',
        b" " * (MAX_JSON_BYTES + 1),
        b'{"dsseEnvelope":' * 50_000 + b"1" + b"}" * 50_000,
    ],
    ids=["empty", "zeros", "open", "nan", "duplicate", "oversized", "deep"],
)
def test_hostile_bytes_are_refused(raw: bytes) -> None:
    with pytest.raises(StatementError):
        Bundle.parse(raw)


def test_a_duplicate_key_anywhere_is_refused() -> None:
    raw = bundle().raw.decode()
    payload = base64.b64decode(json.loads(raw)["dsseEnvelope"]["payload"]).decode()
    doubled_payload = payload.replace('"predicate":', '"predicate":{},"predicate":', 1)

    for hostile in (
        raw.replace('"payload":', '"payload":"e30=","payload":', 1),
        raw.replace('"hint":', '"hint":"a","hint":', 1),
        raw.replace(base64.b64encode(payload.encode()).decode(), base64.b64encode(doubled_payload.encode()).decode()),
    ):
        assert hostile != raw
        with pytest.raises(StatementError, match="duplicate key"):
            Bundle.parse(hostile.encode())


def test_a_truncated_bundle_is_refused_at_every_length() -> None:
    raw = bundle().raw
    for length in range(len(raw)):
        with pytest.raises(StatementError):
            Bundle.parse(raw[:length])


def test_any_changed_byte_makes_it_no_longer_the_same_evidence() -> None:
    """Each byte of a bundle, with each of its bits turned over: refused, or other bytes under another address."""
    original, policy = bundle(), trust()
    for position in range(len(original.raw)):
        for bit in range(8):
            raw = bytearray(original.raw)
            raw[position] ^= 1 << bit
            try:
                parsed = Bundle.parse(bytes(raw))
                evidence = verify_bundle(parsed, policy, NOW)
            except MlsecopsError:
                continue
            # Only what means nothing in JSON may get this far.
            assert evidence.digest != original.digest
            assert evidence.statement.payload == original.statement.payload
            assert json.loads(bytes(raw)) == json.loads(original.raw)


def test_the_payload_type_is_part_of_what_is_signed() -> None:
    signed = bundle()
    other = pre_authentication_encoding(signed.statement.payload, PAYLOAD_TYPE + "x")

    with pytest.raises(MlsecopsError):
        key("pipeline").public_key.verify(signed.signature, other)
