"""A bundle that is anything but one good signature by the trusted key is refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.bundle import pre_authentication_encoding
from airflow_mlsecops.core.errors import MlsecopsError, SigningError, StatementError, TrustError
from airflow_mlsecops.core.oms import CertificateTrust, OmsBundle, sign_oms, verify_oms
from airflow_mlsecops.core.oms.bundle import MAX_BUNDLE_BYTES, build_bundle
from airflow_mlsecops.core.oms.errors import OmsFormatError, OmsSignatureError, OmsSignerError
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from airflow_mlsecops.core.signing.keys import PublicKey
from tests.support.oms_models import (
    base64_text,
    edited,
    sign_payload,
    signed,
    signer,
    statement_of,
    stranger,
    verify,
    write_model,
)
from tests.support.oms_pki import DURING, leaf, root


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "digits")


@pytest.fixture
def bundle(model: Path) -> bytes:
    return signed(model)


Edit = Callable[[dict[str, Any]], object]


def _envelope(**fields: Any) -> Edit:
    return lambda value: value["dsseEnvelope"].update(fields)


def _signature(**fields: Any) -> Edit:
    return lambda value: value["dsseEnvelope"]["signatures"][0].update(fields)


def _material(**fields: Any) -> Edit:
    return lambda value: value["verificationMaterial"].update(fields)


def _top(**fields: Any) -> Edit:
    return lambda value: value.update(fields)


def _spare_bits(value: dict[str, Any]) -> None:
    """Write the signature's base64 in its second way: other bits where none count."""
    signature = value["dsseEnvelope"]["signatures"][0]
    data = base64.b64decode(signature["sig"])
    data += b"\0" * ((1 - len(data)) % 3)  # one byte over a group of three leaves four spare bits
    text = base64.b64encode(data).decode()
    assert text.endswith("==")
    signature["sig"] = text[:-3] + chr(ord(text[-3]) + 1) + "=="


CERTIFICATE = {"rawBytes": base64_text(b"0")}
MALFORMED: dict[str, Edit] = {
    "media-type-of-v0.2": _top(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2"),
    "no-media-type": lambda value: value.pop("mediaType"),
    "unknown-key": _top(extra=1),
    "message-signature": _top(messageSignature={}),
    "no-envelope": lambda value: value.pop("dsseEnvelope"),
    "envelope-is-text": _top(dsseEnvelope="x"),
    "payload-type-json": _envelope(payloadType="application/json"),
    "payload-type-simple-signing": _envelope(payloadType="application/vnd.dev.cosign.simplesigning.v1+json"),
    "unknown-key-in-envelope": _envelope(extra=1),
    "payload-is-no-base64": _envelope(payload="%%%"),
    "payload-is-empty": _envelope(payload=""),
    "payload-is-url-base64": _envelope(payload="_-8="),
    "no-signature": _envelope(signatures=[]),
    "two-signatures": lambda value: value["dsseEnvelope"]["signatures"].append(value["dsseEnvelope"]["signatures"][0]),
    "signatures-are-an-object": _envelope(signatures={}),
    "signature-is-text": _envelope(signatures=["x"]),
    "signature-is-empty": _signature(sig=""),
    "signature-is-a-number": _signature(sig=1),
    "signature-in-two-spellings": _spare_bits,
    "unknown-key-in-signature": _signature(extra=1),
    "keyid-is-a-number": _signature(keyid=1),
    "no-material": _top(verificationMaterial={}),
    "two-materials": _material(certificate=CERTIFICATE),
    "key-without-a-hint": _material(publicKey={}),
    "key-with-an-empty-hint": _material(publicKey={"hint": ""}),
    "hint-is-a-number": _material(publicKey={"hint": 1}),
    "unknown-key-in-material": _material(extra=1),
    "unknown-key-in-key": _material(publicKey={"hint": "x", "extra": 1}),
    "log-entries-are-an-object": _material(tlogEntries={}),
    "log-entry-is-text": _material(tlogEntries=["x"]),
    "too-many-log-entries": _material(tlogEntries=[{}] * 11),
    "timestamps-are-a-list": _material(timestampVerificationData=[]),
    "unknown-kind-of-timestamp": _material(timestampVerificationData={"roughtime": []}),
    "timestamp-is-text": _material(timestampVerificationData={"rfc3161Timestamps": ["x"]}),
}


def test_the_unedited_bundle_is_good(bundle: bytes, model: Path) -> None:
    assert verify(edited(bundle, lambda value: None), model)


@pytest.mark.parametrize("case", MALFORMED)
def test_a_malformed_bundle_is_refused(bundle: bytes, model: Path, case: str) -> None:
    with pytest.raises(OmsFormatError):
        verify(edited(bundle, MALFORMED[case]), model)


def _chain(*certificates: dict[str, str]) -> Edit:
    return _top(verificationMaterial={"x509CertificateChain": {"certificates": list(certificates)}})


@pytest.mark.parametrize(
    "edit",
    [_chain(), _chain(*[CERTIFICATE] * 11), _chain({"rawBytes": ""}), _chain({})],
    ids=["empty", "too-many", "empty-certificate", "no-bytes"],
)
def test_a_malformed_chain_is_refused(bundle: bytes, model: Path, edit: Edit) -> None:
    with pytest.raises(OmsFormatError):
        verify(edited(bundle, edit), model)


@pytest.mark.parametrize("cut", [0, 1, 50, 500, -1])
def test_a_truncated_bundle_is_refused(bundle: bytes, model: Path, cut: int) -> None:
    with pytest.raises(OmsFormatError):
        verify(bundle[:cut], model)


def test_an_oversized_bundle_is_refused(bundle: bytes, model: Path) -> None:
    with pytest.raises(OmsFormatError, match="more than"):
        verify(bundle + b" " * MAX_BUNDLE_BYTES, model)


@pytest.mark.parametrize("data", [b"null", b"[]", b"\xff", b"{}{}", b"[" * 100_000, b'{"a": NaN}', b"\xef\xbb\xbf{}"])
def test_what_is_no_bundle_is_refused(model: Path, data: bytes) -> None:
    with pytest.raises(OmsFormatError):
        verify(data, model)


def test_a_key_twice_is_refused(bundle: bytes, model: Path) -> None:
    twice = bundle.replace(b'"dsseEnvelope":', b'"mediaType":"x","dsseEnvelope":', 1)

    with pytest.raises(OmsFormatError, match="duplicate"):
        verify(twice, model)


@pytest.mark.parametrize("fields", [{"keyid": None}, {"keyid": "some-key"}, {}])
def test_a_keyid_does_not_matter(bundle: bytes, model: Path, fields: dict[str, Any]) -> None:
    def edit(value: dict[str, Any]) -> None:
        signature = value["dsseEnvelope"]["signatures"][0]
        signature.pop("keyid")
        signature.update(fields)

    assert verify(edited(bundle, edit), model)


def test_empty_lists_may_be_left_out(bundle: bytes, model: Path) -> None:
    assert verify(edited(bundle, lambda value: value["verificationMaterial"].pop("tlogEntries")), model)


# --- who signed -------------------------------------------------------------------------------------------------------


def test_an_unknown_key_is_refused(bundle: bytes, model: Path) -> None:
    with pytest.raises(OmsSignerError):
        verify(bundle, model, trust=stranger().public_key)


def test_a_stranger_who_gives_the_trusted_hint_is_refused(bundle: bytes, model: Path) -> None:
    payload = OmsBundle.parse(bundle).payload
    forged = build_bundle(
        payload, stranger()._sign(pre_authentication_encoding(payload)), key_hint=signer().public_key.hint
    )

    with pytest.raises(OmsSignatureError):
        verify(forged, model)


def test_a_changed_statement_is_refused(bundle: bytes, model: Path) -> None:
    value = statement_of(bundle)
    value["subject"][0]["name"] = "letters"

    with pytest.raises(OmsSignatureError):
        verify(edited(bundle, _envelope(payload=base64_text(json.dumps(value).encode()))), model)


def test_the_same_json_in_another_spelling_is_refused(bundle: bytes, model: Path) -> None:
    payload = base64_text(json.dumps(statement_of(bundle), indent=1).encode())

    with pytest.raises(OmsSignatureError):
        verify(edited(bundle, _envelope(payload=payload)), model)


def test_a_signature_over_the_bare_payload_is_refused(bundle: bytes, model: Path) -> None:
    payload = OmsBundle.parse(bundle).payload
    bare = build_bundle(payload, signer()._sign(payload), key_hint=signer().public_key.hint)

    with pytest.raises(OmsSignatureError):
        verify(bare, model)


def test_the_way_of_signing_before_v1_0_is_refused(bundle: bytes, model: Path) -> None:
    """``model_signing`` still takes the encoding of its release 0.2, which was a slip."""
    payload = OmsBundle.parse(bundle).payload
    kind = "application/vnd.in-toto+json"
    message = f"DSSEV1 {len(kind)} {kind} {len(payload)} {payload!r}".encode()
    old = build_bundle(payload, signer()._sign(message), key_hint=signer().public_key.hint)

    with pytest.raises(OmsSignatureError):
        verify(old, model)


def test_a_signed_payload_that_is_no_statement_is_refused(model: Path) -> None:
    for payload in (b"hello", b"{}", b"[]"):
        with pytest.raises(OmsFormatError):
            verify(sign_payload(payload), model)


@pytest.mark.parametrize("by_pem", [True, False])
def test_the_key_itself_in_the_bundle_as_before_v1_1(bundle: bytes, model: Path, by_pem: bool) -> None:
    def raw(key: PublicKey) -> str:
        pem = key.pem.encode()
        return base64_text(pem if by_pem else base64.b64decode(b"".join(pem.splitlines()[1:-1])))

    good = {"rawBytes": raw(signer().public_key), "keyDetails": "PKIX_ECDSA_P256_SHA_256"}
    assert verify(edited(bundle, _material(publicKey=good)), model)
    for wrong in ({"rawBytes": raw(stranger().public_key)}, {"hint": "0" * 64, **good}):
        with pytest.raises(OmsSignerError):
            verify(edited(bundle, _material(publicKey=wrong)), model)


def test_a_way_of_signing_that_is_not_trusted_is_refused(bundle: bytes, model: Path) -> None:
    with pytest.raises(OmsSignerError, match="signed by key"):
        verify(bundle, model, trust=CertificateTrust((root().certificate,)))
    with pytest.raises(OmsSignerError, match="signed by key"):
        verify(bundle, model, trust=lambda raw: "anybody")
    by_certificate = sign_oms(pin(str(model)), leaf().signer, certificates=[leaf().certificate])
    with pytest.raises(OmsSignerError, match="signed by certificate"):
        verify(by_certificate, model, trust=leaf().signer.public_key)


def test_a_time_without_a_zone_is_refused(bundle: bytes, model: Path) -> None:
    with pytest.raises(StatementError, match="zone"):
        verify(bundle, model, at=datetime(2026, 1, 1))


# --- keyless ----------------------------------------------------------------------------------------------------------


def _keyless(model: Path) -> bytes:
    """The shape of a keyless bundle; its certificate is from the test's authority."""
    bundle = sign_oms(pin(str(model)), leaf().signer, certificates=[leaf().certificate])

    def edit(value: dict[str, Any]) -> None:
        chain = value["verificationMaterial"].pop("x509CertificateChain")
        value["verificationMaterial"]["certificate"] = chain["certificates"][0]

    return edited(bundle, edit)


def test_a_keyless_bundle_is_handed_to_its_verifier(model: Path) -> None:
    bundle, seen = _keyless(model), list[bytes]()

    def vouch(raw: bytes) -> str:
        seen.append(raw)
        return "release@example.com"

    found = verify(bundle, model, trust=vouch)

    assert (found.method.value, found.signer, seen) == ("keyless", "release@example.com", [bundle])


def test_a_keyless_verifier_that_refuses_or_names_nobody(model: Path) -> None:
    def refuse(raw: bytes) -> str:
        raise TrustError("wrong identity")

    with pytest.raises(TrustError, match="wrong identity"):
        verify(_keyless(model), model, trust=refuse)
    for nobody in ("", None):
        with pytest.raises(OmsSignerError):
            verify(_keyless(model), model, trust=lambda raw, nobody=nobody: nobody)


def test_a_keyless_signature_is_checked_here_too(model: Path) -> None:
    payload = OmsBundle.parse(_keyless(model)).payload
    forged = stranger()._sign(pre_authentication_encoding(payload))

    with pytest.raises(OmsSignatureError):
        verify(edited(_keyless(model), _signature(sig=base64_text(forged))), model, trust=lambda raw: "me")


def test_a_keyless_bundle_is_not_taken_with_a_key_or_roots(model: Path) -> None:
    for trust in (leaf().signer.public_key, CertificateTrust((root().certificate,))):
        with pytest.raises(OmsSignerError, match="signed by keyless"):
            verify(_keyless(model), model, trust=trust)


# --- writing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_keys_that_other_tools_do_not_read_are_refused_when_signing(model: Path, kind: str) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

    private = ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else rsa.generate_private_key(65537, 3072)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    with pytest.raises(SigningError, match="ECDSA"):
        sign_oms(pin(str(model)), FileKeySigner(pem))


def test_what_is_left_out_is_logged(model: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_model(model, {".gitattributes": b"", "model.sig": b""})

    with caplog.at_level("INFO"):
        bundle = signed(model)

    assert "2 files are not part of the model signature, such as .gitattributes" in caplog.text
    assert ".gitattributes" in statement_of(bundle)["predicate"]["serialization"]["ignore_paths"]


@given(st.data())
def test_any_flipped_bit_is_refused(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    model = write_model(tmp_path_factory.getbasetemp() / "flipped")
    manifest = pin(str(model)).manifest
    bundle = bytearray(_GOOD.setdefault("bundle", signed(model)))
    position = data.draw(st.integers(0, len(bundle) - 1))
    bundle[position] ^= 1 << data.draw(st.integers(0, 7))

    with pytest.raises(MlsecopsError):
        verify_oms(bytes(bundle), manifest, trust=signer().public_key, at=DURING)


_GOOD: dict[str, bytes] = {}
