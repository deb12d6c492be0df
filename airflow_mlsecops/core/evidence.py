"""Verified evidence: what remains of a store's content once signatures and trust have been checked.

Policy, gates and pages see only :class:`Evidence`; nothing else makes one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from airflow_mlsecops.core.artifact import Identity
from airflow_mlsecops.core.bundle import Bundle, pre_authentication_encoding
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.core.predicates import predicate_by_uri
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store.evidence_store import EvidenceStore, Found
from airflow_mlsecops.core.trust import TrustPolicy


@dataclass(frozen=True)
class Evidence:
    """One verified statement.

    Attributes:
        digest: the bundle's digest.
        statement: what is claimed.
        signer: the trusted signer's name.
        slug: the predicate's short name.
    """

    digest: Sha256
    statement: Statement
    signer: str
    slug: str


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
        broken: objects that aren't what their name says. Somebody wrote to the store: a gate says NO.
    """

    subject: str
    verified: tuple[Evidence, ...]
    refused: tuple[Refused, ...]
    broken: tuple[Refused, ...]

    def of(self, slug: str) -> tuple[Evidence, ...]:
        """The verified statements of one predicate."""
        return tuple(item for item in self.verified if item.slug == slug)


def bound_to(evidence: EvidenceSet, identity: Identity) -> EvidenceSet:
    """The same evidence, of which only what is about this very identity counts.

    A statement about the same digest as another kind, or in another form, is refused: see :class:`Identity`.
    """
    kept, refused = [], []
    for item in evidence.verified:
        if identity in item.statement.identities:
            kept.append(item)
            continue
        subjects = [subject for subject in item.statement.identities if subject.digest == identity.digest]
        about = " or ".join(f"{subject.form or '?'} {subject.kind or '?'}" for subject in subjects)
        reason = f"it speaks of a {about}, and this is a {identity.form} {identity.kind}"
        key = f"bundles/{identity.digest}/{item.slug}/{item.digest}.sigstore.json"
        refused.append(Refused(item.digest, key, "other-identity", reason))
    return EvidenceSet(evidence.subject, tuple(kept), (*evidence.refused, *refused), evidence.broken)


def verify_bundle(bundle: Bundle, trust: TrustPolicy, now: datetime) -> Evidence:
    """Decide whether a bundle counts.

    1. The trust policy knows the key that the hint names.
    2. The signature over the statement's PAE verifies with that key.
    3. The signer is valid now. (There is no trusted time in a bundle yet, and a signer's own clock is none.)
    4. The signer has a role for this predicate and, of a control's result, for that control.

    The caller still owes: that the statement is about the artifact in question, fresh enough, and what it says.

    Raises:
        TrustError: if step 1, 3 or 4 fails.
        SignatureError: if step 2 fails.
        StatementError: if the predicate isn't known or is malformed.
    """
    # 1.
    signer = trust.signer(bundle.key_hint)
    # 2.
    signer.key.verify(bundle.signature, pre_authentication_encoding(bundle.statement.payload))
    # 3.
    signer.check_valid(now)
    # 4.
    signer.check_role(bundle.statement)
    return Evidence(
        bundle.digest, bundle.statement, signer.name, predicate_by_uri(bundle.statement.predicate_type).slug
    )


def judge(subject: str, found: Iterable[Found], trust: TrustPolicy, now: datetime) -> EvidenceSet:
    """Sort everything found under ``subject`` into what counts, what doesn't, and what is broken."""
    verified: list[Evidence] = []
    refused: list[Refused] = []
    broken: list[Refused] = []
    for item in found:
        if item.bundle is None:
            broken.append(Refused(item.digest, item.key, "evidence-broken", item.broken))
            continue
        try:
            verified.append(verify_bundle(item.bundle, trust, now))
        except MlsecopsError as error:
            refused.append(Refused(item.digest, item.key, error.code, error.message))
    return EvidenceSet(subject, tuple(verified), tuple(refused), tuple(broken))


def collect(store: EvidenceStore, subject: str, trust: TrustPolicy, now: datetime) -> EvidenceSet:
    """Read and judge what the store holds about ``subject``.

    Raises:
        StoreUnavailableError: if the store can't be reached; never an empty set instead.
    """
    return judge(subject, store.find(subject), trust, now)
