"""An RFC 3161 time-stamping authority."""

from __future__ import annotations

import hashlib
from typing import Any

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import random_serial_number

from tests.support.loopback_sigstore.authority import Authority
from tests.support.loopback_sigstore.web import Clock, RefusedError, Request, Response, Route

POLICY = "1.3.6.1.4.1.57264.2"
"""The policy that Sigstore's own time-stamping authority names."""


class TimestampAuthority:
    """Signs the time into whatever digest it is shown.

    Attributes:
        broken: answer with an error, as an authority that is down does; a test may set it.
    """

    def __init__(self, authority: Authority, clock: Clock) -> None:
        self.broken = False
        self._authority = authority
        self._clock = clock
        der = authority.certificate.public_bytes(serialization.Encoding.DER)
        self._certificate = asn1_x509.Certificate.load(der)

    def routes(self) -> dict[str, Route]:
        """The endpoints."""
        return {"POST /api/v1/timestamp": self._timestamp}

    def _timestamp(self, request: Request) -> Response:
        if self.broken:
            raise RefusedError(503, "out of order")
        try:
            wish = tsp.TimeStampReq.load(request.body, strict=True)
            algorithm = wish["message_imprint"]["hash_algorithm"]["algorithm"].native
            if algorithm not in ("sha256", "sha384", "sha512"):
                raise RefusedError(400, f"hash algorithm {algorithm} is not supported")
            return Response(self.respond(wish), 201, "application/timestamp-reply")
        except (ValueError, TypeError) as error:
            raise RefusedError(400, "not a TimeStampReq") from error

    def respond(self, request: Any) -> bytes:
        """The DER TimeStampResp to a TimeStampReq."""
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": POLICY,
                "message_imprint": request["message_imprint"],
                "serial_number": random_serial_number(),
                "gen_time": self._clock.now(),
                "nonce": request["nonce"].native,
            }
        )
        token = cms.ContentInfo(
            {"content_type": "signed_data", "content": self._sign(info.dump(), bool(request["cert_req"].native))}
        )
        answer: bytes = tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump()
        return answer

    def _sign(self, content: bytes, with_certificate: bool) -> Any:
        digest = algos.DigestAlgorithm({"algorithm": "sha256"})
        attributes = self._signed_attributes(content)
        signature = self._authority.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256()))
        signer = cms.SignerInfo(
            {
                "version": "v1",
                "sid": cms.SignerIdentifier(
                    {
                        "issuer_and_serial_number": cms.IssuerAndSerialNumber(
                            {
                                "issuer": self._certificate.issuer,
                                "serial_number": self._certificate.serial_number,
                            }
                        )
                    }
                ),
                "digest_algorithm": digest,
                "signed_attrs": attributes,
                "signature_algorithm": {"algorithm": "sha256_ecdsa"},
                "signature": signature,
            }
        )
        signed: dict[str, Any] = {
            "version": "v3",
            "digest_algorithms": [digest],
            "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(content)},
            "signer_infos": [signer],
        }
        if with_certificate:
            signed["certificates"] = [self._certificate]
        return cms.SignedData(signed)

    def _signed_attributes(self, content: bytes) -> Any:
        """What is signed: the content's type and digest, and which certificate signs (RFC 5035, section 3)."""
        certificate_id = tsp.ESSCertIDv2({"cert_hash": hashlib.sha256(self._certificate.dump()).digest()})
        return cms.CMSAttributes(
            [
                {"type": "content_type", "values": ["tst_info"]},
                {"type": "message_digest", "values": [hashlib.sha256(content).digest()]},
                {"type": "signing_time", "values": [cms.Time({"utc_time": self._clock.now()})]},
                {"type": "signing_certificate_v2", "values": [tsp.SigningCertificateV2({"certs": [certificate_id]})]},
            ]
        )
