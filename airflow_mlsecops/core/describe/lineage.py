"""What verified evidence says about a model: what it was made from, with what, and what controls said."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.canonical import strict_json
from airflow_mlsecops.core.errors import MlsecopsError, StatementError
from airflow_mlsecops.core.evidence import EvidenceSet, bound_to
from airflow_mlsecops.core.evidence_reader import EvidenceReader
from airflow_mlsecops.core.predicates import PROVENANCE, TEST_RESULT, control_run, provenance
from airflow_mlsecops.core.predicates.control_run import ControlResult
from airflow_mlsecops.core.predicates.provenance import Dependency, Provenance
from airflow_mlsecops.core.scanning.pinned import imports_of
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy

MAX_INPUTS = 1000
_MAX_PACKAGES_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Said:
    """The newest verdict of one control about one artifact."""

    about: str
    digest: str
    result: ControlResult
    evidence: str


@dataclass(frozen=True)
class Lineage:
    """All of it. What isn't verified stands nowhere in it.

    Attributes:
        inputs: data sets and base models that the model was made from, through all steps; the direct ones first.
        direct: those among them that the model's own provenance names.
        parameters: of the training task.
        run: which orchestrator's task made it.
        trained_at: when; None without provenance.
        packages: name -> version, of the worker that trained; None if the evidence doesn't say.
        code: name -> SHA-256 of the code that ran.
        controls: the newest verdict of each control about the model and its inputs.
        imports: the names that the model's pickles need, by its trusted scan; None without one.
    """

    inputs: tuple[Dependency, ...] = ()
    direct: tuple[Dependency, ...] = ()
    parameters: Mapping[str, Any] | None = None
    run: Mapping[str, Any] | None = None
    trained_at: datetime | None = None
    packages: Mapping[str, str] | None = None
    code: Mapping[str, str] | None = None
    controls: tuple[Said, ...] = ()
    imports: frozenset[str] | None = None


def lineage_of(artifact: Artifact, store: EvidenceStore, trust: TrustPolicy, now: datetime) -> Lineage:
    """Read the evidence about a model and everything it was made from.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    reader = EvidenceReader.open(store, trust, now)
    known = reader.complete({artifact.digest: bound_to(reader.collect(artifact.digest), artifact.identity)})
    evidence = known[artifact.digest]
    made = _newest(evidence)
    inputs: dict[str, Dependency] = {}
    level = list(made.dependencies) if made else []
    while level:
        new = {item.digest: item for item in level if item.kind in set(Kind) and item.digest not in inputs}
        inputs |= dict(list(new.items())[: MAX_INPUTS - len(inputs)])
        sets = reader.complete({d: bound_to(reader.collect(d), i.identity) for d, i in new.items() if d in inputs})
        known |= sets
        level = [below for found in sets.values() if (older := _newest(found)) for below in older.dependencies]
    names = {artifact.digest: artifact.name} | {digest: item.name for digest, item in inputs.items()}
    return Lineage(
        inputs=tuple(inputs.values()),
        direct=tuple(item for item in made.dependencies if item.kind in set(Kind)) if made else (),
        parameters=made.parameters if made else None,
        run=made.run if made else None,
        trained_at=made.finished_at if made else None,
        packages=_packages(made, store) if made else None,
        code={item.name: item.digest for item in made.dependencies if item.kind == "code"} if made else None,
        controls=tuple(said for digest in names for said in _controls(names[digest], known[digest])),
        imports=None if (imports := imports_of(evidence, store)) is None else frozenset(imports),
    )


def _newest(evidence: EvidenceSet) -> Provenance | None:
    """The newest provenance of a task that didn't fail."""
    found = []
    for item in evidence.of(PROVENANCE.slug):
        try:
            found.append(provenance.parse(item.statement))
        except StatementError:
            continue  # built by somebody else's builder; nothing is claimed from it
    return max((item for item in found if not item.failed), key=lambda item: item.finished_at, default=None)


def _packages(made: Provenance, store: EvidenceStore) -> Mapping[str, str] | None:
    """The list whose digest the provenance names."""
    for item in made.dependencies:
        if item.kind == "packages":
            try:
                pairs = strict_json(store.get_blob(item.digest), "list of packages", _MAX_PACKAGES_BYTES)
                return {str(name): str(version) for name, version in pairs}
            except (MlsecopsError, TypeError, ValueError):
                return None
    return None


def _controls(name: str, evidence: EvidenceSet) -> list[Said]:
    newest: dict[str, Said] = {}
    for item in evidence.of(TEST_RESULT.slug):
        try:
            result = control_run.parse(item.statement)
        except StatementError:
            continue
        other = newest.get(result.control)
        if other is None or other.result.finished_at < result.finished_at:
            newest[result.control] = Said(name, evidence.subject, result, item.digest)
    return [newest[control] for control in sorted(newest)]


def as_text(value: Any) -> str:
    """A parameter as one line."""
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
