"""Certificate chains: a root and one authority below it, for code signing (Fulcio) or for time stamps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.loopback_sigstore.keystore import Keystore

ORGANIZATION = "loopback.test"
_LIFE = timedelta(days=3650)
_BACKDATED = timedelta(days=1)
"""Authorities begin a day before they are made: ``validFor.start`` must lie in the past."""


@dataclass(frozen=True)
class Authority:
    """A certificate below its root, and its key.

    Attributes:
        key: the private key of the first certificate of ``chain``.
        chain: own certificate first, root last.
    """

    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, x509.Certificate]

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate that belongs to :attr:`key`."""
        return self.chain[0]


def code_signing_authority(keys: Keystore) -> Authority:
    """An intermediate that issues code-signing certificates, below a root."""
    return _authority(keys, "fulcio", ExtendedKeyUsageOID.CODE_SIGNING, issues=True)


def time_stamping_authority(keys: Keystore) -> Authority:
    """A leaf that signs time stamps, below a root (RFC 3161, section 2.3: its one extended usage is critical)."""
    return _authority(keys, "tsa", ExtendedKeyUsageOID.TIME_STAMPING, issues=False)


def _authority(keys: Keystore, name: str, usage: x509.ObjectIdentifier, issues: bool) -> Authority:
    root_key, key = keys.ecdsa(f"{name}-root"), keys.ecdsa(name)

    def make_root() -> x509.Certificate:
        subject = _name(f"{name} root")
        builder = _builder(subject, subject, root_key).add_extension(x509.BasicConstraints(True, 1), critical=True)
        builder = builder.add_extension(_usage(issues=True), critical=True)
        return builder.sign(root_key, hashes.SHA256())

    root = keys.certificate(f"{name}-root", make_root)

    def make() -> x509.Certificate:
        builder = _builder(_name(name), root.subject, key)
        if issues:
            builder = builder.add_extension(x509.BasicConstraints(True, 0), critical=True)
        builder = builder.add_extension(_usage(issues), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=not issues)
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
        )
        return builder.sign(root_key, hashes.SHA256())

    return Authority(key, (keys.certificate(name, make), root))


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    start = datetime.now(UTC).replace(microsecond=0) - _BACKDATED
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(start + _LIFE)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


def _usage(issues: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not issues,
        key_cert_sign=issues,
        crl_sign=issues,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
