"""Verify a keyless signature offline: bundle bytes, a trust root, and who is allowed to have signed.

::

    root = SigstoreRoot.from_bytes(Path("trusted_root.json").read_bytes())
    worker = KeylessIdentity("https://kubernetes.io/namespaces/airflow/serviceaccounts/worker", "https://issuer.example")
    verified = verify_keyless(raw, root, [worker])
    verified.statement, verified.signer, verified.trusted_time
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from cryptography import x509

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.bundle_material import LogEntry
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import MlsecopsError, SignatureError, StatementError, TrustError
from airflow_mlsecops.core.signing.keyless_root import SigstoreRoot
from airflow_mlsecops.core.statement import Statement

if TYPE_CHECKING:
    from sigstore.models import TrustedRoot

_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_V2 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_UTF8_STRING = 0x0C


@dataclass(frozen=True)
class KeylessIdentity:
    """Who signs: a subject, and the issuer that vouches for it. Both are compared exactly; there are no patterns.

    Attributes:
        identity: the subject alternative name of the certificate: an email address or a URI.
        issuer: URL of the OpenID Connect issuer.
    """

    identity: str
    issuer: str

    def __post_init__(self) -> None:
        if not self.identity or not self.issuer:
            raise TrustError("a keyless identity needs both an identity and its issuer", "name both, exactly")

    def __str__(self) -> str:
        return f"{self.identity} (issuer {self.issuer})"


@dataclass(frozen=True)
class VerifiedKeyless:
    """A keyless signature that verified.

    Attributes:
        bundle: what was verified; ``statement.payload`` are the exact bytes that were signed.
        signer: whose certificate it is; one of those that were allowed.
        times: every trusted time that the bundle proves.
        entry: its place in the transparency log.
        root_digest: of the trust root that it was verified against.
    """

    bundle: Bundle
    signer: KeylessIdentity
    times: tuple[datetime, ...]
    entry: LogEntry
    root_digest: Sha256

    @property
    def raw(self) -> bytes:
        """The bundle's bytes."""
        return self.bundle.raw

    @property
    def statement(self) -> Statement:
        """What was signed."""
        return self.bundle.statement

    @property
    def trusted_time(self) -> datetime:
        """The latest of :attr:`times`: with it, no single source of time can make a signature look older than it is."""
        return max(self.times)

    @property
    def digest(self) -> Sha256:
        """The bundle's address in the store."""
        return self.bundle.digest


def verify_keyless(raw: bytes, root: SigstoreRoot, allowed: Collection[KeylessIdentity]) -> VerifiedKeyless:
    """Verify a bundle without network.

    1. Somebody is allowed: an empty policy is refused, not taken for "anybody".
    2. The bundle is well-formed; see :meth:`Bundle.parse`.
    3. Every time stamp in it is by a time-stamping authority of the trust root, valid then, over this signature.
    4. The trust root has the log that the entry names, and authorities that were valid at all those times.
    5. sigstore-python verifies with these alone: certificate chain at each time, certificate transparency (SCT), the
       certificate's profile, inclusion proof, checkpoint, inclusion promise, the signature, and that the log entry is
       about this envelope and certificate.
    6. The certificate names exactly one identity, its issuer extensions agree, and that pair is allowed.
    7. What sigstore-python verified is the payload that is handed on.

    The caller still owes: whether this signer may make this kind of statement, at :attr:`VerifiedKeyless.trusted_time`.

    Raises:
        StatementError: if the bundle is malformed (step 2).
        TrustError: if nobody is allowed, the log isn't trusted, or somebody else signed (1, 4, 6).
        SignatureError: if anything doesn't verify (3, 5, 7).
    """
    # 1.
    if not allowed or not all(isinstance(item, KeylessIdentity) for item in allowed):
        raise TrustError("nobody is allowed to have signed", "name the identities, each with its issuer")
    # 2.
    bundle = Bundle.parse(raw)
    if bundle.entry is None or not bundle.certificate:
        raise StatementError("expected a certificate and its log entry as verification material")
    # 3.
    full = root.full()
    times = [stamp_time(stamp, bundle.signature, full) for stamp in bundle.timestamps]
    if bundle.entry.integrated_time is not None:
        times.append(bundle.entry.integrated_time)  # its promise is verified in step 5
    # 4.
    narrowed = root.narrowed(bundle.entry.log_id, times)
    # 5. and 6.
    policy = _Allowed(frozenset(allowed))
    payload = _verify_with_sigstore(bundle, narrowed, policy)
    # 7.
    if payload != bundle.statement.payload or policy.signer is None:
        raise SignatureError("the verified payload is not the one in the bundle")
    return VerifiedKeyless(bundle, policy.signer, tuple(times), bundle.entry, root.digest)


def identity_of(certificate: x509.Certificate) -> KeylessIdentity:
    """Whom a Fulcio certificate names.

    The issuer stands in it as plain text (deprecated) and as DER; at least one must be there, and both must agree.
    Source: https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md

    Raises:
        SignatureError: if it doesn't name exactly one subject and issuer.
    """
    names, issuers = [], set()
    for extension in certificate.extensions:
        value = extension.value
        if isinstance(value, x509.SubjectAlternativeName):
            names = list(value)
        elif isinstance(value, x509.UnrecognizedExtension) and extension.oid == _ISSUER:
            issuers.add(value.value)
        elif isinstance(value, x509.UnrecognizedExtension) and extension.oid == _ISSUER_V2:
            issuers.add(_utf8_string(value.value))
    if len(names) != 1 or not isinstance(names[0], (x509.RFC822Name, x509.UniformResourceIdentifier)):
        raise SignatureError("the certificate doesn't name exactly one email address or URI")
    if len(issuers) != 1:
        raise SignatureError("the certificate doesn't name exactly one issuer")
    return KeylessIdentity(names[0].value, issuers.pop().decode("utf-8"))


class _Allowed:
    """sigstore-python's identity policy: exactly one of these, and remember which."""

    def __init__(self, allowed: frozenset[KeylessIdentity]) -> None:
        self._allowed = allowed
        self.signer: KeylessIdentity | None = None

    def verify(self, cert: x509.Certificate) -> None:
        found = identity_of(cert)
        if found not in self._allowed:
            raise TrustError(f"signed by {found}, who is not allowed here", "whoever signed it is not trusted for this")
        self.signer = found


def _verify_with_sigstore(bundle: Bundle, root: TrustedRoot, policy: _Allowed) -> bytes:
    from sigstore.models import Bundle as SigstoreBundle
    from sigstore.verify import Verifier

    try:
        return Verifier(trusted_root=root).verify_dsse(SigstoreBundle.from_json(bundle.raw), policy)[1]
    except MlsecopsError:
        raise
    except Exception as error:  # whatever breaks on hostile bytes is a refusal, too
        text = str(error) or type(error).__name__
        raise SignatureError(
            f"the keyless signature doesn't verify: {text[:300]}", "don't use what it signs"
        ) from error


def stamp_time(stamp: bytes, signature: bytes, root: TrustedRoot) -> datetime:
    """The time in an RFC 3161 stamp over ``signature``, by an authority that was valid at that time.

    Raises:
        SignatureError: if it is malformed, over something else, or by nobody of the trust root.
    """
    from rfc3161_client import VerifierBuilder, decode_timestamp_response

    try:
        response = decode_timestamp_response(stamp)
        moment: datetime = response.tst_info.gen_time
    except Exception as error:
        raise SignatureError("a time stamp in the bundle is malformed") from error
    for authority in root.get_timestamp_authorities():
        chain = authority.certificates(allow_expired=True)
        end = authority.validity_period_end
        if len(chain) < 2 or moment < authority.validity_period_start or (end is not None and moment > end):
            continue
        builder = VerifierBuilder(tsa_certificate=chain[0], intermediates=chain[1:-1], roots=[chain[-1]])
        with suppress(Exception):  # beside its own errors, hostile bytes bring up a dozen others: all say no
            if builder.build().verify_message(response, signature):
                return moment
    raise SignatureError("a time stamp in the bundle is by no authority of the trust root, or not over this signature")


def _utf8_string(der: bytes) -> bytes:
    """The content of a DER UTF8String (X.690, section 8.1)."""
    if len(der) >= 2 and der[0] == _UTF8_STRING:
        if der[1] < 0x80:
            content = der[2:]
            size = der[1]
        else:
            count = der[1] & 0x7F
            content, size = der[2 + count :], int.from_bytes(der[2 : 2 + count], "big")
        if len(content) == size:
            return content
    raise SignatureError("the certificate's issuer is not a DER string")
