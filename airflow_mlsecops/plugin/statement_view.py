"""One statement: what was signed, each step of its verification taken now, and how to take them without us."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.evidence import Evidence
from airflow_mlsecops.plugin.links import Links
from airflow_mlsecops.plugin.problems import no_evidence
from airflow_mlsecops.plugin.rows import Row, row_of
from airflow_mlsecops.plugin.source import Source
from airflow_mlsecops.plugin.text import moment


@dataclass(frozen=True)
class Check:
    """One step of a verification.

    Attributes:
        name: what was asked.
        passed: the answer; ``None`` if it wasn't asked, because an earlier one failed or nothing asks for it.
        detail: what was found.
    """

    name: str
    passed: bool | None
    detail: str


@dataclass(frozen=True)
class StatementView:
    """All about one statement.

    Attributes:
        sha256: the artifact that it was looked up under.
        evidence: the bundle's digest.
        counts: whether it counts now.
        checks: the steps.
        row: what it says; ``None`` if it doesn't count, because nothing that it claims is repeated then.
        predicate_type: the kind of claim.
        statement: the signed JSON, indented; empty if it doesn't count.
        key_hint: which key signed it; empty for a certificate.
        bundle_url: where the bundle itself is.
        file_name: what the bundle is called when it is saved.
        checked_at: when all this was verified.
    """

    sha256: str
    evidence: str
    counts: bool
    checks: tuple[Check, ...]
    row: Row | None
    predicate_type: str
    statement: str
    key_hint: str
    bundle_url: str
    file_name: str
    checked_at: datetime


def statement_view(
    source: Source, sha256: Sha256, digest: Sha256, readable: frozenset[str], links: Links, now: datetime
) -> StatementView:
    """Read and judge all evidence about an artifact, and tell of one piece of it.

    Raises:
        Problem: 404, if there is no such evidence that this person may see.
        StoreUnavailableError: if the store can't be reached.
    """
    reading = source.read(sha256, now)
    dag_id = reading.dag_for(digest, readable)
    if not dag_id:
        raise no_evidence()
    bundle = reading.bundles[digest]
    counted = next((item for item in reading.evidence.verified if item.digest == digest), None)
    refused = next((item for item in reading.evidence.refused if item.digest == digest), None)
    code, why = (refused.code, refused.reason) if refused is not None else ("", "")
    checks = _checks(bundle, counted, code, why.replace(str(source.store), "the store"), source)
    return StatementView(
        sha256=sha256,
        evidence=digest,
        counts=counted is not None,
        checks=checks,
        row=row_of(counted, sha256, links, dag_id) if counted is not None else None,
        predicate_type=bundle.statement.predicate_type,
        statement=_pretty(bundle.statement.payload) if counted is not None else "",
        key_hint="" if bundle.certificate else bundle.key_hint,
        bundle_url=links.bundle(dag_id, digest),
        file_name=f"{digest}.sigstore.json",
        checked_at=now,
    )


_STEP_OF = {"signature-invalid": 1, "revoked": 3, "not-logged": 4}
"""Which step says NO with which code; every other code is of the signer's."""


def _checks(bundle: Bundle, item: Evidence | None, code: str, why: str, source: Source) -> tuple[Check, ...]:
    failed = 99 if item is not None else _STEP_OF.get(code, 2)
    rule = source.trust.log
    # Without a key that the trust policy knows nothing was there to check the signature with; of a certificate the code
    # doesn't say how far that got.
    unchecked = failed == 2 and (bool(bundle.certificate) or bundle.key_hint not in source.trust.signers)
    told = [
        ("These are the bytes that its name says", f"SHA-256 {bundle.digest}"),
        ("The signature is over exactly this statement", "DSSE envelope in a Sigstore bundle v0.3"),
        (
            "Its signer is trusted for such a claim, and was when it was signed",
            f"{item.signer}; roles: {', '.join(sorted(item.roles))}" if item else "",
        ),
        ("Neither it nor its signer was revoked", "no revocation in the store or the trust policy" if item else ""),
        (
            "The evidence log has it",
            ""
            if item is None or item.place is None
            else f"entry {item.place:,} of {rule.trust.origin if rule else ''}",
        ),
    ]
    checks = []
    for step, (name, detail) in enumerate(told):
        if step == 4 and (rule is None or (item is not None and item.place is None)):
            checks.append(Check(name, None, "the trust policy asks for no log" if rule is None else "not yet logged"))
        elif step == 1 and unchecked:
            checks.append(Check(name, None, "its signer is asked for first"))
        elif step == failed:
            checks.append(Check(name, False, f"{why} [{code}]"))
        else:
            checks.append(
                Check(name, None if step > failed else True, detail if step < failed else "not asked any more")
            )
    if item is not None and item.trusted_time is not None:
        checks.append(Check("Somebody else vouches for the time", True, moment(item.trusted_time)))
    return tuple(checks)


def _pretty(payload: bytes) -> str:
    return json.dumps(json.loads(payload), indent=2, ensure_ascii=False)
