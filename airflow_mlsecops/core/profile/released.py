"""The last released version of a data set: the one from which the newest released model was trained."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_mlsecops.core.artifact import Identity, Kind
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import CLOCK_SKEW, Evidence, EvidenceSet
from airflow_mlsecops.core.evidence_reader import EvidenceReader
from airflow_mlsecops.core.policy import quorum
from airflow_mlsecops.core.predicates import PROVENANCE, VERIFICATION_SUMMARY, provenance, vsa
from airflow_mlsecops.core.profile.errors import BaselineError
from airflow_mlsecops.core.store.evidence_store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy

_DIGEST_CHARS = 64
_REVOKED = "artifact-revoked"
_EVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Release:
    """A data set, and the released model that was trained from it."""

    dataset: Identity
    model: str
    at: datetime


def last_released(name: str, store: EvidenceStore, trust: TrustPolicy, now: datetime) -> Release:
    """The newest data set of this name that a released model was trained from.

    1. Of every artifact that a gate judged, the newest verified decision counts; one that said NO counts still when it
       was withdrawn.
    2. A model that was revoked is none. Evidence that is broken in any other way is a NO: it may be of a newer one.
    3. Its provenance counts, and names a data set that is called so; if two are called so, none is meant.

    The caller still owes: that the data set itself is good; see :func:`~airflow_mlsecops.core.profile.find.profile_of`.

    Raises:
        BaselineError: if there is none.
        StoreUnavailableError: if the store can't be reached.
    """
    reader = EvidenceReader.open(store, trust, now)
    sets: dict[str, EvidenceSet] = {}
    for subject in store.subjects():
        # Whoever can write to the store can make folders in it; one with another name is no subject.
        if len(subject) == _DIGEST_CHARS and store.find(subject, VERIFICATION_SUMMARY.slug):
            sets[subject] = reader.collect(subject)
    found: list[Release] = []
    for subject, evidence in reader.complete(sets).items():
        at = _released_at(evidence, now)
        if at is not None:
            found += [Release(dataset, subject, at) for dataset in _datasets(evidence, name)]
    if not found:
        raise BaselineError(
            f"no released model was trained from a data set called {name!r}",
            "name a data set by its digest until one is released; provenance has to name its data sets",
        )
    newest = max(each.at for each in found)
    last = {each.dataset: each for each in sorted(found, key=lambda each: each.model) if each.at == newest}
    if len(last) > 1:
        raise BaselineError(
            f"{len(last)} data sets called {name!r} were released at the same time", "name one of them by its digest"
        )
    return last.popitem()[1]


def _released_at(evidence: EvidenceSet, now: datetime) -> datetime | None:
    """When a gate said YES last; ``None`` if it didn't, or said NO since.

    Raises:
        BaselineError: if it can't be told.
    """
    # 2.
    for item in evidence.broken:
        if item.code != _REVOKED:
            raise BaselineError(f"the evidence of a release doesn't hold: {item.key}: {item.reason}", "restore it")
    if evidence.broken:
        return None
    # 1.
    said = [(_summary(item), item) for item in evidence.of(VERIFICATION_SUMMARY.slug)]
    said = [pair for pair in said if pair[0].verified_at <= now + CLOCK_SKEW]
    withdrawn = [_summary(item) for item in evidence.withdrawn_of(VERIFICATION_SUMMARY.slug)]
    no = [each.verified_at for each in (*(summary for summary, _ in said), *withdrawn) if not each.passed]
    yes = [(each.verified_at, item) for each, item in said if each.passed and each.verified_at > max(no, default=_EVER)]
    if not yes or quorum.signers(item for _, item in yes) < quorum.needed(item for _, item in yes):
        return None
    return max(at for at, _ in yes)


def _datasets(evidence: EvidenceSet, name: str) -> list[Identity]:
    found: set[Identity] = set()
    for item in evidence.of(PROVENANCE.slug):
        try:
            said = provenance.parse(item.statement)
        except StatementError as error:
            raise BaselineError(
                f"provenance {item.digest[:16]}… can't be read: {error.message}", "restore it"
            ) from error
        if not said.failed:
            found |= {each.identity for each in said.datasets() if each.name == name}
    return sorted(each for each in found if each.kind == Kind.DATASET.value)


def _summary(item: Evidence) -> vsa.VerificationSummary:
    try:
        return vsa.parse(item.statement)
    except StatementError as error:
        raise BaselineError(f"decision {item.digest[:16]}… can't be read: {error.message}", "restore it") from error
