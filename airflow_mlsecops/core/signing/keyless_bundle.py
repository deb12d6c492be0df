"""A Sigstore bundle v0.3 whose signer is a certificate: its structure, read strictly.

sigstore-python reads bundles too, but forgives more than evidence should: what it ignores could be changed without
anybody noticing. So every field is read here, and what isn't expected is refused.

Sources: ``sigstore_bundle.proto`` and ``sigstore_rekor.proto`` of sigstore/protobuf-specs;
https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note for the checkpoint.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_mlsecops.core.bundle import BUNDLE_TYPE, PAYLOAD_TYPE
from airflow_mlsecops.core.canonical import strict_json
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.statement import Statement

ENTRY_KINDS = {("dsse", "0.0.1"): 1, ("hashedrekord", "0.0.2"): 2}
"""How Rekor logs a DSSE envelope, and which version of Rekor does it so."""

MAX_TIMESTAMPS = 8
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_SIGNATURE_LINE = re.compile("\u2014 ([^ ]+) ([^ ]+)")


@dataclass(frozen=True)
class LogEntry:
    """What the bundle says of its place in a transparency log. Nothing of it is verified yet.

    Attributes:
        log_version: 1 or 2, the version of Rekor that writes entries of this kind.
        log_id: the log's id.
        index: the entry's place in the log.
        integrated_time: when Rekor v1 says it took the entry in; None without the promise that signs it.
    """

    log_version: int
    log_id: bytes
    index: int
    integrated_time: datetime | None


@dataclass(frozen=True)
class KeylessBundle:
    """A statement signed by the holder of a short-lived certificate. Believe nothing of it before it is verified.

    Attributes:
        raw: the bundle's JSON bytes, as they are kept.
        statement: what is claimed; its payload are the bytes that were signed.
        signature: the one signature over the statement's PAE.
        certificate: the signer's certificate, DER.
        entry: the log entry.
        timestamps: RFC 3161 TimeStampResp, DER each.
    """

    raw: bytes
    statement: Statement
    signature: bytes
    certificate: bytes
    entry: LogEntry
    timestamps: tuple[bytes, ...]

    @classmethod
    def parse(cls, raw: bytes) -> KeylessBundle:
        """Read a bundle.

        1. Strict JSON: no duplicate keys, no unknown keys, canonical base64 and numbers.
        2. The media type is that of v0.3; the payload type is in-toto's; exactly one signature.
        3. The signer is one certificate (not a chain, not a key).
        4. Exactly one log entry of a kind that a DSSE envelope has, with inclusion proof and checkpoint.
        5. Rekor v2 tells no time: at least one time stamp must be there. With Rekor v1, a promise or a time stamp.
        6. The payload is a statement.

        The caller still owes the verification of all of it. See :mod:`airflow_mlsecops.core.signing.keyless_verify`.

        Raises:
            StatementError: if a step fails.
        """
        # 1. and 2.
        value = _fields(strict_json(raw, "bundle"), "bundle", {"mediaType", "verificationMaterial", "dsseEnvelope"})
        envelope = _fields(value["dsseEnvelope"], "DSSE envelope", {"payload", "payloadType", "signatures"})
        if value["mediaType"] != BUNDLE_TYPE or envelope["payloadType"] != PAYLOAD_TYPE:
            raise StatementError(f"expected {BUNDLE_TYPE} with {PAYLOAD_TYPE}", "a bundle of this kind isn't read here")
        signature = _fields(_only(envelope["signatures"], "signature"), "signature", {"sig"}, {"keyid"})
        if signature.get("keyid", "") != "":
            raise StatementError("a signature by certificate has no key id")
        # 3.
        material = _fields(
            value["verificationMaterial"],
            "verification material of a keyless signature",
            {"certificate", "tlogEntries"},
            {"timestampVerificationData"},
        )
        certificate = _fields(material["certificate"], "certificate", {"rawBytes"})
        # 4. and 5.
        entry = _entry(_only(material["tlogEntries"], "log entry"))
        timestamps = _timestamps(material.get("timestampVerificationData", {}))
        if entry.log_version == 2 and not timestamps:
            raise StatementError("an entry of Rekor v2 without a time stamp has no time", "sign with a TSA configured")
        if entry.integrated_time is None and not timestamps:
            raise StatementError("neither an inclusion promise nor a time stamp", "nothing says when it was signed")
        # 6.
        statement = Statement.parse(decode(envelope["payload"], "payload"))
        return cls(
            raw,
            statement,
            decode(signature["sig"], "signature"),
            decode(certificate["rawBytes"], "certificate"),
            entry,
            timestamps,
        )


def decode(text: Any, what: str) -> bytes:
    """Decode base64 that is written in the one canonical way and not empty.

    Raises:
        StatementError: if it isn't.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise StatementError(f"the {what} is not base64") from error
    if not data or base64.b64encode(data).decode() != text:
        raise StatementError(f"the {what} is empty or not canonical base64")
    return data


def _entry(value: Any) -> LogEntry:
    entry = _fields(
        value,
        "log entry",
        {"logIndex", "logId", "kindVersion", "inclusionProof", "canonicalizedBody"},
        {"integratedTime", "inclusionPromise"},
    )
    kind = _fields(entry["kindVersion"], "kind of log entry", {"kind", "version"})
    version = ENTRY_KINDS.get((str(kind["kind"]), str(kind["version"])))
    if version is None:
        raise StatementError(f"log entries of kind {kind['kind']} {kind['version']} are not read here")
    decode(entry["canonicalizedBody"], "log entry's body")
    index, proof_index = _number(entry["logIndex"], "log index"), _proof(entry["inclusionProof"])
    if version == 2 and index != proof_index:
        raise StatementError("the log entry and its proof name different places in the log")
    # The promise signs the time: one without the other could be anything.
    if ("integratedTime" in entry) != ("inclusionPromise" in entry) or (version == 2 and "integratedTime" in entry):
        raise StatementError("a log entry's time and its promise come together, and only from Rekor v1")
    integrated = None
    if "integratedTime" in entry:
        promise = _fields(entry["inclusionPromise"], "inclusion promise", {"signedEntryTimestamp"})
        decode(promise["signedEntryTimestamp"], "inclusion promise")
        integrated = _moment(_number(entry["integratedTime"], "integrated time"))
    log_id = decode(_fields(entry["logId"], "log id", {"keyId"})["keyId"], "log id")
    return LogEntry(version, log_id, index, integrated)


def _proof(value: Any) -> int:
    """Check an inclusion proof's form and that its checkpoint is about the same tree; returns the leaf's index."""
    proof = _fields(value, "inclusion proof", {"logIndex", "rootHash", "treeSize", "checkpoint"}, {"hashes"})
    hashes = proof.get("hashes", [])
    if not isinstance(hashes, list) or any(len(decode(item, "proof")) != 32 for item in hashes):
        raise StatementError("expected a list of SHA-256 digests as inclusion proof")
    root, size = decode(proof["rootHash"], "root hash"), _number(proof["treeSize"], "tree size")
    index = _number(proof["logIndex"], "log index")
    text = _fields(proof["checkpoint"], "checkpoint", {"envelope"})["envelope"]
    if not isinstance(text, str):
        raise StatementError("expected a text as checkpoint")
    note, _, signatures = text.partition("\n\n")
    lines = note.split("\n")
    if len(lines) < 3 or _number(lines[1], "checkpoint's tree size") != size or decode(lines[2], "root hash") != root:
        raise StatementError("the checkpoint is not about the tree of the inclusion proof")
    if index >= size:
        raise StatementError("the log entry lies outside of the tree")
    names = set()
    for line in signatures.removesuffix("\n").split("\n"):
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None:
            raise StatementError("the checkpoint has a line that is no signature")
        decode(match[2], "checkpoint's signature")
        names.add(match[1])
    # Rekor v1 adds its tree's id to the origin: "host - id".
    if not signatures.endswith("\n") or lines[0].partition(" - ")[0] not in names:
        raise StatementError("the checkpoint is not signed in the name of its log")
    return index


def _timestamps(value: Any) -> tuple[bytes, ...]:
    stamps = _fields(value, "time stamps", set(), {"rfc3161Timestamps"}).get("rfc3161Timestamps", [])
    if not isinstance(stamps, list) or len(stamps) > MAX_TIMESTAMPS:
        raise StatementError(f"expected a list of at most {MAX_TIMESTAMPS} time stamps")
    found = [_fields(item, "time stamp", {"signedTimestamp"})["signedTimestamp"] for item in stamps]
    return tuple(decode(item, "time stamp") for item in found)


def _fields(value: Any, what: str, required: set[str], optional: frozenset[str] | set[str] = frozenset()) -> Any:
    if not isinstance(value, dict) or not required <= set(value) <= required | optional:
        found = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise StatementError(f"expected a {what} with {sorted(required)}, got {str(found)[:200]}")
    return value


def _only(value: Any, what: str) -> Any:
    if not isinstance(value, list) or len(value) != 1:
        raise StatementError(f"expected exactly one {what}")
    return value[0]


def _number(text: Any, what: str) -> int:
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise StatementError(f"the {what} is not a number in a string")
    return int(text)


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise StatementError("the integrated time is no time") from error
