"""Collect, from the store, all that a policy may ask about: the model's evidence and that of all it was made from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from airflow_mlsecops.core.artifact import Identity, Kind
from airflow_mlsecops.core.digest import Sha256, parse_sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet, bound_to
from airflow_mlsecops.core.evidence_reader import EvidenceReader
from airflow_mlsecops.core.predicates import PROVENANCE
from airflow_mlsecops.core.predicates import provenance as provenance_predicate
from airflow_mlsecops.core.predicates.provenance import Dependency
from airflow_mlsecops.core.store.evidence_store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy

MAX_SOURCES = 1000
"""How many artifacts a model may come from before nobody can judge it."""
_ARTIFACTS = frozenset(kind.value for kind in Kind)


@dataclass(frozen=True)
class Source:
    """A data set or a model that the model was made from, directly or not."""

    name: str
    kind: str
    digest: Sha256
    direct: bool

    @property
    def is_data(self) -> bool:
        """Whether it is a data set."""
        return self.kind == Kind.DATASET

    def __str__(self) -> str:
        return f"{'data set' if self.is_data else 'base model'} {self.name}"


@dataclass(frozen=True)
class Dossier:
    """All verified evidence that bears on one model: the input of the pure evaluation.

    Attributes:
        model: the model's SHA-256.
        sets: subject -> evidence, of the model and of each source.
        datasets: name and SHA-256 of each data set that verified provenance of the model itself names.
        checkpoint: the state of the log that all of it was held against, as it lies in the store; empty without one.
        sources: every data set and model that it came from, however far back.
        cut: whether there are more than the limit.
        policies: digests of the only release policies that it may be judged by; empty for any.
    """

    model: str
    sets: Mapping[str, EvidenceSet]
    datasets: tuple[tuple[str, Sha256], ...]
    checkpoint: bytes = b""
    sources: tuple[Source, ...] = ()
    cut: bool = False
    policies: frozenset[Sha256] = frozenset()

    @property
    def verified(self) -> tuple[Evidence, ...]:
        """Every verified statement in it."""
        return tuple(item for evidence in self.sets.values() for item in evidence.verified)

    @property
    def read(self) -> tuple[Sha256, ...]:
        """Digest of every statement that was read, whether or not it counts."""
        found = {item.digest for item in self.verified}
        for evidence in self.sets.values():
            found |= {item.digest for item in evidence.withdrawn}
            found |= {parse_sha256(item.digest) for item in evidence.refused if item.digest}
        return tuple(sorted(found))


def sources_of(evidence: EvidenceSet) -> tuple[Dependency, ...]:
    """The artifacts that verified provenance names: the union, if there are several provenance statements.

    Provenance that was withdrawn still names them: otherwise revoking it would take a doubtful data set out of sight.
    """
    found: dict[Identity, Dependency] = {}
    for item in (*evidence.of(PROVENANCE.slug), *evidence.withdrawn_of(PROVENANCE.slug)):
        try:
            for source in provenance_predicate.parse(item.statement).dependencies:
                if source.kind in _ARTIFACTS:
                    found.setdefault(source.identity, source)
        except StatementError:
            continue  # the evaluation reads it again, and says NO
    return tuple(found[identity] for identity in sorted(found))


def datasets_of(evidence: EvidenceSet) -> tuple[Dependency, ...]:
    """The data sets among :func:`sources_of`."""
    return tuple(item for item in sources_of(evidence) if item.kind == Kind.DATASET)


def gather(store: EvidenceStore, model: Identity, trust: TrustPolicy, now: datetime, since: bytes = b"") -> Dossier:
    """Read what the store holds about a model and all it came from, each as the kind and in the form that is meant.

    Args:
        store: the evidence.
        model: whom it is about.
        trust: who may sign what, and which log must have it.
        now: the current time.
        since: a checkpoint of an earlier verification, of which the log must be a continuation; empty for none.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    return gather_all(store, [model], trust, now, since)[0]


def gather_all(
    store: EvidenceStore, models: Sequence[Identity], trust: TrustPolicy, now: datetime, since: bytes = b""
) -> list[Dossier]:
    """See :func:`gather`; of several models, against one state of the log, which is read once for all of them.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    reader = EvidenceReader.open(store, trust, now, since)
    read = reader.collect_all(model.digest for model in models)
    walks = [_sources(reader, read, model) for model in models]
    completed = reader.complete(read)
    checkpoint = reader.checkpoint.raw if reader.checkpoint is not None else b""
    policies = trust.release_policies
    return [_dossier(model, walk, completed, checkpoint, policies) for model, walk in zip(models, walks, strict=True)]


class _Walk(NamedTuple):
    """What provenance names: directly, at all, and whether there is more than the limit."""

    direct: tuple[Dependency, ...]
    met: list[Dependency]
    cut: bool


def _sources(reader: EvidenceReader, read: dict[str, EvidenceSet], model: Identity) -> _Walk:
    direct = sources_of(bound_to(read[model.digest], model))
    return _Walk(direct, *_walk(reader, read, model, direct))


def _dossier(
    model: Identity,
    walk: _Walk,
    completed: Mapping[str, EvidenceSet],
    checkpoint: bytes,
    policies: frozenset[Sha256],
) -> Dossier:
    sets: dict[str, EvidenceSet] = {model.digest: bound_to(completed[model.digest], model)}
    for source in walk.met:
        # A digest that is named twice, as a file and as a tree, is bound to both: then nothing about it counts.
        known = sets.get(source.digest) or completed[source.digest]
        sets[source.digest] = bound_to(known, source.identity)
    near = {item.identity for item in walk.direct}
    sources = tuple(Source(item.name, item.kind, item.digest, item.identity in near) for item in walk.met)
    datasets = tuple((item.name, item.digest) for item in walk.direct if item.kind == Kind.DATASET)
    return Dossier(model.digest, sets, datasets, checkpoint, sources, walk.cut, policies)


def _walk(
    reader: EvidenceReader, read: dict[str, EvidenceSet], model: Identity, level: Iterable[Dependency]
) -> tuple[list[Dependency], bool]:
    """Follow provenance back, level by level; what was met once isn't followed again, so that a circle ends."""
    met: dict[Identity, Dependency] = {}
    while level:
        found: dict[Identity, Dependency] = {}
        for source in level:
            if source.identity not in met and source.identity != model:
                found.setdefault(source.identity, source)
        cut, new = len(met) + len(found) > MAX_SOURCES, list(found.values())[: MAX_SOURCES - len(met)]
        met |= {source.identity: source for source in new}
        read |= reader.collect_all(source.digest for source in new if source.digest not in read)
        if cut:
            return list(met.values()), True
        level = [item for source in new for item in sources_of(bound_to(read[source.digest], source.identity))]
    return list(met.values()), False
