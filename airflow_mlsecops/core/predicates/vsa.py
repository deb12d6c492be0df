"""A gate decided: SLSA verification summary v1 (VSA), with every piece of evidence it read.

Source: https://slsa.dev/spec/v1.1/verification_summary
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlsecops import __version__
from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.digest import Sha256, parse_sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.fields import digest_set, mapping, objects, text
from airflow_mlsecops.core.predicates.types import OURS, VERIFICATION_SUMMARY
from airflow_mlsecops.core.statement import Statement

VERIFIER = f"{OURS}/release-gate/v1"
GATE = f"{OURS}/gate-run/v1"
MAX_READ = 20_000
"""How many digests of what was read stand in the statement; 1.3 MB."""


@dataclass(frozen=True)
class VerificationSummary:
    """What a verified VSA says."""

    passed: bool
    verified_at: datetime
    policy: Sha256
    trust: Sha256
    evidence: tuple[Sha256, ...]


def build(
    artifact: Artifact,
    *,
    passed: bool,
    verified_at: datetime,
    policy_name: str,
    policy_digest: str,
    trust_digest: str,
    evidence: Sequence[str],
    reasons: Sequence[str],
    run: Mapping[str, Any],
    read: Sequence[str] = (),
    waived: Sequence[str] = (),
) -> Statement:
    """The statement that a gate said YES or NO.

    Args:
        artifact: what was judged.
        passed: the decision.
        verified_at: when (UTC).
        policy_name: the release policy's name.
        policy_digest: SHA-256 of the policy file's bytes.
        trust_digest: SHA-256 of the trust policy file's bytes.
        evidence: digest of every bundle that counted.
        reasons: why not, one sentence each; empty on YES.
        run: which orchestrator's task decided.
        read: digest of every bundle that was read, whether or not it counted.
        waived: what doesn't hold and is excused by a waiver for now, one sentence each.
    """
    return Statement.build(
        [artifact],
        VERIFICATION_SUMMARY.uri,
        {
            "verifier": {"id": VERIFIER, "version": {"airflow-mlsecops": __version__}},
            "timeVerified": to_text(verified_at),
            "resourceUri": artifact.uri,
            "policy": {"uri": f"policy:{policy_name}", "digest": {"sha256": policy_digest}},
            "inputAttestations": [
                {"uri": f"evidence:sha256:{digest}", "digest": {"sha256": digest}} for digest in sorted(evidence)
            ],
            "verificationResult": "PASSED" if passed else "FAILED",
            "verifiedLevels": [],
            "slsaVersion": "1.1",
            GATE: {
                "trustPolicy": {"digest": {"sha256": trust_digest}},
                "reasons": list(reasons)[:100],
                "waived": list(waived)[:100],
                "read": sorted(read)[:MAX_READ],
                "readTotal": len(read),
                "run": dict(run),
            },
        },
    )


def parse(statement: Statement) -> VerificationSummary:
    """Read a VSA of ours.

    Raises:
        StatementError: if a field is missing or of another type.
    """
    if statement.predicate_type != VERIFICATION_SUMMARY.uri:
        raise StatementError(f"expected {VERIFICATION_SUMMARY.uri}, got {statement.predicate_type}")
    value = statement.predicate
    result = text(value, "verificationResult")
    if result not in ("PASSED", "FAILED"):
        raise StatementError(f"unknown verification result {result!r}")
    return VerificationSummary(
        passed=result == "PASSED",
        verified_at=from_text(text(value, "timeVerified")),
        policy=digest_set(mapping(value, "policy")),
        trust=digest_set(mapping(mapping(value, GATE), "trustPolicy")),
        evidence=tuple(
            parse_sha256(mapping(item, "digest").get("sha256")) for item in objects(value, "inputAttestations")
        ),
    )
