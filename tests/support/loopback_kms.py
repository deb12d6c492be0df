"""AWS KMS on 127.0.0.1: GetPublicKey and Sign in the AWS JSON 1.1 protocol, with real keys and the real semantics.

moto hashes once more what is marked as ``MessageType=DIGEST``; here a digest is signed as it is, and one of a wrong
length is refused, as by the service. Source: the API reference of AWS KMS.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from tests.support.loopback_sigstore.web import Listener, Request, Response

ACCOUNT = "arn:aws:kms:eu-central-1:111122223333"
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_EC = {"secp256r1": "256", "secp384r1": "384", "secp521r1": "512", "secp256k1": "256"}


class KmsError(Exception):
    """An error as the service answers it."""

    def __init__(self, code: str, status: int = 400) -> None:
        super().__init__(code)
        self.response = Response(
            json.dumps({"__type": code, "message": "as asked by the test"}).encode(),
            status,
            "application/x-amz-json-1.1",
        )


@dataclass
class LoopbackKms:
    """A key service.

    Attributes:
        keys: by key id.
        aliases: key ids by ``alias/name``.
        usage: what GetPublicKey says the keys are for.
        fault: answer every request with this error.
        tamper: change this in the answers, by name of the field.
        requests: every action with its parameters.
    """

    keys: dict[str, Key] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    usage: str = "SIGN_VERIFY"
    fault: KmsError | None = None
    tamper: dict[str, Any] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    listener: Listener = field(default_factory=Listener)

    def __enter__(self) -> LoopbackKms:
        self.listener.serve({"POST /": self._answer})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.listener.close()

    @property
    def url(self) -> str:
        """Its endpoint."""
        return self.listener.url

    def _answer(self, request: Request) -> Response:
        action = request.headers.get("x-amz-target", "").removeprefix("TrentService.")
        wish = request.json()
        self.requests.append((action, wish))
        try:
            if self.fault is not None:
                raise self.fault
            assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 ")
            answer = {"GetPublicKey": self._public_key, "Sign": self._sign}[action](*self._find(wish["KeyId"]), wish)
        except KmsError as error:
            return error.response
        return Response(json.dumps(answer | self.tamper).encode(), content_type="application/x-amz-json-1.1")

    def _find(self, name: str) -> tuple[str, Key]:
        resource = name.rpartition(":")[2].removeprefix("key/")
        key_id = self.aliases.get(resource, resource)
        if key_id not in self.keys:
            raise KmsError("NotFoundException")
        return f"{ACCOUNT}:key/{key_id}", self.keys[key_id]

    def _public_key(self, arn: str, key: Key, _: dict[str, Any]) -> dict[str, Any]:
        der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return {
            "KeyId": arn,
            "KeyUsage": self.usage,
            "PublicKey": base64.b64encode(der).decode(),
            "SigningAlgorithms": _algorithms(key),
        }

    def _sign(self, arn: str, key: Key, wish: dict[str, Any]) -> dict[str, Any]:
        algorithm, message = wish["SigningAlgorithm"], base64.b64decode(wish["Message"])
        if algorithm not in _algorithms(key):
            raise KmsError("InvalidKeyUsageException")
        kind = _HASHES[algorithm[-3:]]
        if wish.get("MessageType", "RAW") == "RAW":
            if len(message) > 4096:
                raise KmsError("ValidationException")
            digest = hashes.Hash(kind)
            digest.update(message)
            message = digest.finalize()
        if len(message) != kind.digest_size:
            raise KmsError("ValidationException")
        if isinstance(key, ec.EllipticCurvePrivateKey):
            signature = key.sign(message, ec.ECDSA(utils.Prehashed(kind)))
        else:
            signature = key.sign(message, padding.PKCS1v15(), utils.Prehashed(kind))
        return {"KeyId": arn, "Signature": base64.b64encode(signature).decode(), "SigningAlgorithm": algorithm}


def _algorithms(key: Key) -> list[str]:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return [f"ECDSA_SHA_{_EC[key.curve.name]}"]
    return [f"RSASSA_PKCS1_V1_5_SHA_{size}" for size in _HASHES]
