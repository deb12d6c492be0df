"""Collect, from the store, all that a policy may ask about: the model's evidence and that of its data sets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet, collect
from airflow_mlsecops.core.predicates import PROVENANCE
from airflow_mlsecops.core.predicates import provenance as provenance_predicate
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


def datasets_of(evidence: EvidenceSet) -> tuple[tuple[str, Sha256], ...]:
    """The data sets that a model's verified provenance names: the union, if there are several provenance statements."""
    found: dict[Sha256, str] = {}
    for item in evidence.of(PROVENANCE.slug):
        try:
            for dataset in provenance_predicate.parse(item.statement).datasets():
                found.setdefault(dataset.digest, dataset.name)
        except StatementError:
            continue  # the evaluation reads it again, and says NO
    return tuple((name, digest) for digest, name in sorted(found.items()))


def gather(store: EvidenceStore, model: str, trust: TrustPolicy, now: datetime) -> Dossier:
    """Read what the store holds about a model and its data sets.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    of_model = collect(store, model, trust, now)
    datasets = datasets_of(of_model)
    sets = {model: of_model} | {digest: collect(store, digest, trust, now) for _, digest in datasets if digest != model}
    return Dossier(model, sets, datasets)
