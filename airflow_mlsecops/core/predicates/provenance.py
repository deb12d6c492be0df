"""A model was trained, or a dataset derived: SLSA provenance v1.

Source: https://slsa.dev/spec/v1.1/provenance
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.artifact import Artifact, Identity, Kind
from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.fields import digest_set, mapping, objects, text
from airflow_mlsecops.core.predicates.types import OURS, PROVENANCE
from airflow_mlsecops.core.statement import Statement, Subject

BUILD_TYPE = f"{OURS}/airflow-task/v1"
FAILED = "failed"


@dataclass(frozen=True)
class Material:
    """What a task used that is no artifact: its code, its packages, its image.

    Attributes:
        name: what it is called.
        kind: ``code``, ``packages`` or ``image``; never that of an artifact.
        digest: SHA-256.
        uri: where it is from, if that is known.
        marks: what else is known of it, such as the version of the Dag bundle.
    """

    name: str
    kind: str
    digest: Sha256
    uri: str = ""
    marks: Mapping[str, str] = field(default_factory=dict)

    @property
    def subject(self) -> dict[str, Any]:
        """As an in-toto ResourceDescriptor."""
        uri = {"uri": self.uri} if self.uri else {}
        marks = {"kind": self.kind, "form": "file", **self.marks}
        return {"name": self.name, **uri, "digest": {"sha256": self.digest}, "annotations": marks}


@dataclass(frozen=True)
class RunRecord:
    """One try of one task as a subject: what a failed try's provenance is about, because it made nothing that counts.

    Its digest is the SHA-256 of the canonical JSON of what names the try, so that it can be found by who knows those.
    """

    run: Mapping[str, Any]

    @property
    def digest(self) -> Sha256:
        """The address of everything about this try."""
        names = ("orchestrator", "dag_id", "run_id", "task_id", "map_index", "try_number")
        return sha256_bytes(canonical_json({name: self.run[name] for name in names}))

    @property
    def subject(self) -> dict[str, Any]:
        """As an in-toto ResourceDescriptor."""
        name = "{dag_id}/{run_id}/{task_id}[{map_index}] try {try_number}".format(**self.run)
        return {"name": name, "digest": {"sha256": self.digest}, "annotations": {"kind": "run", "form": "record"}}


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

    @property
    def subject(self) -> dict[str, Any]:
        """As an in-toto ResourceDescriptor, for provenance that names it again."""
        marks = {"kind": self.kind, **({"form": self.form} if self.form else {})}
        return {"name": self.name, "digest": {"sha256": self.digest}, "annotations": marks}


@dataclass(frozen=True)
class Provenance:
    """What a verified provenance statement says."""

    finished_at: datetime
    dependencies: tuple[Dependency, ...]
    parameters: Mapping[str, Any]
    run: Mapping[str, Any]

    @property
    def failed(self) -> bool:
        """Whether it is the record of a task that failed, and so about its run and no artifact."""
        return self.run.get("state") == FAILED

    def datasets(self) -> tuple[Dependency, ...]:
        """The data sets among the inputs."""
        return tuple(item for item in self.dependencies if item.kind == Kind.DATASET.value)


def build(
    output: Artifact | Sequence[Subject],
    *,
    inputs: Sequence[Subject],
    parameters: Mapping[str, Any],
    run: Mapping[str, Any],
    builder: str,
    started_at: datetime | None,
    finished_at: datetime,
    materials: Sequence[Material] = (),
    byproducts: Sequence[Subject] = (),
) -> Statement:
    """The statement that ``output`` was made from ``inputs``.

    Args:
        output: what was made: one artifact or several; of a failed task its :class:`RunRecord`.
        inputs: pinned inputs; each becomes a resolved dependency.
        parameters: what the task was told (never secrets).
        run: which orchestrator's task ran it; ``state`` is ``failed`` if it did.
        builder: URI that names the deployment.
        started_at: when the task started, if known.
        finished_at: when the output was pinned.
        materials: code, packages and image; resolved dependencies, too.
        byproducts: what was made and isn't vouched for, such as a failed task's half-written files.
    """
    times = {"startedOn": to_text(started_at)} if started_at else {}
    aside = {"byproducts": [item.subject for item in byproducts]} if byproducts else {}
    return Statement.build(
        [output] if isinstance(output, Artifact) else output,
        PROVENANCE.uri,
        {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": dict(parameters),
                "internalParameters": dict(run),
                "resolvedDependencies": [*(item.subject for item in inputs), *(item.subject for item in materials)],
            },
            "runDetails": {
                "builder": {"id": builder},
                "metadata": {"invocationId": str(run.get("run_id", "")), **times, "finishedOn": to_text(finished_at)},
                **aside,
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
