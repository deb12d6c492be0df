"""Verify an artifact against the evidence: the last check, where the model is used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet
from airflow_mlsecops.core.policy import (
    CLOCK_SKEW,
    Decision,
    Dossier,
    Reason,
    ReleasePolicy,
    evaluate,
    gather,
    objections,
    quorum,
)
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


def verify_signature(
    artifact: Artifact, store: EvidenceStore, trust: TrustPolicy, now: datetime, *, since: bytes = b""
) -> Verification:
    """Verify that somebody with the role ``sign`` signed exactly these bytes under exactly this kind.

    1. Nothing that the store holds about the artifact is broken, withheld or revoked.
    2. There is a verified signature statement about this digest, for this kind of artifact; or as many, by different
       signers, as the trust policy asks for.

    The caller still owes: everything that a release policy asks for. See :func:`verify_release`.

    Args:
        artifact: the bytes, as pinned now.
        store: the evidence.
        trust: who may sign what.
        now: the current time.
        since: a checkpoint of an earlier verification, of which the log must be a continuation; empty for none.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    dossier = gather(store, artifact.identity, trust, now, since)
    evidence = dossier.sets[artifact.digest]
    # 1.
    reasons = objections(evidence)
    # 2.
    good = [item for item in evidence.of(SIGNATURE.slug) if _signs(item, artifact)]
    if not good:
        reasons += _why_unsigned(evidence)
    elif quorum.signers(good) < quorum.needed(good):
        reasons.append(_too_few(good, "signed these bytes"))
    satisfied = tuple(f"signed by {item.signer}" for item in good)
    return _verification(artifact, Decision(tuple(reasons), satisfied, tuple(item.digest for item in good)), dossier)


def verify_release(
    artifact: Artifact,
    store: EvidenceStore,
    trust: TrustPolicy,
    policy: ReleasePolicy,
    now: datetime,
    *,
    since: bytes = b"",
) -> Verification:
    """Verify that a gate released exactly these bytes under exactly this policy, and that its reasons still hold.

    1. The newest verified verification summary of this policy's exact bytes about this digest says PASSED, and so do as
       many, by different signers, as the trust policy asks for. One that said FAILED does so still when it is revoked.
    2. It isn't older than the policy's ``valid_for``, and isn't dated in the future, where it would never expire.
    3. Every piece of evidence that the gate read is still there, unchanged, and still counts.
    4. The policy, evaluated again over today's evidence, still says YES. Ages are counted back from the gate's
       decision, because a release doesn't go stale by being used; validity of keys is judged at the trusted time of
       what they signed, or now.

    Args:
        artifact: the bytes, as pinned now.
        store: the evidence.
        trust: who may sign what.
        policy: what the gate had to ask for.
        now: the current time.
        since: a checkpoint of an earlier verification, of which the log must be a continuation; empty for none.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    dossier = gather(store, artifact.identity, trust, now, since)
    # 1.
    try:
        summaries = _newest_summaries(dossier.sets[artifact.digest], policy)
    except StatementError as error:
        reasons = [Reason(error.code, error.message), *objections(dossier.sets[artifact.digest])]
        return _verification(artifact, Decision(tuple(reasons), (), ()), dossier)
    reasons = []
    summary, evidence = summaries[0]
    gates = [item for _, item in summaries]
    if not summary.passed:
        reasons.append(Reason("gate-said-no", f"the release gate refused it at {to_text(summary.verified_at)}"))
    elif quorum.signers(gates) < quorum.needed(gates):
        reasons.append(_too_few(gates, "released it"))
    # 2.
    if policy.valid_for is not None and now - summary.verified_at > policy.valid_for:
        reasons.append(
            Reason("release-expired", f"released at {to_text(summary.verified_at)}, valid for {policy.valid_for}")
        )
    if summary.verified_at > now + CLOCK_SKEW:
        reasons.append(Reason("evidence-from-the-future", f"the release is dated {to_text(summary.verified_at)}"))
    # 3.
    reasons += _gone(dossier, sorted({digest for each, _ in summaries for digest in each.evidence}))
    # 4.
    decision = evaluate(policy, dossier, now, decided_at=summary.verified_at)
    satisfied = (*decision.satisfied, f"released at {to_text(summary.verified_at)} by {evidence.signer}")
    counted = (*decision.evidence, *(item.digest for item in gates))
    answer = Decision((*reasons, *decision.reasons), satisfied, counted, decision.waived)
    return _verification(artifact, answer, dossier)


def _newest_summaries(evidence: EvidenceSet, policy: ReleasePolicy) -> list[tuple[vsa.VerificationSummary, Evidence]]:
    """The newest summary under this policy and, if it is a YES, the newest YES of every other signer since the last NO.

    The worse of two that are equally new comes first.
    """
    parsed = [(vsa.parse(item.statement), item) for item in evidence.of(VERIFICATION_SUMMARY.slug)]
    withdrawn = [(vsa.parse(item.statement), item) for item in evidence.withdrawn_of(VERIFICATION_SUMMARY.slug)]
    matching = [pair for pair in parsed if pair[0].policy == policy.digest]
    matching += [pair for pair in withdrawn if pair[0].policy == policy.digest and not pair[0].passed]
    if any(item in evidence.verified for _, item in matching):
        matching.sort(key=lambda pair: (pair[0].verified_at, not pair[0].passed), reverse=True)
        if not matching[0][0].passed:
            return matching[:1]
        newest: dict[str, tuple[vsa.VerificationSummary, Evidence]] = {}
        for summary, item in takewhile(lambda pair: pair[0].passed, matching):
            newest.setdefault(item.signer, (summary, item))
        # One signer's word is enough: then what others said before is none of this release's business.
        return list(newest.values()) if quorum.needed(item for _, item in matching) > 1 else matching[:1]
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


def _gone(dossier: Dossier, digests: list[Sha256]) -> list[Reason]:
    """What a gate read and what isn't there, or doesn't count, any more; with the reason, if there is one."""
    present = {item.digest for item in dossier.verified}
    why = {item.digest: item.reason for evidence in dossier.sets.values() for item in evidence.refused}
    return [
        Reason(
            "evidence-missing",
            f"evidence {digest[:16]}…, which the gate read, is gone or no longer counts"
            + (f": {why[digest]}" if digest in why else ""),
        )
        for digest in digests
        if digest not in present
    ]


def _too_few(items: list[Evidence], what: str) -> Reason:
    found, needed = quorum.signers(items), quorum.needed(items)
    return Reason("signers-missing", f"{found} of {needed} different signers {what}")


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
