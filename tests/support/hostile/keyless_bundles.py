"""Keyless bundles of a loopback Sigstore.

``[log]`` (``version``: of Rekor, 1 by default), ``[[bundle]]`` and ``[[root]]`` edit bundle and trust root;
``[policy]`` (``identity``, ``issuer``) says who is expected instead of who signed.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from airflow_mlsecops.core.signing.keyless_verify import KeylessIdentity, verify_keyless
from tests.support import keyless
from tests.support.hostile import Bench
from tests.support.hostile.edits import edit_json
from tests.support.loopback_sigstore import LoopbackSigstore

EDITS = {"bundle", "log", "policy", "root"}


@cache
def _signed(sigstore: LoopbackSigstore, version: int) -> bytes:
    made = keyless.signer(sigstore, version).sign_all([keyless.statement("before"), keyless.statement()])
    return made[1].raw


def judge(bench: Bench) -> None:
    """Sign, spoil, verify."""
    case, sigstore = bench.case.edits, bench.fixture("sigstore")
    value: dict[str, Any] = json.loads(_signed(sigstore, case.get("log", {}).get("version", 1)))
    edit_json(value, bench.edits("bundle"))
    root = edit_json(sigstore.trusted_root(), bench.edits("root"))
    things = bench.spoil(bundle=value, root=root)
    policy = case.get("policy", {})
    who = KeylessIdentity(policy.get("identity", keyless.IDENTITY), policy.get("issuer", sigstore.issuer.url))
    verify_keyless(keyless.to_bytes(things["bundle"]), keyless.to_root(things["root"]), [who])
