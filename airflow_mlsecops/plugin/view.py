"""An artifact's page as data: what the template draws and what the JSON version is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.canonical import strict_json
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet
from airflow_mlsecops.core.policy.gather import datasets_of
from airflow_mlsecops.core.predicates import SIGNATURE, TEST_RESULT, control_run
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.plugin.links import Links
from airflow_mlsecops.plugin.problems import no_evidence
from airflow_mlsecops.plugin.rows import Table, table_of, visible
from airflow_mlsecops.plugin.source import Reading, Source
from airflow_mlsecops.plugin.status import GateDecision, NamedTable, Status, decisions_of, status_of


@dataclass(frozen=True)
class Identity:
    """What an artifact is, as verified statements say; two that disagree are both heard.

    Attributes:
        sha256: the digest that everything hangs on.
        names, kinds, uris: in the order in which they were first heard, newest statement first.
        form: ``file`` or ``tree``; empty if no statement says.
        size, files: bytes and count; ``None`` if no statement says.
    """

    sha256: str
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    uris: tuple[str, ...]
    form: str
    size: int | None
    files: int | None

    @property
    def called(self) -> str:
        """Its newest name, or the beginning of its digest."""
        return self.names[0] if self.names else self.sha256[:12]


@dataclass(frozen=True)
class Dataset:
    """A data set that verified provenance names, with its own evidence."""

    name: str
    sha256: str
    url: str
    evidence: Table


@dataclass(frozen=True)
class ArtifactView:
    """All that the page shows.

    Attributes:
        artifact: who it is about.
        dag_id: the Dag in the address.
        checked_at: when all this was verified: as the page was opened.
        trust_policy: SHA-256 of the trust policy that was verified against.
        embedded: whether the embedded default was read, whose key every task can use.
        status: the whole page in one line.
        decisions: what release gates said, one per policy, the newest first.
        evidence: the statements about the artifact.
        datasets: the data sets it was made from.
    """

    artifact: Identity
    dag_id: str
    checked_at: datetime
    trust_policy: str
    embedded: bool
    status: Status
    decisions: tuple[GateDecision, ...]
    evidence: Table
    datasets: tuple[Dataset, ...]

    @property
    def tables(self) -> tuple[NamedTable, ...]:
        """The artifact's own evidence, under no name, and that of each data set under the data set's."""
        return _named(self.evidence, self.datasets)


def _named(own: Table, datasets: Iterable[Dataset]) -> tuple[NamedTable, ...]:
    return (("", own), *((data.name, data.evidence) for data in datasets))


def build_view(
    source: Source, sha256: Sha256, *, dag_id: str, readable: frozenset[str], links: Links, now: datetime
) -> ArtifactView:
    """Read, verify and lay out what the store holds about an artifact and the data sets it was made from.

    Raises:
        Problem: 404, if there is nothing that this person may see.
        StoreUnavailableError: if the store can't be reached.
    """
    reading = source.read(sha256, now)
    seen = visible(reading, readable)
    table = table_of(reading, seen, readable, links, str(source.store))
    if not (table.rows or table.refused) and (table.hidden or not table.broken):
        raise no_evidence()
    # All data sets are read, also those that only hidden provenance names: whether what a gate read is still there
    # must not depend on who is looking.
    named = [made_from.digest for made_from in datasets_of(reading.evidence) if made_from.digest != sha256]
    inputs = source.read_all(named, now) if named else {}
    datasets = tuple(
        _dataset(made_from.name, made_from.digest, inputs[made_from.digest], source, dag_id, readable, links)
        for made_from in datasets_of(seen)
        if made_from.digest != sha256
    )
    present = {item.digest for each in (reading, *inputs.values()) for item in each.evidence.verified}
    decisions = decisions_of(seen, table, present)
    identity = _identity(seen, table)
    return ArtifactView(
        artifact=identity,
        dag_id=dag_id,
        checked_at=now,
        trust_policy=source.trust.digest,
        embedded=source.embedded,
        status=status_of(_named(table, datasets), decisions, is_dataset=identity.kinds == ("dataset",)),
        decisions=decisions,
        evidence=table,
        datasets=datasets,
    )


def _dataset(
    name: str, digest: str, reading: Reading, source: Source, dag_id: str, readable: frozenset[str], links: Links
) -> Dataset:
    table = table_of(reading, visible(reading, readable), readable, links, str(source.store))
    return Dataset(name, digest, links.page(dag_id, digest), table)


def _identity(seen: EvidenceSet, table: Table) -> Identity:
    by_digest = {item.digest: item for item in seen.verified}
    items = [by_digest[row.evidence] for row in table.rows]
    described = [value for value in map(_artifact_of, items) if value]
    return Identity(
        sha256=seen.subject,
        names=_unique(name for item in items for name, digest in item.statement.subjects if digest == seen.subject),
        kinds=_unique(str(value.get("kind", "")) for value in described),
        uris=_unique(uri for item in items for uri in _uris(item.statement, seen.subject)),
        form=next((str(value["form"]) for value in described if "form" in value), ""),
        size=_first_int(described, "size"),
        files=_first_int(described, "files"),
    )


def _artifact_of(item: Evidence) -> Mapping[str, Any]:
    """The few words on the artifact in a control's result or a signature."""
    value: Any = item.statement.predicate
    if item.slug == TEST_RESULT.slug:
        value = value.get(control_run.CONTROL_RUN, {})
    elif item.slug != SIGNATURE.slug:
        return {}
    found = value.get("artifact") if isinstance(value, dict) else None
    return found if isinstance(found, dict) else {}


def _uris(statement: Statement, digest: str) -> list[str]:
    subjects = strict_json(statement.payload, "statement")["subject"]
    return [str(item["uri"]) for item in subjects if item["digest"].get("sha256") == digest and item.get("uri")]


def _unique(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in texts if text))


def _first_int(values: list[Mapping[str, Any]], key: str) -> int | None:
    return next((value[key] for value in values if isinstance(value.get(key), int)), None)
