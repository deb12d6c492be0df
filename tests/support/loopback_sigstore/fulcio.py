"""Fulcio's v2 API: a token and a proof of possession go in, a ten-minute certificate with an embedded SCT comes out.

Sources: https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md for the certificate's profile,
https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md for its extensions, RFC 6962 for the SCT.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import struct
import urllib.request
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.loopback_sigstore.authority import Authority
from tests.support.loopback_sigstore.keystore import spki
from tests.support.loopback_sigstore.oidc import DEFAULT_AUDIENCE
from tests.support.loopback_sigstore.web import Clock, RefusedError, Request, Response, Route

_ISSUER_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_V2_OID = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_SCT_LIST_OID = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_PRECERT_ENTRY = 1


class Fulcio:
    """Issues signing certificates to holders of the one issuer's tokens.

    Attributes:
        ct_key: the key of the certificate transparency log; a test may put a rogue one here.
        lifetime: of a certificate.
    """

    def __init__(self, authority: Authority, ct_key: ec.EllipticCurvePrivateKey, issuer: str, clock: Clock) -> None:
        self.ct_key = ct_key
        self.lifetime = timedelta(minutes=10)
        self._authority = authority
        self._issuer = issuer
        self._clock = clock

    def routes(self) -> dict[str, Route]:
        """The endpoints."""
        return {"POST /api/v2/signingCert": self._signing_cert, "GET /api/v2/trustBundle": self._trust_bundle}

    def _trust_bundle(self, _: Request) -> Response:
        return Response.of({"chains": [{"certificates": [_pem(item) for item in self._authority.chain]}]})

    def _signing_cert(self, request: Request) -> Response:
        claims = self._verified_claims(request.bearer())
        key = _requested_key(request.json())
        certificate = self._issue(key, subject_name(claims))
        chain = [_pem(item) for item in (certificate, *self._authority.chain)]
        return Response.of({"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}, 201)

    def _verified_claims(self, token: str) -> dict[str, Any]:
        """The token's claims: signed by a key that the issuer publishes, for us, and still valid."""
        try:
            found = _get_json(f"{self._issuer}/.well-known/openid-configuration")
            keys = jwt.PyJWKSet.from_dict(_get_json(found["jwks_uri"]))
            key = keys[jwt.get_unverified_header(token)["kid"]]
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["ES256"],
                audience=DEFAULT_AUDIENCE,
                issuer=self._issuer,
                options={"require": ["aud", "sub", "iat", "exp", "iss"]},
            )
        except OSError as error:
            raise RefusedError(503, "the issuer doesn't answer") from error
        except (jwt.PyJWTError, KeyError) as error:
            raise RefusedError(401, f"There was an error processing the identity token: {error}") from error
        return claims

    def _issue(self, key: ec.EllipticCurvePublicKey, name: x509.GeneralName) -> x509.Certificate:
        """Sign the certificate twice: as precertificate for the SCT, then again with the SCT list as last extension."""
        now = self._clock.now()
        signer = self._authority.key
        builder = x509.CertificateBuilder().subject_name(x509.Name([])).public_key(key)
        builder = builder.issuer_name(self._authority.certificate.subject).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now).not_valid_after(now + self.lifetime)
        for extension, critical in self._extensions(key, name):
            builder = builder.add_extension(extension, critical)
        precertificate = builder.sign(signer, hashes.SHA256())
        scts = sct_list(precertificate.tbs_certificate_bytes, now, signer, self.ct_key)
        return builder.add_extension(x509.UnrecognizedExtension(_SCT_LIST_OID, scts), False).sign(
            signer, hashes.SHA256()
        )

    def _extensions(
        self, key: ec.EllipticCurvePublicKey, name: x509.GeneralName
    ) -> list[tuple[x509.ExtensionType, bool]]:
        issuer = self._issuer.encode()
        usage = dict.fromkeys(
            [
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "key_cert_sign",
                "crl_sign",
                "encipher_only",
                "decipher_only",
            ],
            False,
        )
        return [
            (x509.KeyUsage(digital_signature=True, **usage), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False),
            (x509.SubjectKeyIdentifier.from_public_key(key), False),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self._authority.key.public_key()), False),
            (x509.SubjectAlternativeName([name]), True),
            (x509.UnrecognizedExtension(_ISSUER_OID, issuer), False),
            (x509.UnrecognizedExtension(_ISSUER_V2_OID, b"\x0c" + _der_length(len(issuer)) + issuer), False),
        ]


def subject_name(claims: Mapping[str, Any]) -> x509.GeneralName:
    """The subject that goes into the certificate, as Fulcio derives it for its kinds of issuer.

    Raises:
        RefusedError: if the token names none that can be certified.
    """
    subject = str(claims["sub"])
    if "email" in claims:
        if claims.get("email_verified") is not True:
            raise RefusedError(400, "the email address is not verified")
        return x509.RFC822Name(str(claims["email"]))
    if subject.startswith("system:serviceaccount:"):
        namespace, _, account = subject.removeprefix("system:serviceaccount:").partition(":")
        return x509.UniformResourceIdentifier(f"https://kubernetes.io/namespaces/{namespace}/serviceaccounts/{account}")
    if subject.startswith(("https://", "spiffe://")):
        return x509.UniformResourceIdentifier(subject)
    raise RefusedError(400, f"subject {subject!r} is neither a service account nor a URI")


def sct_list(tbs: bytes, now: datetime, issuer: ec.EllipticCurvePrivateKey, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The DER value of the SCT list extension with one SCT over a precertificate (RFC 6962, sections 3.2 and 3.3)."""
    milliseconds = int(now.timestamp() * 1000)
    issuer_key_hash = hashlib.sha256(spki(issuer)).digest()
    signed = struct.pack("!BBQH", 0, 0, milliseconds, _PRECERT_ENTRY) + issuer_key_hash
    signed += len(tbs).to_bytes(3, "big") + tbs + struct.pack("!H", 0)
    signature = key.sign(signed, ec.ECDSA(hashes.SHA256()))
    log_id = hashlib.sha256(spki(key)).digest()
    sct = struct.pack("!B32sQH", 0, log_id, milliseconds, 0)
    sct += bytes([4, 3]) + struct.pack("!H", len(signature)) + signature  # SHA-256, ECDSA (RFC 5246, section 7.4.1.4.1)
    entry = struct.pack("!H", len(sct)) + sct
    serialized = struct.pack("!H", len(entry)) + entry
    return b"\x04" + _der_length(len(serialized)) + serialized


def _requested_key(body: Any) -> ec.EllipticCurvePublicKey:
    """The key of the signing request, whose holder has signed the request with it."""
    try:
        request = x509.load_pem_x509_csr(base64.b64decode(body["certificateSigningRequest"], validate=True))
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        raise RefusedError(400, "The certificate signing request is malformed") from error
    key = request.public_key()
    if not request.is_signature_valid or not isinstance(key, ec.EllipticCurvePublicKey):
        raise RefusedError(400, "The signature supplied in the request could not be verified")
    return key


def _get_json(url: str) -> Any:
    # No proxy stands between services on one loopback interface, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=60) as answer:
        return json.load(answer)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _der_length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    digits = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(digits)]) + digits
