"""What is different from the version before, from verified evidence that this person may see."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from airflow_mlsecops.core.artifact import Identity, Kind
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet
from airflow_mlsecops.core.index import lists
from airflow_mlsecops.core.index.lists import ArtifactItem, Window
from airflow_mlsecops.core.policy import Dossier, gather_all
from airflow_mlsecops.core.policy.gather import Source as MadeFrom
from airflow_mlsecops.core.policy.gather import sources_of
from airflow_mlsecops.core.predicates import PROMOTION, promotion
from airflow_mlsecops.core.releases import Changes, changes_between, facts_of, read_history
from airflow_mlsecops.core.telling import dag_of
from airflow_mlsecops.plugin.problems import no_evidence
from airflow_mlsecops.plugin.source import Source


@dataclass(frozen=True)
class ChangesView:
    """What the page shows.

    Attributes:
        before: SHA-256 of what it is compared with; empty if there is nothing.
        why: why that one.
        changes: what is different; ``None`` if there is nothing to compare with.
        others: other versions of the same name that it could be compared with.
    """

    before: str
    why: str
    changes: Changes | None
    others: tuple[ArtifactItem, ...]


def changes_view(
    source: Source,
    connection: sqlite3.Connection,
    sha256: Sha256,
    readable: frozenset[str],
    now: datetime,
    since: Sha256 | None,
    names: Sequence[str],
) -> ChangesView:
    """Find what to compare with, and compare.

    1. What was asked for; otherwise what stood at its stage before it; otherwise the newest other version of its name
       that a gate released.
    2. Of both, all verified evidence about them and their data sets is read, as far as this person may see it.

    Raises:
        Problem: 404, if nothing that this person may see is known about what was asked for.
        StoreUnavailableError: if the store can't be reached.
    """
    reading = source.read(sha256, now).evidence
    seen = tuple(item for item in reading.verified if dag_of(item.statement) in readable)
    others = _others(connection, readable, sha256, names)
    # 1.
    before, why = (since, "as you asked") if since else _before(source, seen, readable, now)
    released = next((item for item in others if item.state == "released"), None)
    if before is None and released is not None:
        before, why = Sha256(released.sha256), "the newest other version of this name that a gate released"
    if before is None:
        return ChangesView("", "", None, others)
    # 2.
    whole = {before: source.read(before, now).evidence, sha256: reading}
    versions = [_identity(digest, whole[digest]) for digest in (before, sha256)]
    dossiers = [
        _dossier(dossier, version.digest, readable)
        for version, dossier in zip(versions, gather_all(source.store, versions, source.trust, now), strict=True)
    ]
    if since is not None and not dossiers[0].sets[since].verified:
        raise no_evidence()
    facts = [facts_of(dossier, source.store.get_blob) for dossier in dossiers]
    for each in facts:  # what an error calls the store says where it lies
        each.unreadable[:] = [text.replace(str(source.store), "the store") for text in each.unreadable]
    return ChangesView(before, why, changes_between(facts[0], facts[1], since=before), others)


def _others(
    connection: sqlite3.Connection, readable: frozenset[str], sha256: str, names: Sequence[str]
) -> tuple[ArtifactItem, ...]:
    if not names:
        return ()
    found = lists.artifacts(connection, readable, Window(1, 20), search=names[0]).items
    return tuple(item for item in found if item.name == names[0] and item.sha256 != sha256)


def _before(
    source: Source, seen: Sequence[Evidence], readable: frozenset[str], now: datetime
) -> tuple[Sha256 | None, str]:
    """What stood at the stage before its newest promotion, if this person may know of it."""
    said = []
    for item in seen:
        if item.slug == PROMOTION.slug:
            try:
                said.append((promotion.parse(item.statement), item.digest))
            except StatementError:
                continue
    for promoted, digest in sorted(said, key=lambda pair: pair[0].promoted_at, reverse=True):
        release = promoted.release
        steps = read_history(source.store, release.name, source.trust, now).steps
        place = next((at for at, step in enumerate(steps) if step.evidence.digest == digest), 0)
        for step in reversed(steps[:place]):
            other = step.said
            if other.release.stage == release.stage and other.artifact.digest != promoted.artifact.digest:
                if dag_of(step.evidence.statement) in readable:
                    return other.artifact.digest, f"version {other.release.version}, at {release.stage} before it"
                break
    return None, ""


def _identity(digest: Sha256, evidence: EvidenceSet) -> Identity:
    return next(
        (about for item in evidence.verified for about in item.statement.identities if about.digest == digest),
        Identity(digest, "model", "file"),
    )


def _dossier(whole: Dossier, digest: Sha256, readable: frozenset[str]) -> Dossier:
    """All evidence about a model, as somebody may see it."""
    sets = {subject: _visible(found, readable) for subject, found in whole.sets.items()}
    direct = sources_of(sets[digest])  # what visible provenance names, and nothing that only hidden provenance does
    known = {digest, *(item.digest for item in direct)}
    return replace(
        whole,
        sets={subject: sets[subject] for subject in sets if subject in known},
        datasets=tuple((item.name, item.digest) for item in direct if item.kind == Kind.DATASET),
        sources=tuple(MadeFrom(item.name, item.kind, item.digest, True) for item in direct),
    )


def _visible(evidence: EvidenceSet, readable: frozenset[str]) -> EvidenceSet:
    verified = tuple(item for item in evidence.verified if dag_of(item.statement) in readable)
    withdrawn = tuple(item for item in evidence.withdrawn if dag_of(item.statement) in readable)
    return replace(evidence, verified=verified, withdrawn=withdrawn)
