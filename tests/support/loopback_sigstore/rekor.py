"""Rekor's two APIs. Both verify a signature before they log it.

Sources: the OpenAPI description of sigstore/rekor (entries ``hashedrekord`` and ``dsse`` 0.0.1) and the Rekor v2
specification (``hashedrekord`` 0.0.2, which holds DSSE envelopes too).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any, NamedTuple

import rfc8785
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from tests.support.loopback_sigstore.log import Inclusion, Log
from tests.support.loopback_sigstore.web import Clock, RefusedError, Request, Response, Route

_MALFORMED = (KeyError, TypeError, ValueError, IndexError, binascii.Error)
_TREE_ID = "1"


class RekorV1:
    """``/api/v1``: entries get an inclusion promise (SET) with the time at which the log took them in."""

    def __init__(self, log: Log, clock: Clock) -> None:
        self.log = log
        self._clock = clock

    def routes(self) -> dict[str, Route]:
        """The endpoints."""
        return {
            "POST /api/v1/log/entries": self._create,
            "GET /api/v1/log/entries": self._entry,
            "GET /api/v1/log": self._head,
        }

    def _head(self, _: Request) -> Response:
        checkpoint = self.log.checkpoint()
        size, root = checkpoint.splitlines()[1:3]
        return Response.of(
            {
                "rootHash": base64.b64decode(root).hex(),
                "treeSize": int(size),
                "signedTreeHead": checkpoint,
                "treeID": _TREE_ID,
            }
        )

    def _entry(self, request: Request) -> Response:
        index = request.query.get("logIndex", "")
        found = self.log.get(int(index)) if index.isdigit() else None
        if found is None:
            raise RefusedError(404, "no such entry")
        return Response.of(self._answer(found))

    def _create(self, request: Request) -> Response:
        proposed = request.json()
        try:
            makers = {("dsse", "0.0.1"): _dsse_body, ("hashedrekord", "0.0.1"): _hashedrekord_body}
            body = makers[proposed["kind"], proposed["apiVersion"]](proposed["spec"])
        except InvalidSignature as error:
            raise RefusedError(400, "the signature doesn't verify") from error
        except _MALFORMED as error:
            raise RefusedError(400, f"malformed or unsupported entry: {error!r}") from error
        placed = self.log.append(body, unique=True)
        if placed is None:
            raise RefusedError(409, "an equivalent entry already exists in the transparency log")
        return Response.of(self._answer(placed), 201)

    def _answer(self, placed: Inclusion) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "body": base64.b64encode(placed.body).decode(),
            "integratedTime": int(self._clock.now().timestamp()),
            "logID": self.log.key_id.hex(),
            "logIndex": placed.index,
        }
        promise = self.log.sign(rfc8785.dumps(entry))
        entry["verification"] = {
            "signedEntryTimestamp": base64.b64encode(promise).decode(),
            "inclusionProof": {
                "logIndex": placed.index,
                "rootHash": placed.root.hex(),
                "treeSize": placed.tree_size,
                "hashes": [item.hex() for item in placed.hashes],
                "checkpoint": placed.checkpoint,
            },
        }
        return {hashlib.sha256(b"\x00" + placed.body).hexdigest(): entry}


class RekorV2:
    """``/api/v2``: no promise and no time, only the proof; whoever needs a time takes it from a time stamp."""

    def __init__(self, log: Log) -> None:
        self.log = log

    def routes(self) -> dict[str, Route]:
        """The endpoints."""
        return {"POST /api/v2/log/entries": self._create, "GET /api/v2/checkpoint": self._checkpoint}

    def _checkpoint(self, _: Request) -> Response:
        return Response(self.log.checkpoint().encode(), content_type="text/plain; charset=utf-8")

    def _create(self, request: Request) -> Response:
        try:
            body = _hashedrekord_v2_body(request.json()["hashedRekordRequestV002"])
        except InvalidSignature as error:
            raise RefusedError(400, "the signature doesn't verify") from error
        except _MALFORMED as error:
            raise RefusedError(400, f"malformed or unsupported entry: {error!r}") from error
        placed = self.log.append(body)
        assert placed is not None
        return Response.of(
            {
                "logIndex": str(placed.index),
                "logId": {"keyId": base64.b64encode(self.log.key_id).decode()},
                "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
                "inclusionProof": {
                    "logIndex": str(placed.index),
                    "rootHash": base64.b64encode(placed.root).decode(),
                    "treeSize": str(placed.tree_size),
                    "hashes": [base64.b64encode(item).decode() for item in placed.hashes],
                    "checkpoint": {"envelope": placed.checkpoint},
                },
                "canonicalizedBody": base64.b64encode(body).decode(),
            },
            201,
        )


def _hashedrekord_body(spec: Any) -> bytes:
    content, digest = spec["signature"]["content"], spec["data"]["hash"]
    if digest["algorithm"] != "sha256":
        raise ValueError("only sha256")
    key = _pem_key(_decode(spec["signature"]["publicKey"]["content"]))
    _verify(key, _decode(content), bytes.fromhex(digest["value"]))
    return rfc8785.dumps({"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec})


def _dsse_body(spec: Any) -> bytes:
    """The entry keeps digests of envelope and payload, the signatures and their verifiers; not the payload."""
    proposed = spec["proposedContent"]
    envelope = json.loads(proposed["envelope"])
    payload, kind = _decode(envelope["payload"]), envelope["payloadType"].encode()
    encoded = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    signatures = []
    for item, verifier in zip(envelope["signatures"], proposed["verifiers"], strict=True):
        _verify_message(_pem_key(_decode(verifier)), _decode(item["sig"]), encoded)
        signatures.append({"signature": item["sig"], "verifier": verifier})
    entry: dict[str, Any] = {
        "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(proposed["envelope"].encode()).hexdigest()},
        "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()},
        "signatures": signatures,
    }
    return rfc8785.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": entry})


def _hashedrekord_v2_body(request: Any) -> bytes:
    signature, digest = request["signature"], _decode(request["digest"])
    verifier = signature["verifier"]
    details = verifier["keyDetails"]
    key: Any
    if "x509Certificate" in verifier:
        key = x509.load_der_x509_certificate(_decode(verifier["x509Certificate"]["rawBytes"])).public_key()
    else:
        key = serialization.load_der_public_key(_decode(verifier["publicKey"]["rawBytes"]))
    if details not in _V2_KEYS or _V2_KEYS[details].kind != _kind(key):
        raise ValueError(f"unsupported key {details}")
    _verify(key, _decode(signature["content"]), digest)
    spec = {"data": {"algorithm": _V2_KEYS[details].hash, "digest": request["digest"]}, "signature": signature}
    return rfc8785.dumps({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": spec}})


class _V2Key(NamedTuple):
    kind: str
    hash: str


_V2_KEYS = {
    "PKIX_ECDSA_P256_SHA_256": _V2Key("secp256r1", "SHA2_256"),
    "PKIX_ECDSA_P384_SHA_384": _V2Key("secp384r1", "SHA2_384"),
    "PKIX_ECDSA_P521_SHA_512": _V2Key("secp521r1", "SHA2_512"),
    "PKIX_RSA_PKCS1V15_3072_SHA256": _V2Key("rsa3072", "SHA2_256"),
    "PKIX_RSA_PKCS1V15_4096_SHA256": _V2Key("rsa4096", "SHA2_256"),
}
"""Keys that sign a digest. Plain Ed25519 signs messages, and can't be in a hashedrekord entry."""

_DIGESTS: dict[int, hashes.HashAlgorithm] = {32: hashes.SHA256(), 48: hashes.SHA384(), 64: hashes.SHA512()}
_CURVES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}


def _kind(key: Any) -> str:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.curve.name
    return f"rsa{key.key_size}" if isinstance(key, rsa.RSAPublicKey) else type(key).__name__


def _pem_key(pem: bytes) -> Any:
    """The key of a PEM certificate, or a PEM key."""
    if b"BEGIN CERTIFICATE" in pem:
        return x509.load_pem_x509_certificate(pem).public_key()
    return serialization.load_pem_public_key(pem)


def _verify(key: Any, signature: bytes, digest: bytes) -> None:
    algorithm = utils.Prehashed(_DIGESTS[len(digest)])
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, digest, ec.ECDSA(algorithm))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(signature, digest, padding.PKCS1v15(), algorithm)
    else:
        raise ValueError(f"{_kind(key)} doesn't sign digests")


def _verify_message(key: Any, signature: bytes, message: bytes) -> None:
    if isinstance(key, ed25519.Ed25519PublicKey):
        key.verify(signature, message)
        return
    algorithm = _CURVES[key.curve.name] if isinstance(key, ec.EllipticCurvePublicKey) else hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(message)
    _verify(key, signature, digest.finalize())


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
