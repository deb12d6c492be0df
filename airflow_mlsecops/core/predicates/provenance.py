"""A model was trained, or a dataset derived: SLSA provenance v1.

Source: https://slsa.dev/spec/v1.1/provenance
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.artifact import Artifact, Identity, Kind
from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.fields import digest_set, mapping, objects, text
from airflow_mlsecops.core.predicates.types import OURS, PROVENANCE
from airflow_mlsecops.core.statement import Statement

BUILD_TYPE = f"{OURS}/airflow-task/v1"


@dataclass(frozen=True)
class Dependency:
    """An input that the provenance names."""

    name: str
    kind: str
    digest: Sha256
    form: str = ""

    @property
    def identity(self) -> Identity:
        """What evidence about it has to be about."""
        return Identity(self.digest, self.kind, self.form)


@dataclass(frozen=True)
class Provenance:
    """What a verified provenance statement says."""

    finished_at: datetime
    dependencies: tuple[Dependency, ...]
    parameters: Mapping[str, Any]
    run: Mapping[str, Any]

    def datasets(self) -> tuple[Dependency, ...]:
        """The data sets among the inputs."""
        return tuple(item for item in self.dependencies if item.kind == Kind.DATASET.value)


def build(
    output: Artifact,
    *,
    inputs: Sequence[Artifact],
    parameters: Mapping[str, Any],
    run: Mapping[str, Any],
    builder: str,
    started_at: datetime | None,
    finished_at: datetime,
) -> Statement:
    """The statement that ``output`` was made from ``inputs``.

    Args:
        output: what was made.
        inputs: pinned inputs; each becomes a resolved dependency.
        parameters: what the task was told (never secrets).
        run: which orchestrator's task ran it.
        builder: URI that names the deployment.
        started_at: when the task started, if known.
        finished_at: when the output was pinned.
    """
    times = {"startedOn": to_text(started_at)} if started_at else {}
    return Statement.build(
        [output],
        PROVENANCE.uri,
        {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": dict(parameters),
                "internalParameters": dict(run),
                "resolvedDependencies": [item.subject for item in inputs],
            },
            "runDetails": {
                "builder": {"id": builder},
                "metadata": {"invocationId": str(run.get("run_id", "")), **times, "finishedOn": to_text(finished_at)},
            },
        },
    )


def parse(statement: Statement) -> Provenance:
    """Read a provenance statement of ours.

    Raises:
        StatementError: if a field is missing or of another type.
    """
    if statement.predicate_type != PROVENANCE.uri:
        raise StatementError(f"expected {PROVENANCE.uri}, got {statement.predicate_type}")
    definition = mapping(statement.predicate, "buildDefinition")
    if text(definition, "buildType") != BUILD_TYPE:
        raise StatementError(f"expected build type {BUILD_TYPE}, got {definition['buildType']!r}")
    metadata = mapping(mapping(statement.predicate, "runDetails"), "metadata")
    return Provenance(
        finished_at=from_text(text(metadata, "finishedOn")),
        dependencies=tuple(_dependency(item) for item in objects(definition, "resolvedDependencies")),
        parameters=mapping(definition, "externalParameters"),
        run=mapping(definition, "internalParameters"),
    )


def _dependency(item: Mapping[str, Any]) -> Dependency:
    marks = mapping(item, "annotations")
    return Dependency(text(item, "name"), text(marks, "kind"), digest_set(item), text(marks, "form"))
