"""Verify what vouches for the time of a signature made with a key: a log entry, time stamps, or both.

With a certificate :mod:`~airflow_mlsecops.core.signing.keyless_verify` does this, and more.

::

    times = verify_attached(bundle, SigstoreRoot.from_bytes(Path("trusted_root.json").read_bytes()), key)
    at = max(times)  # no single source of time can make the signature look older than it is

Sources: RFC 6962 for tree and proofs; https://c2sp.org/tlog-checkpoint and https://c2sp.org/signed-note for the
checkpoint; Rekor's "signed entry timestamp" for the inclusion promise; RFC 3161 for time stamps.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives import serialization

from airflow_mlsecops.core.bundle import Bundle, pre_authentication_encoding
from airflow_mlsecops.core.bundle_material import LogEntry, decode
from airflow_mlsecops.core.canonical import canonical_json, strict_json
from airflow_mlsecops.core.errors import MlsecopsError, SignatureError, StatementError
from airflow_mlsecops.core.log.note import NoteKey, open_note
from airflow_mlsecops.core.oms.log_entries import Signed, check_log_entry
from airflow_mlsecops.core.signing.keyless_root import SigstoreRoot
from airflow_mlsecops.core.signing.keyless_verify import stamp_time
from airflow_mlsecops.core.signing.keys import PublicKey


def verify_attached(bundle: Bundle, root: SigstoreRoot, key: PublicKey) -> tuple[datetime, ...]:
    """Verify a bundle that was signed with ``key``, and everything in it that proves when.

    1. The bundle names this key, and the signature over the statement is by it.
    2. Every time stamp is by a time-stamping authority of the trust root, valid then, over this very signature.
    3. The log entry, if there is one, is about this bundle: these bytes, this signature, this key; and its inclusion
       proof leads to the root in its checkpoint.
    4. The trust root has that log, its key was valid at all those times, and signed the checkpoint and, where the entry
       tells a time, the promise that goes with it.
    5. Something proves a time. A bundle without log entry and time stamp is refused, not taken for one of any time.

    The caller still owes: whether this signer may make this kind of statement at these times, and whether it asks for a
    log entry (``bundle.entry``), which a bundle with time stamps alone doesn't have.

    Args:
        bundle: what was signed.
        root: the trust root of the instance whose log and stamps count.
        key: who has to have signed.

    Returns:
        Every trusted time that the bundle proves, at least one.

    Raises:
        StatementError: if nothing in it proves a time, or it was signed with a certificate.
        TrustError: if the log isn't in the trust root, or its key wasn't valid then.
        SignatureError: if anything doesn't verify.
    """
    # 1.
    if bundle.key_hint != key.hint:
        raise StatementError(
            f"expected a bundle signed with key {key.hint[:16]}…, got {bundle.key_hint[:16] or 'none'}"
        )
    key.verify(bundle.signature, pre_authentication_encoding(bundle.statement.payload))
    # 2.
    times = [stamp_time(stamp, bundle.signature, root.full()) for stamp in bundle.timestamps]
    if bundle.entry is not None:
        # 3.
        entry = _checked_entry(bundle, key)
        if bundle.entry.integrated_time is not None:
            times.append(bundle.entry.integrated_time)  # its promise is verified in step 4
        # 4.
        if times:
            _verify_log(entry, bundle.entry, NoteKey(*root.log_key(bundle.entry.log_id, times)))
    # 5.
    if not times:
        raise StatementError("nothing in the bundle proves when it was signed", "sign with a log and a time stamp")
    return tuple(times)


def _checked_entry(bundle: Bundle, key: PublicKey) -> Mapping[str, Any]:
    """The log entry as JSON, once it is known to be about this bundle."""
    entry: Mapping[str, Any] = strict_json(bundle.raw, "bundle")["verificationMaterial"]["tlogEntries"][0]
    public = serialization.load_pem_public_key(key.pem.encode())
    verifier = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        check_log_entry(entry, Signed(bundle.statement.payload, bundle.signature, verifier))
    except SignatureError as error:
        raise SignatureError(error.message, error.advice) from error
    return entry


def _verify_log(entry: Mapping[str, Any], read: LogEntry, log: NoteKey) -> None:
    try:
        open_note(entry["inclusionProof"]["checkpoint"]["envelope"].encode(), [log])
        if read.integrated_time is not None:
            promise = {
                "body": entry["canonicalizedBody"],
                "integratedTime": int(entry["integratedTime"]),
                "logID": read.log_id.hex(),
                "logIndex": read.index,
            }
            signature = decode(entry["inclusionPromise"]["signedEntryTimestamp"], "inclusion promise")
            log.public_key.verify(signature, canonical_json(promise))
    except MlsecopsError as error:
        raise SignatureError(
            f"the log entry is not vouched for by {log.name}: {error.message}", "don't use what it signs"
        ) from error
