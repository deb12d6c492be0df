"""``model.sig`` files: a model on disk, a good signature of it, and what is wrong with one of them.

``[certificate]`` signs with a certificate (``start``, ``end``: dates; ``purpose``; ``root``: ``other`` or ``self``;
``ca``), ``[signer]`` (``who = "stranger"``; ``says = "trusted"``) with a key that nobody trusts. ``[log_entry]`` and
``[timestamp]`` staple one to the bundle (``about = "another"``: about somebody else's). Then, in this order:
``[[statement]]`` (signed again, unless ``[tampered]`` is there), ``[[bundle]]``, ``[[raw]]``, ``[[file]]``.
``[verify]`` (``ignore``) says how it is verified.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from cryptography.x509.oid import ExtendedKeyUsageOID

from airflow_mlsecops.core.bundle import pre_authentication_encoding
from airflow_mlsecops.core.oms import CertificateTrust, OmsBundle, OmsTrust, verify_oms
from airflow_mlsecops.core.oms.bundle import build_bundle
from airflow_mlsecops.core.oms.certificates import der
from tests.support.hostile import Bench
from tests.support.hostile.edits import edit_bytes, edit_files, edit_json
from tests.support.oms_logs import key_entry, timestamp
from tests.support.oms_models import base64_text, signed, signer, stranger, write_model
from tests.support.oms_pki import DURING, END, START, Identity, issue, root

EDITS = {
    "certificate",
    "file",
    "bundle",
    "log_entry",
    "raw",
    "signer",
    "statement",
    "tampered",
    "timestamp",
    "verify",
}
_PURPOSES = {
    "code": (ExtendedKeyUsageOID.CODE_SIGNING,),
    "server": (ExtendedKeyUsageOID.SERVER_AUTH,),
    "none": (),
}


def judge(bench: Bench) -> None:
    """Sign, spoil, verify."""
    case, model = bench.case.edits, write_model(bench.folder / "digits")
    good = signed(model)
    payload = OmsBundle.parse(good).payload
    statement = json.loads(payload)
    edit_json(statement, bench.edits("statement"))
    changed = json.dumps(statement).encode() if bench.edits("statement") else payload
    trust: OmsTrust = signer().public_key
    if "certificate" in case:
        identity = _certificate(case["certificate"])
        bundle = build_bundle(
            changed,
            identity.signer._sign(pre_authentication_encoding(changed)),
            certificates=[der(identity.certificate)],
        )
        trust = CertificateTrust((root().certificate,))
    else:
        by = stranger() if case.get("signer", {}).get("who") == "stranger" else signer()
        hint = signer().public_key.hint if case.get("signer", {}).get("says") == "trusted" else by.public_key.hint
        signature = by._sign(pre_authentication_encoding(payload if "tampered" in case else changed))
        bundle = build_bundle(changed, signature, key_hint=hint)
    value = json.loads(bundle)
    _staple(value, bundle, case)
    edit_json(value, bench.edits("bundle"))
    raw = edit_bytes(json.dumps(value).encode(), bench.edits("raw"))
    edit_files(model, bench.edits("file"))
    things = bench.spoil(bundle=raw, model=model)
    verify_oms(
        things["bundle"], things["model"], trust=trust, at=DURING, ignore=case.get("verify", {}).get("ignore", ())
    )


def _certificate(how: dict[str, Any]) -> Identity:
    authority = issue("Other Root", authority=True) if how.get("root") == "other" else root()
    return issue(
        "Signer",
        None if how.get("root") == "self" else authority,
        authority=how.get("ca", False),
        start=_day(how, "start", START),
        end=_day(how, "end", END),
        purposes=_PURPOSES[how.get("purpose", "code")],
    )


def _day(how: dict[str, Any], key: str, default: datetime) -> datetime:
    return datetime.fromisoformat(how[key]) if key in how else default


def _staple(value: dict[str, Any], bundle: bytes, case: Any) -> None:
    """Put a log entry, a time stamp or both into the bundle."""
    other = build_bundle(b"{}", signer()._sign(b"other"), key_hint=signer().public_key.hint)
    if "log_entry" in case:
        how = case["log_entry"]
        about = other if how.get("about") == "another" else bundle
        key = stranger() if how.get("key") == "stranger" else signer()
        value["verificationMaterial"]["tlogEntries"] = [key_entry(about, "dsse", "0.0.1", key.public_key.pem)]
    if "timestamp" in case:
        over = OmsBundle.parse(other if case["timestamp"].get("about") == "another" else bundle).signature
        stamps = [{"signedTimestamp": base64_text(timestamp(over))}]
        value["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
