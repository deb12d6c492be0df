"""A ``model.sig`` file: a statement in a DSSE envelope in a Sigstore bundle v0.3.

Sources: ``sigstore_bundle.proto``, ``sigstore_common.proto`` and ``sigstore_rekor.proto`` of sigstore/protobuf-specs
for the JSON; OMS v1.0 for the three ways of signing, each with its own verification material.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_mlsecops.core.bundle import BUNDLE_TYPE, PAYLOAD_TYPE
from airflow_mlsecops.core.canonical import strict_json
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.oms.errors import OmsFormatError
from airflow_mlsecops.core.oms.fields import base64_bytes, constant, items, record, text

MAX_BUNDLE_BYTES = 64 * 1024 * 1024
MAX_CERTIFICATES = 10
MAX_ATTACHED = 10
"""Log entries, or timestamps, in one bundle."""
_TLOG, _STAMPS = "tlogEntries", "timestampVerificationData"


class Method(StrEnum):
    """How a model was signed."""

    KEY = "key"
    CERTIFICATE = "certificate"
    KEYLESS = "keyless"


@dataclass(frozen=True)
class OmsBundle:
    """The parts of a bundle. ``payload`` are the signed bytes; nothing here is verified.

    Attributes:
        raw: the file's bytes.
        payload: the statement's bytes.
        signature: the one signature over the payload's pre-authentication encoding.
        method: how it was signed.
        key_hint: with a key, its hint (SHA-256 of the PEM SubjectPublicKeyInfo), or empty.
        key_bytes: with a key, the key itself as releases of the format before 1.1 have it, or empty.
        certificates: DER; with a certificate the leaf and then the others, keyless the leaf alone.
        log_entries: transparency-log entries, as JSON.
        timestamps: RFC 3161 responses, DER.
    """

    raw: bytes
    payload: bytes
    signature: bytes
    method: Method
    key_hint: str = ""
    key_bytes: bytes = b""
    certificates: tuple[bytes, ...] = ()
    log_entries: tuple[Mapping[str, Any], ...] = ()
    timestamps: tuple[bytes, ...] = ()

    @classmethod
    def parse(cls, raw: bytes) -> OmsBundle:
        """Read a bundle.

        1. Strict JSON of a bounded size, with known keys only.
        2. The media type is that of v0.3; the payload type is in-toto's.
        3. Exactly one signature.
        4. Exactly one kind of verification material.
        5. Log entries and timestamps, few and well formed.

        The caller still owes the verification of all of them.

        Raises:
            OmsFormatError: if a step fails.
        """
        # 1.
        try:
            value = strict_json(raw, "bundle", limit=MAX_BUNDLE_BYTES)
        except StatementError as error:
            raise OmsFormatError(error.message, error.advice) from error
        record(value, "bundle", {"mediaType", "verificationMaterial", "dsseEnvelope"})
        envelope = record(value["dsseEnvelope"], "DSSE envelope", {"payload", "payloadType", "signatures"})
        # 2.
        constant(value["mediaType"], "media type", BUNDLE_TYPE)
        constant(envelope["payloadType"], "payload type", PAYLOAD_TYPE)
        # 3.
        signatures = items(envelope["signatures"], "signatures")
        if len(signatures) != 1:
            raise OmsFormatError(f"expected exactly one signature, got {len(signatures)}", "give one bundle a signer")
        record(signatures[0], "signature", {"sig"}, {"keyid"})
        if not isinstance(signatures[0].get("keyid", ""), str | None):  # OMS doesn't use it, but some tools fill it in
            raise OmsFormatError("the signature's keyid is no text")
        # 4.
        material = record(
            value["verificationMaterial"],
            "verification material",
            set(),
            {"publicKey", "x509CertificateChain", "certificate", _TLOG, _STAMPS},
        )
        method, fields = _material({key: item for key, item in material.items() if key not in (_TLOG, _STAMPS)})
        # 5.
        return cls(
            raw,
            base64_bytes(envelope["payload"], "payload"),
            base64_bytes(signatures[0]["sig"], "signature"),
            method,
            log_entries=_log_entries(material.get(_TLOG, [])),
            timestamps=_timestamps(material.get(_STAMPS, {})),
            **fields,
        )


def _material(material: Mapping[str, Any]) -> tuple[Method, dict[str, Any]]:
    if len(material) != 1:
        raise OmsFormatError(f"expected one kind of verification material, got {sorted(material)}")
    if "publicKey" in material:
        key = record(material["publicKey"], "public key", set(), {"hint", "rawBytes", "keyDetails"})
        hint = text(key["hint"], "public key's hint") if "hint" in key else ""
        if hint and "rawBytes" not in key:
            return Method.KEY, {"key_hint": hint}
        return Method.KEY, {"key_hint": hint, "key_bytes": base64_bytes(key.get("rawBytes"), "public key")}
    if "certificate" in material:
        return Method.KEYLESS, {"certificates": (_certificate(material["certificate"]),)}
    chain = items(record(material["x509CertificateChain"], "chain", {"certificates"})["certificates"], "certificates")
    if not 1 <= len(chain) <= MAX_CERTIFICATES:
        raise OmsFormatError(f"expected 1 to {MAX_CERTIFICATES} certificates, got {len(chain)}")
    return Method.CERTIFICATE, {"certificates": tuple(_certificate(item) for item in chain)}


def _certificate(item: Any) -> bytes:
    return base64_bytes(record(item, "certificate", {"rawBytes"})["rawBytes"], "certificate")


def _few(value: Any, what: str) -> list[Any]:
    found = items(value, what)
    if len(found) > MAX_ATTACHED:
        raise OmsFormatError(f"{len(found)} {what}, more than the {MAX_ATTACHED} that are read")
    return found


def _log_entries(value: Any) -> tuple[Mapping[str, Any], ...]:
    found = _few(value, "log entries")
    if not all(isinstance(item, dict) for item in found):
        raise OmsFormatError("a log entry that is no object")
    return tuple(found)


def _timestamps(value: Any) -> tuple[bytes, ...]:
    found = record(value, "timestamps", set(), {"rfc3161Timestamps"}).get("rfc3161Timestamps", [])
    return tuple(
        base64_bytes(record(item, "timestamp", {"signedTimestamp"})["signedTimestamp"], "timestamp")
        for item in _few(found, "timestamps")
    )


def build_bundle(payload: bytes, signature: bytes, *, key_hint: str = "", certificates: Sequence[bytes] = ()) -> bytes:
    """Put a signed statement into a bundle.

    Args:
        payload: the statement's bytes.
        signature: over its pre-authentication encoding.
        key_hint: of the key, when it was signed with a key.
        certificates: DER, the leaf first, when it was signed with a certificate.
    """
    material: dict[str, Any] = {"publicKey": {"hint": key_hint}}
    if certificates:
        chain = [{"rawBytes": base64.b64encode(item).decode()} for item in certificates]
        material = {"x509CertificateChain": {"certificates": chain}}
    value = {
        "mediaType": BUNDLE_TYPE,
        "verificationMaterial": {**material, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
        },
    }
    return json.dumps(value, separators=(",", ":")).encode()
