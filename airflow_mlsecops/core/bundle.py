"""A statement in a DSSE envelope in a Sigstore bundle v0.3.

Sources: DSSE v1.0 protocol (https://github.com/secure-systems-lab/dsse/blob/master/protocol.md) for the
pre-authentication encoding; ``sigstore_bundle.proto`` of sigstore/protobuf-specs for the JSON.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from airflow_mlsecops.core.canonical import canonical_json, strict_json
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.statement import Statement

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
_BUNDLE_KEYS = {"mediaType", "verificationMaterial", "dsseEnvelope"}
_ENVELOPE_KEYS = {"payload", "payloadType", "signatures"}
_SIGNATURE_KEYS = {"sig", "keyid"}
_MATERIAL_KEYS = {"publicKey", "tlogEntries"}


def pre_authentication_encoding(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """DSSE's PAE: what is really signed, so that a payload can't be taken for one of another type."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True)
class Bundle:
    """One signed statement. ``raw`` are the bytes as they lie in the store; everything else is a view of them.

    Attributes:
        raw: the bundle's JSON bytes.
        statement: what is claimed. Believe nothing of it before the signature is verified.
        signature: the one signature over the statement's PAE.
        key_hint: which key is said to have signed: the SHA-256 of its PEM SubjectPublicKeyInfo. Only a hint.
    """

    raw: bytes
    statement: Statement
    signature: bytes
    key_hint: str

    @property
    def digest(self) -> Sha256:
        """The bundle's address in the store."""
        return sha256_bytes(self.raw)

    @classmethod
    def build(cls, statement: Statement, signature: bytes, key_hint: str) -> Bundle:
        """Put a statement and its signature into a bundle."""
        value = {
            "mediaType": BUNDLE_TYPE,
            "verificationMaterial": {"publicKey": {"hint": key_hint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(statement.payload).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
            },
        }
        return cls.parse(canonical_json(value))

    @classmethod
    def parse(cls, raw: bytes) -> Bundle:
        """Read a bundle.

        1. Strict JSON: no duplicate keys, no unknown keys where something could hide.
        2. The media type is that of v0.3; the payload type is in-toto's.
        3. Exactly one signature: people who decide together give one bundle each.
        4. The key material is a public-key hint (certificates are not read yet, and so refused).
        5. The payload is a statement.

        The caller still owes the verification of the signature.

        Raises:
            StatementError: if a step fails.
        """
        # 1.
        value = strict_json(raw, "bundle")
        _exact_keys(value, _BUNDLE_KEYS, "bundle")
        envelope, material = value["dsseEnvelope"], value["verificationMaterial"]
        _exact_keys(envelope, _ENVELOPE_KEYS, "DSSE envelope")
        # 2.
        if value["mediaType"] != BUNDLE_TYPE or envelope["payloadType"] != PAYLOAD_TYPE:
            raise StatementError(
                f"expected {BUNDLE_TYPE} with {PAYLOAD_TYPE}", "this bundle is of a kind that isn't read here"
            )
        # 3.
        signatures = envelope["signatures"]
        if not isinstance(signatures, list) or len(signatures) != 1:
            raise StatementError("expected exactly one signature in the envelope")
        _exact_keys(signatures[0], _SIGNATURE_KEYS, "signature")
        # 4.
        if isinstance(material, dict):
            material = {"tlogEntries": [], **material}  # protobuf's JSON leaves empty lists out
        _exact_keys(material, _MATERIAL_KEYS, "verification material")
        _exact_keys(material["publicKey"], {"hint"}, "public key")
        hint = material["publicKey"]["hint"]
        if not isinstance(hint, str) or not hint:
            raise StatementError("expected a public key's hint as verification material")
        # 5.
        statement = Statement.parse(_base64(envelope["payload"], "payload"))
        return cls(raw, statement, _base64(signatures[0]["sig"], "signature"), hint)


def _exact_keys(value: Any, keys: set[str], what: str) -> None:
    if not isinstance(value, dict) or set(value) != keys:
        found = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise StatementError(f"expected a {what} with {sorted(keys)}, got {found}")


def _base64(text: Any, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise StatementError(f"the {what} is not base64") from error
    # Base64 has spare bits at its end: with them, one signature could be written in several ways.
    if base64.b64encode(data).decode() != text:
        raise StatementError(f"the {what} is not canonical base64")
    return data
