"""What stands in a bundle beside the statement: who signed, its place in a transparency log, and time stamps.

Every field is read, and what isn't expected is refused: what a reader ignores could be changed unnoticed.

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

from airflow_mlsecops.core.errors import StatementError

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
class Material:
    """The verification material of one bundle. Nothing of it is verified yet.

    Attributes:
        key_hint: which key is said to have signed; empty if a certificate says it.
        certificate: the signer's certificate, DER; empty if it was a key.
        entry: the place in a transparency log; always there with a certificate.
        timestamps: RFC 3161 TimeStampResp, DER each.
    """

    key_hint: str = ""
    certificate: bytes = b""
    entry: LogEntry | None = None
    timestamps: tuple[bytes, ...] = ()

    @classmethod
    def read(cls, value: Any) -> Material:
        """Read verification material.

        1. The signer is one key's hint or one certificate (not a chain, not both).
        2. At most one log entry of a kind that a DSSE envelope has, with inclusion proof and checkpoint; a certificate
           is worth nothing without one.
        3. Rekor v2 tells no time: with its entry at least one time stamp must be there. A certificate needs a time in
           any case: Rekor v1's promise, or a time stamp.

        Raises:
            StatementError: if a step fails.
        """
        material = fields(
            value,
            "verification material",
            set(),
            {"publicKey", "certificate", "tlogEntries", "timestampVerificationData"},
        )
        # 1.
        hint, certificate = _signer(material)
        # 2.
        entries = material.get("tlogEntries", [])  # protobuf's JSON leaves empty lists out
        if not isinstance(entries, list) or len(entries) > 1 or (certificate and not entries):
            raise StatementError(f"expected {'exactly' if certificate else 'at most'} one log entry")
        entry = _entry(entries[0]) if entries else None
        # 3.
        timestamps = _timestamps(material.get("timestampVerificationData", {}))
        if entry is not None and entry.log_version == 2 and not timestamps:
            raise StatementError("an entry of Rekor v2 without a time stamp has no time", "sign with a TSA configured")
        if certificate and entry is not None and entry.integrated_time is None and not timestamps:
            raise StatementError("neither an inclusion promise nor a time stamp", "nothing says when it was signed")
        return cls(hint, certificate, entry, timestamps)


def _signer(material: dict[str, Any]) -> tuple[str, bytes]:
    if ("publicKey" in material) == ("certificate" in material):
        raise StatementError("expected a public key's hint or a certificate as verification material")
    if "certificate" in material:
        certificate = fields(material["certificate"], "certificate", {"rawBytes"})
        return "", decode(certificate["rawBytes"], "certificate")
    hint = fields(material["publicKey"], "public key", {"hint"})["hint"]
    if not isinstance(hint, str) or not hint:
        raise StatementError("expected a public key's hint as verification material")
    return hint, b""


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
    entry = fields(
        value,
        "log entry",
        {"logIndex", "logId", "kindVersion", "inclusionProof", "canonicalizedBody"},
        {"integratedTime", "inclusionPromise"},
    )
    kind = fields(entry["kindVersion"], "kind of log entry", {"kind", "version"})
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
        promise = fields(entry["inclusionPromise"], "inclusion promise", {"signedEntryTimestamp"})
        decode(promise["signedEntryTimestamp"], "inclusion promise")
        integrated = _moment(_number(entry["integratedTime"], "integrated time"))
    log_id = decode(fields(entry["logId"], "log id", {"keyId"})["keyId"], "log id")
    return LogEntry(version, log_id, index, integrated)


def _proof(value: Any) -> int:
    """Check an inclusion proof's form and that its checkpoint is about the same tree; returns the leaf's index."""
    proof = fields(value, "inclusion proof", {"logIndex", "rootHash", "treeSize", "checkpoint"}, {"hashes"})
    hashes = proof.get("hashes", [])
    if not isinstance(hashes, list) or any(len(decode(item, "proof")) != 32 for item in hashes):
        raise StatementError("expected a list of SHA-256 digests as inclusion proof")
    root, size = decode(proof["rootHash"], "root hash"), _number(proof["treeSize"], "tree size")
    index = _number(proof["logIndex"], "log index")
    text = fields(proof["checkpoint"], "checkpoint", {"envelope"})["envelope"]
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
    stamps = fields(value, "time stamps", set(), {"rfc3161Timestamps"}).get("rfc3161Timestamps", [])
    if not isinstance(stamps, list) or len(stamps) > MAX_TIMESTAMPS:
        raise StatementError(f"expected a list of at most {MAX_TIMESTAMPS} time stamps")
    found = [fields(item, "time stamp", {"signedTimestamp"})["signedTimestamp"] for item in stamps]
    return tuple(decode(item, "time stamp") for item in found)


def fields(value: Any, what: str, required: set[str], optional: frozenset[str] | set[str] = frozenset()) -> Any:
    """Check that ``value`` is an object with these keys and no others.

    Raises:
        StatementError: if it isn't.
    """
    if not isinstance(value, dict) or not required <= set(value) <= required | optional:
        found = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise StatementError(f"expected a {what} with {sorted(required or optional)}, got {str(found)[:200]}")
    return value


def _number(text: Any, what: str) -> int:
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise StatementError(f"the {what} is not a number in a string")
    return int(text)


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise StatementError("the integrated time is no time") from error
