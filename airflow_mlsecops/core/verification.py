"""Verify an artifact against the evidence: the last check, where the model is used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet
from airflow_mlsecops.core.policy import CLOCK_SKEW, Decision, Dossier, Reason, ReleasePolicy, evaluate, gather
from airflow_mlsecops.core.predicates import SIGNATURE, VERIFICATION_SUMMARY, vsa
from airflow_mlsecops.core.predicates import signature as signature_predicate
from airflow_mlsecops.core.store.evidence_store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy


class NotReleasedError(StatementError):
    """No trusted gate said YES to these bytes under this policy."""

    code = "not-released"


@dataclass(frozen=True)
class Verification:
    """The answer about one artifact; ``bool(verification)`` is true only if it may be used.

    Attributes:
        artifact: what was verified, as pinned now.
        decision: YES or NO with reasons.
        signers: names of the signers whose statements counted.
        dossier: all evidence that was read.
    """

    artifact: Artifact
    decision: Decision
    signers: tuple[str, ...]
    dossier: Dossier

    def __bool__(self) -> bool:
        return bool(self.decision)


def verify_signature(artifact: Artifact, store: EvidenceStore, trust: TrustPolicy, now: datetime) -> Verification:
    """Verify that somebody with the role ``sign`` signed exactly these bytes under exactly this kind.

    1. Nothing that the store holds about the artifact is broken.
    2. There is a verified signature statement about this digest, for this kind of artifact.

    The caller still owes: everything that a release policy asks for. See :func:`verify_release`.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    dossier = gather(store, artifact.identity, trust, now)
    evidence = dossier.sets[artifact.digest]
    # 1.
    reasons = [Reason("evidence-broken", f"{item.key}: {item.reason}") for item in evidence.broken]
    # 2.
    good = [item for item in evidence.of(SIGNATURE.slug) if _signs(item, artifact)]
    if not good:
        reasons += _why_unsigned(evidence)
    satisfied = tuple(f"signed by {item.signer}" for item in good)
    return _verification(artifact, Decision(tuple(reasons), satisfied, tuple(item.digest for item in good)), dossier)


def verify_release(
    artifact: Artifact, store: EvidenceStore, trust: TrustPolicy, policy: ReleasePolicy, now: datetime
) -> Verification:
    """Verify that a gate released exactly these bytes under exactly this policy, and that its reasons still hold.

    1. The newest verified verification summary of this policy's exact bytes about this digest says PASSED.
    2. It isn't older than the policy's ``valid_for``, and isn't dated in the future, where it would never expire.
    3. Every piece of evidence that the gate read is still there, unchanged, and still counts.
    4. The policy, evaluated again over today's evidence, still says YES. Ages are counted back from the gate's
       decision, because a release doesn't go stale by being used; validity of keys is judged now.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    dossier = gather(store, artifact.identity, trust, now)
    # 1.
    try:
        summary, evidence = _newest_summary(dossier.sets[artifact.digest], policy)
    except StatementError as error:
        reasons = [Reason(error.code, error.message)]
        reasons += [Reason("evidence-broken", f"{i.key}: {i.reason}") for i in dossier.sets[artifact.digest].broken]
        return _verification(artifact, Decision(tuple(reasons), (), ()), dossier)
    reasons = []
    if not summary.passed:
        reasons.append(Reason("gate-said-no", f"the release gate refused it at {to_text(summary.verified_at)}"))
    # 2.
    if policy.valid_for is not None and now - summary.verified_at > policy.valid_for:
        reasons.append(
            Reason("release-expired", f"released at {to_text(summary.verified_at)}, valid for {policy.valid_for}")
        )
    if summary.verified_at > now + CLOCK_SKEW:
        reasons.append(Reason("evidence-from-the-future", f"the release is dated {to_text(summary.verified_at)}"))
    # 3.
    present = {item.digest for item in dossier.verified}
    reasons += [
        Reason("evidence-missing", f"evidence {digest[:16]}…, which the gate read, is gone or no longer counts")
        for digest in summary.evidence
        if digest not in present
    ]
    # 4.
    decision = evaluate(policy, dossier, now, decided_at=summary.verified_at)
    satisfied = (*decision.satisfied, f"released at {to_text(summary.verified_at)} by {evidence.signer}")
    counted = (*decision.evidence, evidence.digest)
    return _verification(artifact, Decision((*reasons, *decision.reasons), satisfied, counted), dossier)


def _newest_summary(evidence: EvidenceSet, policy: ReleasePolicy) -> tuple[vsa.VerificationSummary, Evidence]:
    parsed = [(vsa.parse(item.statement), item) for item in evidence.of(VERIFICATION_SUMMARY.slug)]
    matching = [(summary, item) for summary, item in parsed if summary.policy == policy.digest]
    if matching:
        return max(matching, key=lambda pair: (pair[0].verified_at, not pair[0].passed))
    if parsed:
        raise NotReleasedError(
            f"it was judged by another policy than this {policy.name} (sha256:{policy.digest[:12]}…)",
            "give the policy file that the gate used, or run the gate with this one",
        )
    refused = [item for item in evidence.refused if f"/{VERIFICATION_SUMMARY.slug}/" in item.key]
    why = f": {refused[0].reason}" if refused else ""
    raise NotReleasedError(
        f"no release gate that is trusted here has judged it{why}", "run it through ReleaseGateOperator"
    )


def _signs(item: Evidence, artifact: Artifact) -> bool:
    try:
        return signature_predicate.parse(item.statement).kind == artifact.kind.value
    except StatementError:
        return False


def _why_unsigned(evidence: EvidenceSet) -> list[Reason]:
    refused: list[Reason] = [Reason(i.code, i.reason) for i in evidence.refused if f"/{SIGNATURE.slug}/" in i.key]
    return refused or [Reason("not-signed", "nobody who is trusted here signed these bytes as this kind of artifact")]


def _verification(artifact: Artifact, decision: Decision, dossier: Dossier) -> Verification:
    signers = {item.signer for item in dossier.verified if item.digest in set(decision.evidence)}
    return Verification(artifact, decision, tuple(sorted(signers)), dossier)
