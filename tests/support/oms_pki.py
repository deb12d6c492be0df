"""A small certificate authority: roots, intermediates and signing certificates, right or wrong as a test needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from airflow_mlsecops.core.signing.file_key import FileKeySigner

START = datetime(2020, 1, 1, tzinfo=UTC)
"""From when certificates are valid, unless a test says otherwise."""
END = START + timedelta(days=36500)
"""``model_signing`` judges at the leaf's first moment, our verifier at the moment it is told: both lie within."""
DURING = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CODE_SIGNING = (ExtendedKeyUsageOID.CODE_SIGNING,)


@dataclass(frozen=True)
class Identity:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def private_pem(self) -> bytes:
        """The key, unencrypted PKCS#8."""
        return private_pem(self.key)

    @property
    def signer(self) -> FileKeySigner:
        """Signs with the key."""
        return FileKeySigner(self.private_pem)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Unencrypted PKCS#8."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def issue(
    name: str,
    issuer: Identity | None = None,
    *,
    authority: bool = False,
    path_length: int | None = None,
    curve: ec.EllipticCurve | None = None,
    start: datetime = START,
    end: datetime = END,
    digital_signature: bool | None = True,
    purposes: Sequence[ObjectIdentifier] = CODE_SIGNING,
    alternative: Sequence[x509.GeneralName] = (),
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Identity:
    """Issue a certificate; without ``issuer`` a self-signed one.

    Args:
        name: the common name.
        issuer: who signs it.
        authority: whether it may issue others.
        path_length: of an authority, how many authorities may follow.
        curve: of its key; P-256 by default.
        start: valid from.
        end: valid until.
        digital_signature: a leaf's key usage; None leaves the extension out.
        purposes: a leaf's extended key usage; none leaves the extension out.
        alternative: alternative names.
        extra: more extensions, each with whether it is critical.
    """
    key = ec.generate_private_key(curve or ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
    extensions = list(extra)
    if authority:
        extensions += [(x509.BasicConstraints(True, path_length), True), (_usage(certificates=True), True)]
    else:
        if digital_signature is not None:
            extensions.append((_usage(signatures=digital_signature), True))
        if purposes:
            extensions.append((x509.ExtendedKeyUsage(purposes), False))
    if alternative:
        extensions.append((x509.SubjectAlternativeName(alternative), False))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Identity(builder.sign((issuer.key if issuer else key), hashes.SHA256()), key)


def _usage(signatures: bool = False, certificates: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(signatures, not signatures, False, False, False, certificates, certificates, False, False)


@cache
def root() -> Identity:
    """The usual root."""
    return issue("Test Root", authority=True)


@cache
def intermediate() -> Identity:
    """The usual authority below it."""
    return issue("Test Authority", root(), authority=True)


def leaf(curve: str = "secp256r1") -> Identity:
    """The usual signing certificate, below :func:`intermediate`."""
    return _leaf(curve)


@cache
def _leaf(curve: str) -> Identity:
    curves: dict[str, ec.EllipticCurve] = {"secp256r1": ec.SECP256R1(), "secp384r1": ec.SECP384R1()}
    return issue("Model Signer", intermediate(), curve=curves[curve])
