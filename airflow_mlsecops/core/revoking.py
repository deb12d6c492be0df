"""Making a revocation: checked before it is put, because it stays."""

from __future__ import annotations

from datetime import datetime

from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import CLOCK_SKEW, Evidence, verify_bundle
from airflow_mlsecops.core.predicates import revocation
from airflow_mlsecops.core.signing import Signer
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy


def revoke(statement: Statement, signer: Signer, store: EvidenceStore, trust: TrustPolicy, now: datetime) -> Evidence:
    """Sign a revocation and put it into the store, if it will count.

    1. It is dated at most now: one that takes hold later would be forgotten by those who wait for it.
    2. Its signer has the role ``revoke``: one that counts for nothing would only look like one.

    Raises:
        StatementError: if step 1 fails, or the statement is no revocation.
        TrustError: if step 2 fails; nothing was put.
        SigningError: if the signer can't be used.
        StoreUnavailableError: if the store can't be reached.
    """
    # 1.
    said = revocation.parse(statement)
    if said.since > now + CLOCK_SKEW:
        raise StatementError(f"a revocation since {to_text(said.since)}, which is ahead", "revoke it when it is due")
    # 2.
    bundle = signer.sign(statement)
    evidence = verify_bundle(bundle, trust, now)
    store.put(bundle)
    return evidence
