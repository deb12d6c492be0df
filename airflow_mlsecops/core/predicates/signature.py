"""An artifact was signed for its consumers: ours, ``signature/v1``.

It binds the digest to a name and a kind: what the signer says these bytes are. The name is not the file's name; a file
may be copied anywhere, and inside a tree the manifest binds every file's name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.fields import digest_set, mapping, text
from airflow_mlsecops.core.predicates.types import SIGNATURE
from airflow_mlsecops.core.statement import Statement


class OmsReference(NamedTuple):
    """An OMS bundle (``model.sig``): where it was put, and the SHA-256 of its bytes."""

    uri: str
    digest: Sha256


@dataclass(frozen=True)
class ArtifactSignature:
    """What a verified signature statement says; ``oms`` is the digest of the OMS bundle that was made with it."""

    signed_at: datetime
    name: str
    kind: str
    oms: Sha256 | None = None


def build(
    artifact: Artifact,
    *,
    signed_at: datetime,
    evidence: Sequence[str],
    run: Mapping[str, Any],
    oms: OmsReference | None = None,
) -> Statement:
    """The statement by which ``artifact`` is signed.

    Args:
        artifact: what is signed.
        signed_at: when (UTC).
        evidence: digests of the bundles about the artifact that were there when it was signed.
        run: which orchestrator's task signed.
        oms: the OMS bundle that was put beside the artifact, if one was.
    """
    beside = {} if oms is None else {"oms": {"uri": oms.uri, "digest": {"sha256": oms.digest}}}
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
            **beside,
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
    oms = digest_set(mapping(statement.predicate, "oms")) if "oms" in statement.predicate else None
    return ArtifactSignature(
        from_text(text(statement.predicate, "signedAt")), text(artifact, "name"), text(artifact, "kind"), oms
    )
