"""Taking over digests from an earlier pin: only from one that somebody trusted signed.

Source of the idea: an S3 version id names bytes that never change
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/versioning-workflows.html).
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from airflow_mlsecops.core.errors import MlsecopsError, TrustError
from airflow_mlsecops.core.evidence import EvidenceSet, collect
from airflow_mlsecops.core.manifest import Manifest
from airflow_mlsecops.core.pinning.reuse import Reuse
from airflow_mlsecops.core.pinning.states import read_states
from airflow_mlsecops.core.predicates import SIGNATURE
from airflow_mlsecops.core.predicates import signature as signature_predicate
from airflow_mlsecops.core.store.evidence_store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy


class ReuseRefusedError(TrustError):
    """Nobody who is trusted signed the earlier pin, or what it remembers of its files is gone."""

    code: ClassVar[str] = "reuse-refused"


def verified_reuse(
    digest: str, store: EvidenceStore, trust: TrustPolicy, now: datetime, *, unsafe_local: bool = False
) -> Reuse:
    """An earlier pin whose digests may be taken over.

    1. Nothing that the store holds about it is broken, and nobody revoked it.
    2. A ``signature/v1`` statement about it counts, and names the blob with its files' version ids and states. A
       reference from another task names one too, and anybody could have written that.
    3. Manifest and blob are in the store, with the digests that the statement has.

    Args:
        digest: of the earlier artifact, which is a folder or a prefix.
        store: where its evidence lies.
        trust: who may sign.
        now: the current time.
        unsafe_local: also trust what a disk says of its files' times. Whoever may write there can set them.

    Raises:
        ReuseRefusedError: if a step fails.
        StoreUnavailableError: if the store can't be reached.
    """
    evidence = collect(store, digest, trust, now)
    # 1.
    if evidence.broken:
        raise ReuseRefusedError(f"evidence about sha256:{digest} doesn't hold: {evidence.broken[0].reason}", _ADVICE)
    # 2.
    versions = _versions(evidence)
    # 3.
    try:
        manifest = Manifest.from_bytes(store.get_blob(digest))
        states = read_states(store.get_blob(versions))
    except MlsecopsError as error:
        if error.transient:
            raise
        raise ReuseRefusedError(
            f"what was remembered of sha256:{digest} can't be read: {error.message}", _ADVICE
        ) from error
    return Reuse(manifest, states, unsafe_local)


def _versions(evidence: EvidenceSet) -> str:
    signed = [signature_predicate.parse(item.statement) for item in evidence.of(SIGNATURE.slug)]
    if not signed:
        reasons = "; ".join(item.reason for item in evidence.refused[:3]) or "nobody signed it"
        raise ReuseRefusedError(f"sha256:{evidence.subject} isn't signed by anybody trusted: {reasons}", _ADVICE)
    named = [item for item in signed if item.versions is not None]
    if not named:
        raise ReuseRefusedError(
            f"sha256:{evidence.subject} was signed without version ids",
            "only a prefix on a versioned bucket has them; a folder, if it was pinned so on request",
        )
    newest = max(named, key=lambda item: item.signed_at)
    return str(newest.versions)


_ADVICE = "hash everything: leave out what is to be reused"
