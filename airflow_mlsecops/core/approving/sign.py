"""A person answers a request with a key or an identity of their own: the approval that no orchestrator can forge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.approving.errors import AnswerRefusedError, NobodysKeyError
from airflow_mlsecops.core.approving.requests import Case
from airflow_mlsecops.core.approving.screen import check_evidence, since_asked
from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.errors import ConfigurationError, RevokedError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet, bound_to, collect
from airflow_mlsecops.core.evidence_reader import EvidenceReader
from airflow_mlsecops.core.policy import quorum
from airflow_mlsecops.core.predicates import APPROVAL, approval
from airflow_mlsecops.core.predicates.approval import Assurance, Decision
from airflow_mlsecops.core.predicates.revocation import identity_digest
from airflow_mlsecops.core.signing import KeySigner, Signer
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.store.evidence_store import Found
from airflow_mlsecops.core.trust import TrustedSigner, TrustPolicy

IDENTITY_SOURCE = "trust-policy"
"""The trust policy says whose key it is."""


@dataclass(frozen=True)
class Signed:
    """A person's own signed answer, as it lies in the store.

    Attributes:
        evidence: the statement.
        person: whose it is.
        counts: whether it counts already; if not, the trust policy asks for a log that doesn't have it yet.
    """

    evidence: Evidence
    person: str
    counts: bool


def own_key(signer: Signer, trust: TrustPolicy, now: datetime) -> TrustedSigner:
    """The entry of a person's own key or identity in the trust policy, if it may approve now.

    Raises:
        TrustError: if the policy doesn't know it, doesn't let it approve, or no longer trusts it.
        NobodysKeyError: if the policy doesn't say whose it is.
    """
    known = trust.signer(_hint(signer))
    if APPROVAL.role not in known.roles:
        raise NobodysKeyError(
            f"signer {known.name} has the roles {sorted(known.roles)}, not {APPROVAL.role}",
            "sign with the key that the trust policy lets you approve with",
        )
    if not known.person:
        raise NobodysKeyError(
            f"the trust policy doesn't say whose own key {known.name} is",
            "have 'person:' added to its entry; an approval with it would count as recorded only",
        )
    known.check_valid(now)
    revoked = trust.why_revoked(known, None, now)
    if revoked:
        raise RevokedError(revoked, "sign with a key that is trusted")
    return known


def check_answer(case: Case, decision: Decision, known: TrustedSigner, now: datetime) -> None:
    """Check that this answer would count, before anybody is asked for it.

    1. The request can still be answered.
    2. The person is among those who are asked, isn't excluded, and hasn't said the same before.
    3. What was shown still holds, if it is to be approved; a rejection needs nothing.

    Raises:
        AnswerRefusedError: one of its subclasses for each of these.
    """
    # 1.
    case.check_open(decision, now)
    # 2.
    case.check_person(known.person, known.name, decision, now)
    # 3.
    if decision is Decision.APPROVED:
        check_evidence(case)


def sign_answer(
    case: Case,
    decision: Decision,
    reason: str,
    signer: Signer,
    store: EvidenceStore,
    trust: TrustPolicy,
    now: datetime,
) -> Signed:
    """Sign a person's answer and put it into the store, if it will count.

    1. The key or identity is a person's own, and may approve.
    2. The answer would count; see :func:`check_answer`.
    3. It is signed, and judged with its signature, revocations included, as the person's own.
    4. It is put and, read back, counts, or waits only for the log.

    The caller still owes: that the person has seen what :mod:`.screen` shows.

    Args:
        case: the request, with the evidence that was shown.
        decision: what the person says.
        reason: why, in the person's words.
        signer: the person's key or identity.
        store: the evidence.
        trust: who may sign what.
        now: the current time.

    Raises:
        TrustError: if step 1 or 3 fails; nothing was put.
        AnswerRefusedError: if step 2 fails, and nothing was put; or 4, which says why.
        SigningError: if the signer can't be used.
        StoreUnavailableError: if the store can't be reached.
    """
    # 1.
    known = own_key(signer, trust, now)
    # 2.
    if not reason.strip():
        raise ConfigurationError("an answer without a reason", "say why: people will ask")
    check_answer(case, decision, known, now)
    # 3.
    bundle = signer.sign(_statement(case, decision, reason, known.person, now))
    evidence = _judged(bundle, case, store, trust, now)
    # 4.
    digest = store.put(bundle)
    asked = case.asked.about.identity
    back = bound_to(collect(store, asked.digest, trust, now), asked)
    counts = any(item.digest == digest for item in back.verified)
    why = _why_not(back, digest)
    if not counts and why[0] != "not-logged":
        raise AnswerRefusedError(f"the answer was put, and doesn't count: {why[1]}", "tell whoever keeps the store")
    return Signed(evidence, known.person, counts)


def _hint(signer: Signer) -> str:
    if isinstance(signer, KeySigner):
        return signer.public_key.hint
    from airflow_mlsecops.core.signing.keyless import KeylessSigner

    if isinstance(signer, KeylessSigner):
        return identity_digest(signer.identity.identity, signer.identity.issuer)
    raise NobodysKeyError(f"nobody can say whose {signer.name} is", "use a key, or a Sigstore identity")


def _statement(case: Case, decision: Decision, reason: str, person: str, now: datetime) -> Statement:
    asked, said = case.asked, case.asked.said
    seen = {item.digest for item in said.shown} | {row.digest for row in since_asked(case)}
    present = {item.digest for item in case.dossier.verified}
    run: Mapping[str, Any] = asked.run
    return approval.build(
        asked.about,
        decision=decision,
        approver={"id": person, "name": person},
        identity_source=IDENTITY_SOURCE,
        assurance=Assurance.SIGNED,
        reason=reason,
        request=asked.digest,
        evidence=sorted(seen & present),
        requested_at=said.requested_at,
        decided_at=now,
        expires_at=now + said.valid_for if said.valid_for is not None else None,
        run=run,
    )


def _judged(bundle: Bundle, case: Case, store: EvidenceStore, trust: TrustPolicy, now: datetime) -> Evidence:
    """The signed answer as every verifier will see it; revocations of the key are asked, too."""
    subject = case.asked.about.identity.digest
    key = f"bundles/{subject}/{APPROVAL.slug}/{bundle.digest}.sigstore.json"
    found = EvidenceReader(store, trust, now).judge(subject, [Found(key, bundle.digest, bundle)])
    for item in found.verified:
        if quorum.answer(approval.parse(item.statement), item).level is Assurance.SIGNED:
            return item
    raise RevokedError(
        f"the signature wouldn't count: {_why_not(found, bundle.digest)[1]}", "sign with a key that is trusted"
    )


def _why_not(evidence: EvidenceSet, digest: str) -> tuple[str, str]:
    for item in (*evidence.refused, *evidence.broken):
        if item.digest == digest:
            return item.code, item.reason
    return "evidence-missing", "it isn't there"
