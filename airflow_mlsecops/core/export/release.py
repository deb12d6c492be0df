"""A release by its digest alone: for exporting where the model itself isn't at hand."""

from __future__ import annotations

from datetime import datetime

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import EvidenceNotFoundError, StatementError
from airflow_mlsecops.core.evidence import Evidence, collect
from airflow_mlsecops.core.manifest import FileEntry, Manifest
from airflow_mlsecops.core.pinning import Pin
from airflow_mlsecops.core.predicates import SIGNATURE, VERIFICATION_SUMMARY
from airflow_mlsecops.core.predicates.fields import mapping
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy


def pin_of_release(digest: Sha256, store: EvidenceStore, trust: TrustPolicy, now: datetime) -> Pin:
    """What a trusted gate judged under this digest, as if it had been pinned.

    Of a folder the manifest is read from the store. Of a file the size is what its signer says, or 0.

    Raises:
        EvidenceNotFoundError: if no trusted gate judged a model with this digest, or a folder's manifest isn't there.
        EvidenceBrokenError: if the manifest isn't what its address says.
        StoreUnavailableError: if the store can't be reached.
    """
    evidence = collect(store, digest, trust, now)
    judged = {
        (item.form, name)
        for summary in evidence.of(VERIFICATION_SUMMARY.slug)
        for item, (name, _) in zip(summary.statement.identities, summary.statement.subjects, strict=True)
        if item.digest == digest and item.kind == Kind.MODEL.value
    }
    if len({form for form, _ in judged}) != 1:
        raise EvidenceNotFoundError(
            f"{store}: no gate that is trusted here judged a model sha256:{digest[:16]}…", "give the model itself"
        )
    form, name = min(judged)
    if form == Form.TREE.value:
        manifest = Manifest.from_bytes(store.get_blob(digest))
    else:
        manifest = Manifest((FileEntry(name, _size(evidence.of(SIGNATURE.slug)), digest),))
    kept = Artifact(name, "", Kind.MODEL, Form(form), digest, manifest.size, len(manifest.entries))
    return Pin(kept, manifest)


def _size(signatures: tuple[Evidence, ...]) -> int:
    for item in signatures:
        try:
            size = mapping(item.statement.predicate, "artifact").get("size")
        except StatementError:
            continue
        if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
            return size
    return 0
