"""What earlier evidence says for a scan: the imports of the last release, and allow-lists that were signed."""

from __future__ import annotations

import json
from datetime import datetime

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import ConfigurationError, EvidenceBrokenError, StatementError, TrustError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet, collect
from airflow_mlsecops.core.predicates import TEST_RESULT, VERIFICATION_SUMMARY, control_run, vsa
from airflow_mlsecops.core.predicates.control_run import CONTROL_RUN
from airflow_mlsecops.core.predicates.fields import mapping, objects
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.scanning.rules import CONTROL, IMPORTS_BLOB
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.verification import verify_signature

LAST_RELEASE = "last-release"
NOTHING = "none"


def pinned_imports(
    artifact: Artifact, store: EvidenceStore, trust: TrustPolicy, compare_with: str, now: datetime
) -> list[str] | None:
    """The imports that the release to compare with needed; None where there is nothing to compare with.

    Args:
        artifact: the model that is scanned.
        store: where the evidence lies.
        trust: whose statements count.
        compare_with: ``none``, ``last-release`` (of a model of the same name), or the SHA-256 of a release.
        now: the time of the scan.

    Raises:
        ConfigurationError: if the release that was named was never released, or never scanned.
        EvidenceBrokenError: if the store's objects aren't what they were.
    """
    if compare_with == NOTHING:
        return None
    if compare_with == LAST_RELEASE:
        evidence = _last_release(artifact, store, trust, now)
        return None if evidence is None else imports_of(evidence, store)
    evidence = collect(store, compare_with, trust, now)
    found = imports_of(evidence, store) if _released(evidence, "") else None
    if found is None:
        raise ConfigurationError(
            f"{compare_with[:16]}… was never released with a scan", "name a release, or 'last-release', or 'none'"
        )
    return found


def _last_release(artifact: Artifact, store: EvidenceStore, trust: TrustPolicy, now: datetime) -> EvidenceSet | None:
    """The evidence about the newest released model of this name; reads the gates' statements of every model there."""
    newest: tuple[datetime, EvidenceSet] | None = None
    for subject in store.subjects():
        if subject == artifact.digest or not store.find(subject, VERIFICATION_SUMMARY.slug):
            continue
        evidence = collect(store, subject, trust, now)
        at = _released(evidence, artifact.name)
        if at is not None and (newest is None or at > newest[0]):
            newest = at, evidence
    return None if newest is None else newest[1]


def _released(evidence: EvidenceSet, name: str) -> datetime | None:
    """When a trusted gate last said YES to this model, if its name is this one."""
    moments = []
    for item in evidence.of(VERIFICATION_SUMMARY.slug):
        named = not name or (name, evidence.subject) in item.statement.subjects
        model = any(i.digest == evidence.subject and i.kind == Kind.MODEL for i in item.statement.identities)
        try:
            summary = vsa.parse(item.statement)
        except StatementError:
            continue
        if named and model and summary.passed:
            moments.append(summary.verified_at)
    return max(moments, default=None)


def imports_of(evidence: EvidenceSet, store: EvidenceStore) -> list[str] | None:
    """The imports in the newest scan of a model that didn't fail; None if it was never scanned."""
    scans: list[tuple[datetime, Evidence]] = []
    for item in evidence.of(TEST_RESULT.slug):
        result = control_run.parse(item.statement)
        if result.control == CONTROL and result.verdict is not Verdict.FAIL:
            scans.append((result.finished_at, item))
    if not scans:
        return None
    newest = max(scans, key=lambda pair: pair[0])[1]
    for blob in objects(mapping(newest.statement.predicate, CONTROL_RUN), "blobs"):
        if blob.get("name") == IMPORTS_BLOB:
            names = json.loads(store.get_blob(str(mapping(blob, "digest").get("sha256"))))
            if isinstance(names, list) and all(isinstance(name, str) for name in names):
                return names
    raise EvidenceBrokenError(f"the scan {newest.digest[:16]}… names no list of imports", "scan the release again")


def check_allow_list(
    artifact: Artifact, document: bytes, store: EvidenceStore, trust: TrustPolicy, now: datetime
) -> None:
    """Check that an allow-list was signed, as a data set, by somebody with the role ``sign``.

    A model's own signature doesn't count, so that no model can be its own allow-list.

    Raises:
        TrustError: if it wasn't.
    """
    same = sha256_bytes(document) == artifact.digest
    if artifact.kind is not Kind.DATASET or artifact.form is not Form.FILE or not same:
        raise TrustError(f"{artifact} is no allow-list", "it has to be one file, pinned as a data set")
    verification = verify_signature(artifact, store, trust, now)
    if not verification:
        raise TrustError(
            f"the allow-list {artifact} isn't signed by anybody trusted",
            "sign it with SignArtifactOperator and artifact_kind='dataset'",
        )
