"""Find the baseline: the signed profile of a data set, or of the last one that a released model was trained from."""

from __future__ import annotations

from datetime import datetime

from airflow_mlsecops.core.artifact import Identity, Kind
from airflow_mlsecops.core.digest import parse_sha256
from airflow_mlsecops.core.errors import MlsecopsError, StatementError
from airflow_mlsecops.core.evidence import CLOCK_SKEW, Evidence, EvidenceSet, bound_to, collect
from airflow_mlsecops.core.policy import quorum
from airflow_mlsecops.core.predicates import TEST_RESULT, control_run
from airflow_mlsecops.core.predicates.fields import digest_set, objects, text
from airflow_mlsecops.core.profile.baseline import Baseline
from airflow_mlsecops.core.profile.errors import BaselineError
from airflow_mlsecops.core.profile.model import Profile
from airflow_mlsecops.core.profile.released import last_released
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.store.evidence_store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy

CONTROL = "data-profile"
"""The control's name, for which a signer needs the role ``control`` or ``control:data-profile``."""
PROFILE_BLOB = "profile.json"
LAST_RELEASED = "last-released"
_ADVICE = "let ProfileDatasetOperator profile that data set, with a signer that the trust policy knows"


def find_baseline(
    asked: str | Identity, name: str, store: EvidenceStore, trust: TrustPolicy, now: datetime
) -> Baseline:
    """The baseline that somebody asked for.

    Args:
        asked: a data set's SHA-256, its identity if it was pinned, or ``last-released``.
        name: what the data set that is compared is called; ``last-released`` is about its earlier versions.
        store: the evidence.
        trust: who may sign what.
        now: the current time.

    Raises:
        BaselineError: if there is none that counts, with the reason.
        StoreUnavailableError: if the store can't be reached.
    """
    if asked == LAST_RELEASED:
        release = last_released(name, store, trust, now)
        return profile_of(release.dataset, store, trust, now, asked=LAST_RELEASED, released=release.model)
    if isinstance(asked, Identity):
        return profile_of(asked, store, trust, now, asked=asked.digest)
    try:
        digest = parse_sha256(asked.removeprefix("sha256:"))
    except StatementError as error:
        raise BaselineError(f"{asked[:80]!r} names no baseline", "give a data set's SHA-256") from error
    return profile_of(digest, store, trust, now, asked=digest)


def profile_of(
    dataset: str | Identity, store: EvidenceStore, trust: TrustPolicy, now: datetime, *, asked: str, released: str = ""
) -> Baseline:
    """The profile of a data set.

    1. Nothing that the store holds about the data set is broken, withheld or revoked.
    2. There is a verified statement of the control about it, as a data set; its signer had the role, nobody revoked it.
    3. None that says something else than PASS is as new or newer, not even one that was withdrawn.
    4. Enough different signers say the same, if the trust policy asks for several.
    5. The profile is the blob that the statement names, and can be read.

    Raises:
        BaselineError: if a step fails.
        StoreUnavailableError: if the store can't be reached.
    """
    digest = dataset if isinstance(dataset, str) else dataset.digest
    evidence = collect(store, digest, trust, now)
    if isinstance(dataset, Identity):
        evidence = bound_to(evidence, dataset)
    # 1.
    if evidence.broken:
        first = evidence.broken[0]
        raise BaselineError(f"the evidence about {digest[:16]}… doesn't hold: {first.key}: {first.reason}", _ADVICE)
    # 2. to 4.
    items = _newest(evidence, now)
    # 5.
    item = items[0]
    try:
        blob = _blob(item)
        profile = Profile.from_bytes(store.get_blob(blob))
    except MlsecopsError as error:
        if error.transient:
            raise
        raise BaselineError(f"the profile of {digest[:16]}… can't be read: {error.message}", _ADVICE) from error
    names = [name for name, about in item.statement.subjects if about == digest]
    signers = tuple(sorted({each.signer for each in items}))
    return Baseline(profile, digest, next(iter(names), ""), item.digest, blob, signers, asked, released)


def _newest(evidence: EvidenceSet, now: datetime) -> list[Evidence]:
    said = [(_parse(item), item) for item in evidence.of(TEST_RESULT.slug) if _is_profile(item, evidence.subject)]
    good = [(result, item) for result, item in said if result.verdict is Verdict.PASS]
    if not good:
        refused = [item for item in evidence.refused if f"/{TEST_RESULT.slug}/" in item.key]
        why = f": {refused[0].reason}" if refused else ""
        raise BaselineError(f"no profile of {evidence.subject[:16]}… counts{why}", _ADVICE)
    withdrawn = [_parse(i) for i in evidence.withdrawn_of(TEST_RESULT.slug) if _is_profile(i, evidence.subject)]
    against = [result for result in (*(result for result, _ in said), *withdrawn) if result.verdict is not Verdict.PASS]
    newest = max(result.finished_at for result, _ in good)
    if newest > now + CLOCK_SKEW:
        raise BaselineError(f"the profile of {evidence.subject[:16]}… is dated in the future", "set the clocks")
    if any(result.finished_at >= newest for result in against):
        raise BaselineError(f"the newest profile of {evidence.subject[:16]}… failed", _ADVICE)
    needed = quorum.needed(item for _, item in good)
    if needed == 1:
        return [max(good, key=lambda pair: (pair[0].finished_at, pair[1].digest))[1]]
    agreeing = quorum.agreeing((_blob(item), item) for _, item in good)
    if quorum.signers(agreeing) < needed:
        told = f"{quorum.signers(agreeing)} of {needed} different signers say the same"
        raise BaselineError(f"the profile of {evidence.subject[:16]}…: {told}", _ADVICE)
    return agreeing


def _is_profile(item: Evidence, subject: str) -> bool:
    about = {identity.kind for identity in item.statement.identities if identity.digest == subject}
    return _parse(item).control == CONTROL and about == {Kind.DATASET.value}


def _parse(item: Evidence) -> control_run.ControlResult:
    try:
        return control_run.parse(item.statement)
    except StatementError as error:
        raise BaselineError(f"evidence {item.digest[:16]}… can't be read: {error.message}", _ADVICE) from error


def _blob(item: Evidence) -> str:
    """The digest of the profile that a statement names.

    Raises:
        BaselineError: if it names none, or two.
    """
    blobs = objects(item.statement.predicate[control_run.CONTROL_RUN], "blobs")
    found = [digest_set(blob) for blob in blobs if text(blob, "name") == PROFILE_BLOB]
    if len(found) != 1:
        raise BaselineError(f"evidence {item.digest[:16]}… names {len(found)} profiles, expected one", _ADVICE)
    return found[0]
