"""Signing certificates: from a bundle's chain to a root that is trusted here, at the trusted time.

Path building and validation (RFC 5280: dates, CA flags, path lengths, name constraints, unknown critical extensions)
are pyca/cryptography's. ``model_signing`` judges the chain at the moment from which the leaf is valid, so that it
accepts certificates that expired long ago; here the caller names the moment.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.errors import TrustError
from airflow_mlsecops.core.oms.errors import OmsCertificateError, OmsCertificateTimeError
from airflow_mlsecops.core.signing.keys import PublicKey

MAX_DEPTH = 8


@dataclass(frozen=True)
class CertificateTrust:
    """Which certificates may sign.

    Attributes:
        roots: the only trust anchors; the machine's own are never asked.
        names: when not empty, the leaf must carry one of them, as its subject (RFC 4514) or as an e-mail address, DNS
            name or URI among its alternative names. Leave it empty only for a root that signs for nobody else.
        accept_any_purpose: also take leaves that say nothing about their purpose (no extended key usage). Dangerous
            with a root that issues certificates for anything but signing code.
    """

    roots: tuple[x509.Certificate, ...]
    names: frozenset[str] = frozenset()
    accept_any_purpose: bool = False

    @classmethod
    def from_pem(cls, pem: bytes, names: Iterable[str] = (), accept_any_purpose: bool = False) -> CertificateTrust:
        """Read the roots from one PEM text.

        Raises:
            OmsCertificateError: if there is none in it.
        """
        return cls(certificates_from_pem(pem), frozenset(names), accept_any_purpose)


@dataclass(frozen=True)
class Leaf:
    """A signing certificate that was found trustworthy: its key, and all names it carries, the subject first."""

    key: PublicKey
    names: tuple[str, ...]


def certificates_from_pem(pem: bytes) -> tuple[x509.Certificate, ...]:
    """All certificates in a PEM text.

    Raises:
        OmsCertificateError: if there is none, or one can't be read.
    """
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise OmsCertificateError(f"no PEM certificates: {error}", "give the file of the authority's root") from error


def read_certificates(path: str) -> tuple[x509.Certificate, ...]:
    """All certificates in a PEM file.

    Raises:
        OmsCertificateError: if the file can't be read, or holds none.
    """
    try:
        pem = Path(path.removeprefix("file://")).read_bytes()
    except (OSError, ValueError) as error:
        raise OmsCertificateError(f"the certificates {path} can't be read: {error}", "check the path") from error
    return certificates_from_pem(pem)


def der(certificate: x509.Certificate) -> bytes:
    """The certificate's DER bytes."""
    return certificate.public_bytes(Encoding.DER)


def load_leaf(data: bytes) -> tuple[x509.Certificate, Leaf]:
    """Read a leaf without judging it.

    Raises:
        OmsCertificateError: if it can't be read, or its key is of a kind that isn't taken.
    """
    certificate = _load(data)
    try:
        key = PublicKey.of(certificate.public_key())
        names = _names(certificate)
    except (TrustError, ValueError) as error:
        raise OmsCertificateError(f"the signing certificate can't be used: {error}") from error
    return certificate, Leaf(key, names)


def check_chain(chain: Sequence[bytes], trust: CertificateTrust, at: datetime) -> Leaf:
    """Find out whether the first certificate may sign code at ``at``.

    1. All certificates can be read, and none stands twice.
    2. The leaf is no authority, and is for signing code.
    3. A path leads over the others to one of the roots, all valid at ``at``.
    4. Every certificate of the bundle lies on that path: there are no passengers.
    5. The leaf carries a name that may sign, if names are given.

    Args:
        chain: DER, the leaf first.
        trust: the roots, and the names that may sign.
        at: the trusted time.

    Raises:
        OmsCertificateTimeError: if a certificate isn't valid at ``at``.
        OmsCertificateError: if another step fails.
    """
    # 1.
    certificate, leaf = load_leaf(chain[0])
    others = [_load(data) for data in chain[1:]]
    if len(set(chain)) != len(chain):
        raise OmsCertificateError("a certificate stands twice in the chain")
    # 2.
    check_purpose(certificate, trust.accept_any_purpose)
    # 3.
    path = _path(certificate, others, trust, at)
    # 4.
    if passengers := set(chain) - {der(item) for item in path}:
        raise OmsCertificateError(f"{len(passengers)} certificates of the bundle don't belong to its chain")
    # 5.
    if trust.names and not trust.names & set(leaf.names):
        raise OmsCertificateError(
            f"the certificate is for {', '.join(leaf.names)[:300]}", f"expected one of {', '.join(sorted(trust.names))}"
        )
    return leaf


def check_purpose(certificate: x509.Certificate, accept_any_purpose: bool = False) -> None:
    """Check that a leaf is for signing code: digital signatures, code signing, and no authority.

    Raises:
        OmsCertificateError: if it isn't.
    """
    try:
        extensions = certificate.extensions
    except ValueError as error:
        raise OmsCertificateError(f"the signing certificate's extensions can't be read: {error}") from error
    found = {type(extension.value): extension.value for extension in extensions}
    constraints, usage = found.get(x509.BasicConstraints), found.get(x509.KeyUsage)
    purposes = found.get(x509.ExtendedKeyUsage)
    if isinstance(constraints, x509.BasicConstraints) and constraints.ca:
        raise OmsCertificateError("the signing certificate is an authority's", "sign with a certificate of its own")
    if not isinstance(usage, x509.KeyUsage) or not usage.digital_signature:
        raise OmsCertificateError("the signing certificate is not for digital signatures", "its key usage must say so")
    if purposes is None and accept_any_purpose:
        return
    if not isinstance(purposes, x509.ExtendedKeyUsage) or ExtendedKeyUsageOID.CODE_SIGNING not in purposes:
        raise OmsCertificateError(
            "the signing certificate is not for code signing", "its extended key usage must say so"
        )


def _path(
    leaf: x509.Certificate, others: Sequence[x509.Certificate], trust: CertificateTrust, at: datetime
) -> Sequence[x509.Certificate]:
    from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

    if not trust.roots:
        raise OmsCertificateError("no root is trusted", "give the authority's root certificate")
    authority = (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, _is_authority)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, _signs_certificates)
    )
    builder = PolicyBuilder().store(Store(list(trust.roots))).time(at).max_chain_depth(MAX_DEPTH)
    builder = builder.extension_policies(ca_policy=authority, ee_policy=ExtensionPolicy.permit_all())
    try:
        return builder.build_client_verifier().verify(leaf, list(others)).chain
    except VerificationError as error:
        late = [item for item in (leaf, *others, *trust.roots) if not _valid(item, at)]
        if late:
            raise OmsCertificateTimeError(
                f"{late[0].subject.rfc4514_string()} is valid from {to_text(late[0].not_valid_before_utc)}"
                f" to {to_text(late[0].not_valid_after_utc)}, not at {to_text(at)}",
                "a trusted timestamp from within that time would be needed; or sign again",
            ) from error
        raise OmsCertificateError(
            f"the certificate {leaf.subject.rfc4514_string()} doesn't lead to a trusted root: {error}",
            "whoever signed it is not trusted here",
        ) from error


def _valid(certificate: x509.Certificate, at: datetime) -> bool:
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def _is_authority(_policy: object, _certificate: x509.Certificate, extension: x509.BasicConstraints) -> None:
    if not extension.ca:
        raise ValueError("not an authority")


def _signs_certificates(_policy: object, _certificate: x509.Certificate, extension: x509.KeyUsage | None) -> None:
    if extension is not None and not extension.key_cert_sign:
        raise ValueError("not for signing certificates")


def _load(data: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(data)
    except ValueError as error:
        raise OmsCertificateError(f"a certificate can't be read: {error}", "it was damaged") from error


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    names = [certificate.subject.rfc4514_string()]
    try:
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(names)
    for kind in (x509.RFC822Name, x509.DNSName, x509.UniformResourceIdentifier):
        names += [str(value) for value in alternative.get_values_for_type(kind)]
    return tuple(name for name in names if name)
