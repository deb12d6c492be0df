"""Evidence: a signature statement in a bundle in a store, judged under a trust policy.

``[signer]`` (``name``: one of the usual signers, or a stranger; ``says``: whose key hint it gives), ``[trust]``
(fields of the pipeline's entry, such as its validity; ``roles``), then ``[[statement]]`` (signed again, unless
``[tampered]`` is there), ``[[bundle]]`` and ``[[raw]]``.
"""

from __future__ import annotations

import json
from typing import Any

from airflow_mlsecops.core.bundle import Bundle, pre_authentication_encoding
from airflow_mlsecops.core.evidence import verify_bundle
from airflow_mlsecops.core.predicates import signature
from tests.support.evidence import NOW, ROLES, RUN, artifact, key, trust
from tests.support.hostile import Bench
from tests.support.hostile.edits import edit_bytes, edit_json
from tests.support.oms_models import base64_text

EDITS = {"bundle", "raw", "signer", "statement", "tampered", "trust"}


def judge(bench: Bench) -> None:
    """Sign, spoil, read and judge."""
    case = bench.case.edits
    who = key(case.get("signer", {}).get("name", "pipeline"))
    payload = signature.build(artifact(), signed_at=NOW, evidence=[], run=RUN).payload
    statement = json.loads(payload)
    edit_json(statement, bench.edits("statement"))
    changed = json.dumps(statement).encode() if bench.edits("statement") else payload
    signed = payload if "tampered" in case else changed
    value: dict[str, Any] = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": who.public_key.hint}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64_text(changed),
            "payloadType": "application/vnd.in-toto+json",
            "signatures": [{"sig": base64_text(who._sign(pre_authentication_encoding(signed))), "keyid": ""}],
        },
    }
    claimed = case.get("signer", {}).get("says")
    if claimed:
        value["verificationMaterial"]["publicKey"]["hint"] = key(claimed).public_key.hint
    edit_json(value, bench.edits("bundle"))
    raw = edit_bytes(json.dumps(value).encode(), bench.edits("raw"))
    entry = dict(case.get("trust", {}))
    roles = {**ROLES, "pipeline": entry.pop("roles", ROLES["pipeline"])}
    verify_bundle(Bundle.parse(bench.spoil(bundle=raw)["bundle"]), trust(roles, pipeline=entry), NOW)
