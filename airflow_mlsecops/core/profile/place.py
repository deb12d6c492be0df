"""Where a data set lies, as those say who signed it: for whoever knows its digest and needs its bytes."""

from __future__ import annotations

from datetime import datetime

from airflow_mlsecops.core.canonical import strict_json
from airflow_mlsecops.core.evidence import collect
from airflow_mlsecops.core.predicates import SIGNATURE
from airflow_mlsecops.core.predicates import signature as signature_predicate
from airflow_mlsecops.core.profile.errors import BaselineError
from airflow_mlsecops.core.store.evidence_store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy


def signed_place(digest: str, store: EvidenceStore, trust: TrustPolicy, now: datetime) -> str:
    """The URI in the newest verified signature statement about a data set.

    The caller still owes: that the bytes which lie there now have that digest.

    Raises:
        BaselineError: if nobody who is trusted signed it, or not with a URI.
        StoreUnavailableError: if the store can't be reached.
    """
    signed = collect(store, digest, trust, now).of(SIGNATURE.slug)
    newest = max(
        signed, key=lambda item: (signature_predicate.parse(item.statement).signed_at, item.digest), default=None
    )
    subjects = [] if newest is None else strict_json(newest.statement.payload, "statement")["subject"]
    places = [str(item.get("uri") or "") for item in subjects if item["digest"]["sha256"] == digest]
    if not any(places):
        raise BaselineError(
            f"no trusted signature says where {digest[:16]}… lies", "sign it with SignArtifactOperator, or give its URI"
        )
    return next(place for place in places if place)
