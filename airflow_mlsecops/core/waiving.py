"""Making a waiver: checked before it is put, so that nobody relies on one that counts for nothing."""

from __future__ import annotations

from datetime import datetime

from airflow_mlsecops.core.errors import PolicyError
from airflow_mlsecops.core.evidence import Evidence, verify_bundle
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.policy.words import span
from airflow_mlsecops.core.predicates import waiver
from airflow_mlsecops.core.signing import Signer
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy


def waive(
    statement: Statement,
    policy: ReleasePolicy,
    signer: Signer,
    store: EvidenceStore,
    trust: TrustPolicy,
    now: datetime,
) -> Evidence:
    """Sign a waiver and put it into the store, if it can count.

    1. The policy is the one that it names, and lets all requirements of that id be waived for so long.
    2. Its signer has the role ``waiver``.

    Raises:
        PolicyError: if step 1 fails.
        TrustError: if step 2 fails; nothing was put.
        SigningError: if the signer can't be used.
        StoreUnavailableError: if the store can't be reached.
    """
    # 1.
    said = waiver.parse(statement)
    asked = [item for item in policy.require if item.id == said.requirement]
    if said.policy != policy.name or not asked:
        known = ", ".join(sorted({item.id for item in policy.require if item.waivable})) or "nothing"
        raise PolicyError(f"policy {policy.name} has no requirement {said.requirement!r}", f"it lets waive: {known}")
    for item in asked:
        if item.waivable is None:
            raise PolicyError(f"policy {policy.name} doesn't let {said.requirement} be waived", "meet it instead")
        if said.expires_at - said.waived_at > item.waivable:
            raise PolicyError(
                f"policy {policy.name} lets {said.requirement} be waived for {span(item.waivable)} at most"
            )
    # 2.
    bundle = signer.sign(statement)
    evidence = verify_bundle(bundle, trust, now)
    store.put(bundle)
    return evidence
