"""Signing with certificates: whose chain, for what, and when."""

from __future__ import annotations

from datetime import timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from airflow_mlsecops.core.bundle import pre_authentication_encoding
from airflow_mlsecops.core.oms import CertificateTrust, OmsBundle, OmsVerification, sign_oms, verify_oms
from airflow_mlsecops.core.oms.bundle import build_bundle
from airflow_mlsecops.core.oms.certificates import certificates_from_pem, der
from airflow_mlsecops.core.oms.errors import OmsCertificateError, OmsCertificateTimeError, OmsSignatureError
from airflow_mlsecops.core.pinning import pin
from tests.support.oms_models import base64_text, edited, signed, signer, write_model
from tests.support.oms_pki import DURING, END, START, Identity, intermediate, issue, leaf, root

DAY = timedelta(days=1)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "digits")


def _bundle(model: Path, identity: Identity, *others: Identity) -> bytes:
    """Signed with ``identity``, whatever its certificate is like."""
    payload = OmsBundle.parse(signed(model)).payload
    signature = identity.signer._sign(pre_authentication_encoding(payload))
    chain = [der(item.certificate) for item in (identity, *others)]
    return build_bundle(payload, signature, certificates=chain)


def _verify(bundle: bytes, model: Path, *roots: Identity, at: Any = DURING, **trust: Any) -> OmsVerification:
    anchors = tuple(item.certificate for item in (roots or (root(),)))
    return verify_oms(bundle, model, trust=CertificateTrust(anchors, **trust), at=at)


@pytest.mark.parametrize("curve", ["secp256r1", "secp384r1"])
@pytest.mark.parametrize("with_root", [False, True])
def test_a_chain_to_a_trusted_root(model: Path, curve: str, with_root: bool) -> None:
    chain = [leaf(curve).certificate, intermediate().certificate, *([root().certificate] if with_root else [])]

    found = _verify(sign_oms(pin(str(model)), leaf(curve).signer, certificates=chain), model)

    assert (found.method.value, found.signer) == ("certificate", "CN=Model Signer")


def test_a_chain_in_another_order(model: Path) -> None:
    assert _verify(_bundle(model, leaf(), root(), intermediate()), model)


def test_a_leaf_below_the_root(model: Path) -> None:
    assert _verify(_bundle(model, issue("direct", root())), model)


def test_an_intermediate_can_be_the_anchor(model: Path) -> None:
    assert _verify(_bundle(model, leaf()), model, intermediate())


def test_roots_come_from_pem(model: Path) -> None:
    trust = CertificateTrust.from_pem(issue("Other Root", authority=True).pem + root().pem)

    assert len(trust.roots) == 2
    assert verify_oms(_bundle(model, leaf(), intermediate()), model, trust=trust, at=DURING)
    for nothing in (b"", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", leaf().private_pem):
        with pytest.raises(OmsCertificateError):
            CertificateTrust.from_pem(nothing)


# --- the chain --------------------------------------------------------------------------------------------------------


def test_a_foreign_root_is_refused(model: Path) -> None:
    foreign = issue("Test Root", authority=True)  # of the same name

    with pytest.raises(OmsCertificateError, match="trusted root"):
        _verify(_bundle(model, leaf(), intermediate()), model, foreign)
    with pytest.raises(OmsCertificateError, match="trusted root"):
        _verify(_bundle(model, issue("x", foreign), foreign), model)


def test_a_root_that_the_bundle_brings_along_is_not_trusted(model: Path) -> None:
    own = issue("Own Root", authority=True)

    with pytest.raises(OmsCertificateError, match="trusted root"):
        _verify(_bundle(model, issue("x", own), own), model)


def test_no_roots_trust_nobody(model: Path) -> None:
    with pytest.raises(OmsCertificateError, match="no root"):
        verify_oms(_bundle(model, leaf(), intermediate()), model, trust=CertificateTrust(()), at=DURING)


def test_a_missing_link_is_refused(model: Path) -> None:
    with pytest.raises(OmsCertificateError, match="trusted root"):
        _verify(_bundle(model, leaf()), model)


def test_a_self_signed_certificate_is_trusted_only_as_itself(model: Path) -> None:
    own = issue("Alone")

    assert _verify(_bundle(model, own), model, own)
    with pytest.raises(OmsCertificateError, match="trusted root"):
        _verify(_bundle(model, own), model)
    with pytest.raises(OmsCertificateError):
        _verify(_bundle(model, own), model, issue("Alone"))


def test_a_leaf_may_not_issue_certificates(model: Path) -> None:
    with pytest.raises(OmsCertificateError, match="trusted root"):
        _verify(_bundle(model, issue("x", leaf()), leaf(), intermediate()), model)


def test_an_authority_that_may_not_sign_certificates(model: Path) -> None:
    usage = x509.KeyUsage(True, False, False, False, False, False, False, False, False)
    fake = issue(
        "x",
        root(),
        digital_signature=None,
        purposes=(),
        extra=[(x509.BasicConstraints(True, None), True), (usage, True)],
    )

    with pytest.raises(OmsCertificateError, match="trusted root"):
        _verify(_bundle(model, issue("y", fake), fake), model)


def test_path_lengths_hold(model: Path) -> None:
    short = issue("Short Root", authority=True, path_length=0)
    below = issue("Below", short, authority=True)

    assert _verify(_bundle(model, issue("x", short)), model, short)
    with pytest.raises(OmsCertificateError, match="trusted root"):
        _verify(_bundle(model, issue("x", below), below), model, short)


def test_name_constraints_hold(model: Path) -> None:
    constraint = x509.NameConstraints([x509.RFC822Name("example.com")], None)
    narrow = issue("Narrow", root(), authority=True, extra=[(constraint, True)])
    inside = issue("x", narrow, alternative=[x509.RFC822Name("a@example.com")])
    outside = issue("x", narrow, alternative=[x509.RFC822Name("a@example.org")])

    assert _verify(_bundle(model, inside, narrow), model)
    with pytest.raises(OmsCertificateError, match="trusted root"):
        _verify(_bundle(model, outside, narrow), model)


def test_an_unknown_critical_extension_is_refused(model: Path) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")

    assert _verify(_bundle(model, issue("x", root(), extra=[(unknown, False)])), model)
    with pytest.raises(OmsCertificateError):
        _verify(_bundle(model, issue("x", root(), extra=[(unknown, True)])), model)


def test_a_forged_certificate_is_refused(model: Path) -> None:
    good = issue("x", root())
    forged = bytearray(der(good.certificate))
    forged[-5] ^= 1  # within the signature
    bundle = _bundle(model, good)

    def edit(value: dict[str, Any]) -> None:
        value["verificationMaterial"]["x509CertificateChain"]["certificates"][0]["rawBytes"] = base64_text(
            bytes(forged)
        )

    with pytest.raises(OmsCertificateError):
        _verify(edited(bundle, edit), model)


def test_bytes_that_are_no_certificate_are_refused(model: Path) -> None:
    def edit(value: dict[str, Any]) -> None:
        value["verificationMaterial"]["x509CertificateChain"]["certificates"][0]["rawBytes"] = base64_text(b"0")

    with pytest.raises(OmsCertificateError, match="can't be read"):
        _verify(edited(_bundle(model, leaf(), intermediate()), edit), model)


def test_passengers_are_refused(model: Path) -> None:
    with pytest.raises(OmsCertificateError, match="1 certificates of the bundle don't belong"):
        _verify(_bundle(model, leaf(), intermediate(), issue("Passenger", authority=True)), model)
    with pytest.raises(OmsCertificateError, match="twice"):
        _verify(_bundle(model, leaf(), intermediate(), intermediate()), model)


# --- what for ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("usage", [None, False])
def test_without_the_usage_digital_signature_it_is_refused(model: Path, usage: bool | None) -> None:
    with pytest.raises(OmsCertificateError, match="digital signatures"):
        _verify(_bundle(model, issue("x", root(), digital_signature=usage)), model)


@pytest.mark.parametrize(
    "purposes",
    [[], [ExtendedKeyUsageOID.SERVER_AUTH], [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]],
    ids=["none", "server", "any"],
)
def test_without_the_purpose_code_signing_it_is_refused(model: Path, purposes: list[x509.ObjectIdentifier]) -> None:
    bundle = _bundle(model, issue("x", root(), purposes=purposes))

    with pytest.raises(OmsCertificateError, match="code signing"):
        _verify(bundle, model)
    if purposes:
        with pytest.raises(OmsCertificateError, match="code signing"):
            _verify(bundle, model, accept_any_purpose=True)
    else:
        assert _verify(bundle, model, accept_any_purpose=True)


def test_an_authority_signs_no_models(model: Path) -> None:
    usage = x509.KeyUsage(True, False, False, False, False, True, False, False, False)
    extra = [(x509.BasicConstraints(True, None), True), (usage, True)]
    authority = issue("x", root(), digital_signature=None, extra=extra)

    with pytest.raises(OmsCertificateError, match="authority"):
        _verify(_bundle(model, authority), model)


# --- whose ------------------------------------------------------------------------------------------------------------


def test_only_the_given_names_may_sign(model: Path) -> None:
    names = [
        x509.RFC822Name("release@example.com"),
        x509.DNSName("ci.example.com"),
        x509.UniformResourceIdentifier("spiffe://example.com/train"),
    ]
    bundle = _bundle(model, issue("x", root(), alternative=names))

    for name in ("CN=x", "release@example.com", "ci.example.com", "spiffe://example.com/train"):
        assert _verify(bundle, model, names=frozenset({name, "other"}))
    with pytest.raises(OmsCertificateError, match="is for CN=x, release@"):
        _verify(bundle, model, names=frozenset({"x", "example.com"}))


def test_the_certificate_of_another_key_is_refused(model: Path) -> None:
    payload = OmsBundle.parse(signed(model)).payload
    signature = signer()._sign(pre_authentication_encoding(payload))
    bundle = build_bundle(payload, signature, certificates=[der(issue("x", root()).certificate)])

    with pytest.raises(OmsSignatureError):
        _verify(bundle, model)


# --- when -------------------------------------------------------------------------------------------------------------


def test_a_certificate_counts_only_while_it_is_valid(model: Path) -> None:
    short = issue("x", root(), start=DURING - DAY, end=DURING + DAY)
    bundle = _bundle(model, short)

    for at in (DURING - DAY, DURING, DURING + DAY, DURING.astimezone(timezone(timedelta(hours=14)))):
        assert _verify(bundle, model, at=at)
    for at in (DURING - 2 * DAY, DURING + 2 * DAY, START - DAY):
        with pytest.raises(OmsCertificateTimeError):
            _verify(bundle, model, at=at)


def test_an_expired_certificate_that_was_valid_when_it_was_made_is_refused(model: Path) -> None:
    with pytest.raises(OmsCertificateTimeError, match="CN=x is valid from"):
        _verify(_bundle(model, issue("x", root(), end=START + DAY)), model)


@pytest.mark.parametrize("which", ["intermediate", "root"])
def test_an_authority_that_expired_is_refused(model: Path, which: str) -> None:
    soon = START + 2 * DAY
    top = issue("Top", authority=True, end=soon if which == "root" else END)
    middle = issue("Middle", top, authority=True, end=soon if which == "intermediate" else END)
    bundle = _bundle(model, issue("x", middle), middle)

    assert _verify(bundle, model, top, at=START + DAY)
    with pytest.raises(OmsCertificateTimeError):
        _verify(bundle, model, top)


# --- writing ----------------------------------------------------------------------------------------------------------


def test_signing_with_another_keys_certificate_is_refused(model: Path) -> None:
    with pytest.raises(OmsCertificateError, match="not the signing key's"):
        sign_oms(pin(str(model)), signer(), certificates=[leaf().certificate])
    with pytest.raises(OmsCertificateError, match="not the signing key's"):
        sign_oms(pin(str(model)), leaf().signer, certificates=[intermediate().certificate, leaf().certificate])


def test_signing_with_a_certificate_for_something_else_is_refused(model: Path) -> None:
    server = issue("x", root(), purposes=[ExtendedKeyUsageOID.SERVER_AUTH])

    with pytest.raises(OmsCertificateError, match="code signing"):
        sign_oms(pin(str(model)), server.signer, certificates=[server.certificate])


def test_the_bundle_names_no_key_beside_the_certificate(model: Path) -> None:
    bundle = sign_oms(pin(str(model)), leaf().signer, certificates=[leaf().certificate])

    parsed = OmsBundle.parse(bundle)
    assert (parsed.key_hint, parsed.certificates) == ("", (der(leaf().certificate),))
    assert certificates_from_pem(leaf().pem)[0].fingerprint(hashes.SHA256()) == leaf().certificate.fingerprint(
        hashes.SHA256()
    )
