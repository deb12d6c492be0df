"""Collect, from the store, all that a policy may ask about: the model's evidence and that of its data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from airflow_mlsecops.core.artifact import Identity
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet, bound_to, collect
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
    """

    model: str
    sets: Mapping[str, EvidenceSet]
    datasets: tuple[tuple[str, Sha256], ...]

    @property
    def verified(self) -> tuple[Evidence, ...]:
        """Every verified statement in it."""
        return tuple(item for evidence in self.sets.values() for item in evidence.verified)


def datasets_of(evidence: EvidenceSet) -> tuple[Dependency, ...]:
    """The data sets that a model's verified provenance names: the union, if there are several provenance statements."""
    found: dict[Identity, Dependency] = {}
    for item in evidence.of(PROVENANCE.slug):
        try:
            for dataset in provenance_predicate.parse(item.statement).datasets():
                found.setdefault(dataset.identity, dataset)
        except StatementError:
            continue  # the evaluation reads it again, and says NO
    return tuple(found[identity] for identity in sorted(found))


def gather(store: EvidenceStore, model: Identity, trust: TrustPolicy, now: datetime) -> Dossier:
    """Read what the store holds about a model and its data sets, each as the kind and in the form that is meant.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    sets: dict[str, EvidenceSet] = {model.digest: bound_to(collect(store, model.digest, trust, now), model)}
    datasets = datasets_of(sets[model.digest])
    for dataset in datasets:
        # A digest that is named twice, as a file and as a tree, is bound to both: then nothing about it counts.
        known = sets.get(dataset.digest) or collect(store, dataset.digest, trust, now)
        sets[dataset.digest] = bound_to(known, dataset.identity)
    return Dossier(model.digest, sets, tuple((item.name, item.digest) for item in datasets))
