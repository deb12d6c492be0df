"""Transparency-log entries and timestamps that come with a bundle must be about this very bundle.

``model_signing`` ignores them when it verifies with a key or a certificate, so that any entry can be stapled to any
model. Here an entry that is about something else is refused, and so is one whose proof doesn't add up. That gives no
trust in the log or in the stamp's authority: nobody asks here who signed the checkpoint, or the stamp. For trusted time
use a signer with a trust root.

Sources: Rekor's ``dsse`` and ``hashedrekord`` entry types 0.0.1 and 0.0.2; RFC 6962 section 2.1 for the Merkle tree;
RFC 3161 for timestamps.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from airflow_mlsecops.core.bundle import pre_authentication_encoding
from airflow_mlsecops.core.canonical import strict_json
from airflow_mlsecops.core.errors import MissingExtraError, StatementError
from airflow_mlsecops.core.oms.certificates import der
from airflow_mlsecops.core.oms.errors import OmsFormatError, OmsLogEntryError
from airflow_mlsecops.core.oms.fields import base64_bytes, constant, items, record, text, whole

_MAX_BODY = 1024 * 1024
_HASHES = {"sha256": "sha256", "sha384": "sha384", "sha512": "sha512"}
_V2_HASHES = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}
_OIDS = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}


@dataclass(frozen=True)
class Signed:
    """What an entry has to be about.

    Attributes:
        payload: the statement's bytes.
        signature: over its pre-authentication encoding.
        verifier: DER of the signing certificate, or of the key's SubjectPublicKeyInfo.
    """

    payload: bytes
    signature: bytes
    verifier: bytes


def check_log_entry(entry: Any, signed: Signed) -> None:
    """Check that a log entry is about this bundle, and that its inclusion proof adds up.

    1. Its parts are known and of their types.
    2. Its body, of a known kind, holds the hash of these bytes, this signature, and this key or certificate.
    3. The body's leaf hash leads, by the inclusion proof, to the proof's root, and the checkpoint has the same root.

    Raises:
        OmsLogEntryError: if a step fails.
    """
    try:
        # 1.
        record(
            entry,
            "log entry",
            {"logIndex", "logId", "kindVersion", "canonicalizedBody"},
            {"integratedTime", "inclusionPromise", "inclusionProof"},
        )
        body_bytes = base64_bytes(entry["canonicalizedBody"], "log entry's body")
        kind = record(entry["kindVersion"], "kind", {"kind", "version"})
        # 2.
        body = strict_json(body_bytes, "log entry's body", limit=_MAX_BODY)
        record(body, "log entry's body", {"apiVersion", "kind", "spec"})
        constant(body["kind"], "kind", kind["kind"])
        constant(body["apiVersion"], "version", kind["version"])
        reader = _BODIES.get((str(kind["kind"]), str(kind["version"])))
        if reader is None:
            raise OmsFormatError(f"log entry of kind {str(kind['kind'])[:40]} {str(kind['version'])[:20]}")
        reader(body["spec"], signed)
        # 3.
        if "inclusionProof" in entry:
            _check_inclusion(entry["inclusionProof"], body_bytes)
    except StatementError as error:
        raise OmsLogEntryError(f"log entry: {error.message}", "it isn't this bundle's; get the bundle again") from error


def check_timestamp(response: bytes, signature: bytes) -> None:
    """Check that an RFC 3161 timestamp is over this signature.

    Raises:
        OmsLogEntryError: if it is over something else, or can't be read.
        MissingExtraError: if the library that reads timestamps isn't installed.
    """
    try:
        from rfc3161_client import decode_timestamp_response
    except ImportError as error:
        raise MissingExtraError("timestamps can't be read without rfc3161-client", "install sigstore") from error
    try:
        imprint = decode_timestamp_response(response).tst_info.message_imprint
        algorithm = _OIDS.get(imprint.hash_algorithm.dotted_string, "")
        same = algorithm and hashlib.new(algorithm, signature).digest() == imprint.message
    except ValueError as error:
        raise OmsLogEntryError(f"timestamp: it can't be read: {error}", "it was damaged") from error
    if not same:
        raise OmsLogEntryError("timestamp: it is over another signature", "it isn't this bundle's")


def _dsse_v1(spec: Any, signed: Signed) -> None:
    record(spec, "dsse entry", {"envelopeHash", "payloadHash", "signatures"})
    _expect(_hex_hash(spec["payloadHash"], signed.payload), "payload")
    signature = record(_only(spec["signatures"]), "signature", {"signature", "verifier"})
    _expect(base64_bytes(signature["signature"], "signature") == signed.signature, "signature")
    _expect(_pem_to_der(signature["verifier"]) == signed.verifier, "key or certificate")


def _dsse_v2(spec: Any, signed: Signed) -> None:
    inner = record(record(spec, "dsse entry", {"dsseV002"})["dsseV002"], "dsse entry", {"payloadHash", "signatures"})
    _expect(_v2_hash(inner["payloadHash"], signed.payload), "payload")
    _v2_signature(_only(inner["signatures"]), signed)


def _hashedrekord_v1(spec: Any, signed: Signed) -> None:
    record(spec, "hashedrekord entry", {"data", "signature"})
    data = record(spec["data"], "data", {"hash"})
    _expect(_hex_hash(data["hash"], pre_authentication_encoding(signed.payload)), "payload")
    signature = record(spec["signature"], "signature", {"content", "publicKey"})
    _expect(base64_bytes(signature["content"], "signature") == signed.signature, "signature")
    key = record(signature["publicKey"], "public key", {"content"})
    _expect(_pem_to_der(key["content"]) == signed.verifier, "key or certificate")


def _hashedrekord_v2(spec: Any, signed: Signed) -> None:
    inner = record(spec, "hashedrekord entry", {"hashedRekordV002"})["hashedRekordV002"]
    record(inner, "hashedrekord entry", {"data", "signature"})
    _expect(_v2_hash(inner["data"], pre_authentication_encoding(signed.payload)), "payload")
    _v2_signature(inner["signature"], signed)


_BODIES: Mapping[tuple[str, str], Callable[[Any, Signed], None]] = {
    ("dsse", "0.0.1"): _dsse_v1,
    ("dsse", "0.0.2"): _dsse_v2,
    ("hashedrekord", "0.0.1"): _hashedrekord_v1,
    ("hashedrekord", "0.0.2"): _hashedrekord_v2,
}


def _expect(same: bool, what: str) -> None:
    if not same:
        raise OmsFormatError(f"it is about another {what}")


def _only(value: Any) -> Any:
    found = items(value, "signatures")
    if len(found) != 1:
        raise OmsFormatError(f"expected one signature in it, got {len(found)}")
    return found[0]


def _hex_hash(value: Any, data: bytes) -> bool:
    record(value, "hash", {"algorithm", "value"})
    algorithm = _HASHES.get(text(value["algorithm"], "hash algorithm"), "")
    return bool(algorithm) and hashlib.new(algorithm, data).hexdigest() == value["value"]


def _v2_hash(value: Any, data: bytes) -> bool:
    record(value, "hash", {"algorithm", "digest"})
    algorithm = _V2_HASHES.get(text(value["algorithm"], "hash algorithm"), "")
    return bool(algorithm) and hashlib.new(algorithm, data).digest() == base64_bytes(value["digest"], "digest")


def _v2_signature(value: Any, signed: Signed) -> None:
    signature = record(value, "signature", {"content", "verifier"})
    _expect(base64_bytes(signature["content"], "signature") == signed.signature, "signature")
    verifier = record(signature["verifier"], "verifier", {"keyDetails"}, {"publicKey", "x509Certificate"})
    keys = [verifier[name] for name in ("publicKey", "x509Certificate") if name in verifier]
    if len(keys) != 1:
        raise OmsFormatError("expected a key or a certificate in it")
    raw = base64_bytes(record(keys[0], "verifier", {"rawBytes"})["rawBytes"], "key")
    _expect(raw == signed.verifier, "key or certificate")


def _pem_to_der(value: Any) -> bytes:
    pem = base64_bytes(value, "key")
    try:
        if b"BEGIN CERTIFICATE" in pem:
            return der(x509.load_pem_x509_certificate(pem))
        key = serialization.load_pem_public_key(pem)
        return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    except ValueError as error:
        raise OmsFormatError("its key or certificate can't be read") from error


def _check_inclusion(proof: Any, body: bytes) -> None:
    record(proof, "inclusion proof", {"logIndex", "rootHash", "treeSize"}, {"hashes", "checkpoint"})
    root = base64_bytes(proof["rootHash"], "root hash")
    index, size = whole(proof["logIndex"], "log index"), whole(proof["treeSize"], "tree size")
    hashes = [base64_bytes(item, "hash") for item in items(proof.get("hashes", []), "hashes")]
    if index >= size or root_from_proof(body, index, size, hashes) != root:
        raise OmsFormatError("its inclusion proof doesn't lead to its root")
    if "checkpoint" in proof:
        envelope = text(record(proof["checkpoint"], "checkpoint", {"envelope"})["envelope"], "checkpoint")
        lines = envelope.split("\n")
        try:
            same = int(lines[1]) == size and base64.b64decode(lines[2], validate=True) == root
        except (IndexError, ValueError, binascii.Error) as error:
            raise OmsFormatError("its checkpoint can't be read") from error
        if not same:
            raise OmsFormatError("its checkpoint is of another tree")


def root_from_proof(body: bytes, index: int, size: int, hashes: list[bytes]) -> bytes | None:
    """The root to which an inclusion proof leads (RFC 9162 section 2.1.3.2), or None if it has a wrong length."""
    node, last = index, size - 1
    result = hashlib.sha256(b"\x00" + body).digest()
    for sibling in hashes:
        if last == 0:
            return None
        if node & 1 or node == last:
            result = hashlib.sha256(b"\x01" + sibling + result).digest()
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            result = hashlib.sha256(b"\x01" + result + sibling).digest()
        node, last = node >> 1, last >> 1
    return result if last == 0 else None
