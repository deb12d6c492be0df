"""An artifact was signed for its consumers: ours, ``signature/v1``.

The signature is over name, digest and size together, so that a renamed file is not the signed one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.fields import mapping, text
from airflow_mlsecops.core.predicates.types import SIGNATURE
from airflow_mlsecops.core.statement import Statement


@dataclass(frozen=True)
class ArtifactSignature:
    """What a verified signature statement says."""

    signed_at: datetime
    name: str
    kind: str


def build(artifact: Artifact, *, signed_at: datetime, evidence: Sequence[str], run: Mapping[str, Any]) -> Statement:
    """The statement by which ``artifact`` is signed.

    Args:
        artifact: what is signed.
        signed_at: when (UTC).
        evidence: digests of the bundles about the artifact that were there when it was signed.
        run: which orchestrator's task signed.
    """
    return Statement.build(
        [artifact],
        SIGNATURE.uri,
        {
            "signedAt": to_text(signed_at),
            "artifact": {
                "name": artifact.name,
                "kind": artifact.kind.value,
                "form": artifact.form.value,
                "size": artifact.size,
                "files": artifact.files,
            },
            "evidence": [{"digest": {"sha256": digest}} for digest in sorted(evidence)],
            "run": dict(run),
        },
    )


def parse(statement: Statement) -> ArtifactSignature:
    """Read a signature statement.

    Raises:
        StatementError: if a field is missing or of another type.
    """
    if statement.predicate_type != SIGNATURE.uri:
        raise StatementError(f"expected {SIGNATURE.uri}, got {statement.predicate_type}")
    artifact = mapping(statement.predicate, "artifact")
    return ArtifactSignature(
        from_text(text(statement.predicate, "signedAt")), text(artifact, "name"), text(artifact, "kind")
    )
