"""Verified evidence: what remains of a store's content once signatures and trust have been checked.

Policy, gates and pages see only :class:`Evidence`; nothing else makes one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from airflow_mlsecops.core.artifact import Identity
from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import MlsecopsError, RevokedError, TrustError
from airflow_mlsecops.core.predicates import REVOCATION, predicate_by_uri
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store.evidence_store import EvidenceStore, Found
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.trusted_time import signed_by

CLOCK_SKEW = timedelta(minutes=5)
"""How far in the future something may be dated before it is refused."""


@dataclass(frozen=True)
class Evidence:
    """One verified statement.

    Attributes:
        digest: the bundle's digest.
        statement: what is claimed.
        signer: the trusted signer's name.
        slug: the predicate's short name.
        signed_with: the key's hint, or the digest of the identity.
        trusted_time: when it was signed, if somebody else than the signer vouches for that.
        threshold: how many different signers have to say the same before it counts.
        roles: the signer's roles in the trust policy.
        person: whose own key signed it, as the trust policy says; empty if it is nobody's.
        place: where it stands in the evidence log, if the trust policy asks for one.
    """

    digest: Sha256
    statement: Statement
    signer: str
    slug: str
    signed_with: str = ""
    trusted_time: datetime | None = None
    threshold: int = 1
    place: int | None = None
    roles: frozenset[str] = frozenset()
    person: str = ""


@dataclass(frozen=True)
class Refused:
    """Something under the subject that doesn't count, and why."""

    digest: str
    key: str
    code: str
    reason: str


@dataclass(frozen=True)
class EvidenceSet:
    """All that the store holds about one subject, judged.

    Attributes:
        subject: the artifact's SHA-256.
        verified: what counts.
        refused: what doesn't: unknown signers, wrong roles, expired keys, bad signatures.
        broken: what makes every answer NO by being there: objects that aren't what their name says, evidence that the
            log names and that is gone, a log that doesn't hold together, a revocation of the artifact.
        withdrawn: verified, but revoked or missing in the log. Each stands among the refused too. It no longer speaks
            for anything, and what it says against something still counts: a revocation never makes a YES.
    """

    subject: str
    verified: tuple[Evidence, ...]
    refused: tuple[Refused, ...]
    broken: tuple[Refused, ...]
    withdrawn: tuple[Evidence, ...] = ()

    def of(self, slug: str) -> tuple[Evidence, ...]:
        """The verified statements of one predicate."""
        return tuple(item for item in self.verified if item.slug == slug)

    def withdrawn_of(self, slug: str) -> tuple[Evidence, ...]:
        """The withdrawn statements of one predicate."""
        return tuple(item for item in self.withdrawn if item.slug == slug)


def bound_to(evidence: EvidenceSet, identity: Identity) -> EvidenceSet:
    """The same evidence, of which only what is about this very identity counts.

    A statement about the same digest as another kind, or in another form, is refused: see :class:`Identity`.
    """
    kept, refused = [], []
    for item in evidence.verified:
        # A revocation is about the bytes, whatever they are taken for.
        if identity in item.statement.identities or item.slug == REVOCATION.slug:
            kept.append(item)
            continue
        subjects = [subject for subject in item.statement.identities if subject.digest == identity.digest]
        about = " or ".join(f"{subject.form or '?'} {subject.kind or '?'}" for subject in subjects)
        reason = f"it speaks of a {about}, and this is a {identity.form} {identity.kind}"
        refused.append(refuse(item, identity.digest, "other-identity", reason))
    withdrawn = tuple(item for item in evidence.withdrawn if identity in item.statement.identities)
    return replace(evidence, verified=tuple(kept), refused=(*evidence.refused, *refused), withdrawn=withdrawn)


def refuse(item: Evidence, subject: str, code: str, reason: str) -> Refused:
    """Say of a statement that verified why it doesn't count."""
    return Refused(item.digest, f"bundles/{subject}/{item.slug}/{item.digest}.sigstore.json", code, reason)


def verify_bundle(bundle: Bundle, trust: TrustPolicy, now: datetime) -> Evidence:
    """Decide whether a bundle counts; see :func:`weigh`.

    The caller still owes: that the statement is about the artifact in question, fresh enough, and what it says; that no
    revocation statement withdraws it, and that the log has it (:class:`~.evidence_reader.EvidenceReader` asks both).

    Raises:
        RevokedError: if the trust policy withdraws its signer.
        TrustError: if its signer isn't trusted for it, or wasn't then.
        SignatureError: if a signature, certificate, log entry or time stamp doesn't verify.
        StatementError: if the predicate isn't known or is malformed.
    """
    evidence, revoked = weigh(bundle, trust, now)
    if revoked:
        raise RevokedError(revoked, "sign again with a key that is trusted")
    return evidence


def weigh(bundle: Bundle, trust: TrustPolicy, now: datetime) -> tuple[Evidence, str]:
    """Verify a bundle, and say whether the trust policy withdraws its signer.

    1. The trust policy knows the key that the hint names, or an identity that the certificate names.
    2. The signature over the statement's PAE verifies; a certificate's also its log entry and its time.
    3. The signer was valid at the trusted time. A bare key's signature has none, and is judged now: a signer's own
       clock is none.
    4. The signer has a role for this predicate and, of a control's result, for that control.
    5. The trust policy doesn't revoke the signer, at that time.

    A revocation needs 1, 2 and 4 only: if it lapsed with its signer's key, time alone would take it back.

    Returns:
        The evidence, and why step 5 says that it doesn't count; empty if it does.

    Raises:
        TrustError: if step 1, 3 or 4 fails.
        SignatureError: if step 2 fails.
        StatementError: if the predicate isn't known or is malformed.
    """
    # 1. and 2.
    signer, trusted_time = signed_by(bundle, trust)
    slug = predicate_by_uri(bundle.statement.predicate_type).slug
    # 3.
    if trusted_time is not None and trusted_time > now + CLOCK_SKEW:
        raise TrustError(f"it was signed at {to_text(trusted_time)}, which is ahead", "set the clocks, and ask why")
    if slug != REVOCATION.slug:
        signer.check_valid(trusted_time or now)
    # 4.
    signer.check_role(bundle.statement)
    # 5.
    revoked = "" if slug == REVOCATION.slug else trust.why_revoked(signer, trusted_time, now)
    threshold = trust.threshold(bundle.statement)
    evidence = Evidence(
        bundle.digest,
        bundle.statement,
        signer.name,
        slug,
        signer.signed_with,
        trusted_time,
        threshold,
        roles=signer.roles,
        person=signer.person,
    )
    return evidence, revoked


def judge(subject: str, found: Iterable[Found], trust: TrustPolicy, now: datetime) -> EvidenceSet:
    """Sort everything found under ``subject`` into what counts, what doesn't, and what is broken.

    Revocation statements and the log are not asked here; see :class:`~.evidence_reader.EvidenceReader`.
    """
    verified: list[Evidence] = []
    withdrawn: list[Evidence] = []
    refused: list[Refused] = []
    broken: list[Refused] = []
    for item in found:
        if item.bundle is None:
            broken.append(Refused(item.digest, item.key, "evidence-broken", item.broken))
            continue
        try:
            evidence, revoked = weigh(item.bundle, trust, now)
        except MlsecopsError as error:
            refused.append(Refused(item.digest, item.key, error.code, error.message))
            continue
        (withdrawn if revoked else verified).append(evidence)
        if revoked:
            refused.append(Refused(item.digest, item.key, RevokedError.code, revoked))
    return EvidenceSet(subject, tuple(verified), tuple(refused), tuple(broken), tuple(withdrawn))


def collect(store: EvidenceStore, subject: str, trust: TrustPolicy, now: datetime) -> EvidenceSet:
    """Read and judge what the store holds about ``subject``, with revocations and, if it is asked for, the log.

    Raises:
        StoreUnavailableError: if the store can't be reached; never an empty set instead.
    """
    from airflow_mlsecops.core.evidence_reader import EvidenceReader

    reader = EvidenceReader.open(store, trust, now)
    return reader.complete({subject: reader.collect(subject)})[subject]
