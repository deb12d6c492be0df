"""A statement in a DSSE envelope in a Sigstore bundle v0.3.

Sources: DSSE v1.0 protocol (https://github.com/secure-systems-lab/dsse/blob/master/protocol.md) for the
pre-authentication encoding; ``sigstore_bundle.proto`` of sigstore/protobuf-specs for the JSON.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from airflow_mlsecops.core.bundle_material import LogEntry, Material, decode, fields
from airflow_mlsecops.core.canonical import canonical_json, strict_json
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.statement import Statement

BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE = "application/vnd.in-toto+json"


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
        material: who is said to have signed, and what vouches for the time.
    """

    raw: bytes
    statement: Statement
    signature: bytes
    material: Material

    @property
    def key_hint(self) -> str:
        """Which key is said to have signed: the SHA-256 of its PEM SubjectPublicKeyInfo; empty with a certificate."""
        return self.material.key_hint

    @property
    def certificate(self) -> bytes:
        """The certificate of whoever is said to have signed, DER; empty with a key."""
        return self.material.certificate

    @property
    def entry(self) -> LogEntry | None:
        """What the bundle says of its place in a transparency log."""
        return self.material.entry

    @property
    def timestamps(self) -> tuple[bytes, ...]:
        """RFC 3161 responses, DER."""
        return self.material.timestamps

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
        4. The verification material is well-formed; see :meth:`Material.read`.
        5. The payload is a statement.

        The caller still owes the verification of all of it.

        Raises:
            StatementError: if a step fails.
        """
        # 1.
        value = fields(strict_json(raw, "bundle"), "bundle", {"mediaType", "verificationMaterial", "dsseEnvelope"})
        envelope = fields(value["dsseEnvelope"], "DSSE envelope", {"payload", "payloadType", "signatures"})
        # 2.
        if value["mediaType"] != BUNDLE_TYPE or envelope["payloadType"] != PAYLOAD_TYPE:
            raise StatementError(
                f"expected {BUNDLE_TYPE} with {PAYLOAD_TYPE}", "this bundle is of a kind that isn't read here"
            )
        # 3.
        signatures = envelope["signatures"]
        if not isinstance(signatures, list) or len(signatures) != 1:
            raise StatementError("expected exactly one signature in the envelope")
        signature = fields(signatures[0], "signature", {"sig"}, {"keyid"})
        # 4.
        material = Material.read(value["verificationMaterial"])
        if not isinstance(signature.get("keyid", ""), str) or (material.certificate and signature.get("keyid")):
            raise StatementError("the signature's key id is no text, or stands beside a certificate")
        # 5.
        statement = Statement.parse(decode(envelope["payload"], "payload"))
        return cls(raw, statement, decode(signature["sig"], "signature"), material)
