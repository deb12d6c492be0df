"""Collect, from the store, all that a policy may ask about: the model's evidence and that of its data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from airflow_mlsecops.core.artifact import Identity
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet, bound_to
from airflow_mlsecops.core.evidence_reader import EvidenceReader
from airflow_mlsecops.core.predicates import PROVENANCE
from airflow_mlsecops.core.predicates import provenance as provenance_predicate
from airflow_mlsecops.core.predicates.provenance import Dependency
from airflow_mlsecops.core.store.evidence_store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy


@dataclass(frozen=True)
class Dossier:
    """All verified evidence that bears on one model: the input of the pure evaluation.

    Attributes:
        model: the model's SHA-256.
        sets: subject -> evidence, of the model and of each data set.
        datasets: name and SHA-256 of each data set that verified provenance names.
        checkpoint: the state of the log that all of it was held against, as it lies in the store; empty without one.
    """

    model: str
    sets: Mapping[str, EvidenceSet]
    datasets: tuple[tuple[str, Sha256], ...]
    checkpoint: bytes = b""

    @property
    def verified(self) -> tuple[Evidence, ...]:
        """Every verified statement in it."""
        return tuple(item for evidence in self.sets.values() for item in evidence.verified)


def datasets_of(evidence: EvidenceSet) -> tuple[Dependency, ...]:
    """The data sets that a model's verified provenance names: the union, if there are several provenance statements.

    Provenance that was withdrawn still names them: otherwise revoking it would take a doubtful data set out of sight.
    """
    found: dict[Identity, Dependency] = {}
    for item in (*evidence.of(PROVENANCE.slug), *evidence.withdrawn_of(PROVENANCE.slug)):
        try:
            for dataset in provenance_predicate.parse(item.statement).datasets():
                found.setdefault(dataset.identity, dataset)
        except StatementError:
            continue  # the evaluation reads it again, and says NO
    return tuple(found[identity] for identity in sorted(found))


def gather(store: EvidenceStore, model: Identity, trust: TrustPolicy, now: datetime, since: bytes = b"") -> Dossier:
    """Read what the store holds about a model and its data sets, each as the kind and in the form that is meant.

    Args:
        store: the evidence.
        model: whom it is about.
        trust: who may sign what, and which log must have it.
        now: the current time.
        since: a checkpoint of an earlier verification, of which the log must be a continuation; empty for none.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    reader = EvidenceReader.open(store, trust, now, since)
    read: dict[str, EvidenceSet] = {model.digest: reader.collect(model.digest)}
    datasets = datasets_of(bound_to(read[model.digest], model))
    for dataset in datasets:
        if dataset.digest not in read:
            read[dataset.digest] = reader.collect(dataset.digest)
    completed = reader.complete(read)
    sets: dict[str, EvidenceSet] = {model.digest: bound_to(completed[model.digest], model)}
    for dataset in datasets:
        # A digest that is named twice, as a file and as a tree, is bound to both: then nothing about it counts.
        known = sets.get(dataset.digest) or completed[dataset.digest]
        sets[dataset.digest] = bound_to(known, dataset.identity)
    checkpoint = reader.checkpoint.raw if reader.checkpoint is not None else b""
    return Dossier(model.digest, sets, tuple((item.name, item.digest) for item in datasets), checkpoint)
