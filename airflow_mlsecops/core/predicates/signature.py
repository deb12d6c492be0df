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
    """What a verified signature statement says.

    Attributes:
        signed_at: when.
        name: what the signer calls the artifact.
        kind: what it is signed as.
        oms: digest of the OMS bundle that was made with it.
        versions: digest of the blob with version ids and states of its files.
    """

    signed_at: datetime
    name: str
    kind: str
    oms: Sha256 | None = None
    versions: Sha256 | None = None


class ReusedDigests(NamedTuple):
    """Files that weren't read when the artifact was pinned: how many, their bytes, and the earlier pin's digest."""

    files: int
    size: int
    earlier: Sha256


def build(
    artifact: Artifact,
    *,
    signed_at: datetime,
    evidence: Sequence[str],
    run: Mapping[str, Any],
    oms: OmsReference | None = None,
    reused: ReusedDigests | None = None,
) -> Statement:
    """The statement by which ``artifact`` is signed.

    Args:
        artifact: what is signed.
        signed_at: when (UTC).
        evidence: digests of the bundles about the artifact that were there when it was signed.
        run: which orchestrator's task signed.
        oms: the OMS bundle that was put beside the artifact, if one was.
        reused: whose digests were taken over from an earlier pin, if any were.
    """
    versions = {"versions": {"digest": {"sha256": artifact.versions}}} if artifact.versions else {}
    taken_over: dict[str, Any] = {}
    if reused is not None:
        taken_over["reusedDigests"] = {
            "files": reused.files,
            "size": reused.size,
            "earlier": {"digest": {"sha256": reused.earlier}},
        }
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
                **versions,
            },
            "evidence": [{"digest": {"sha256": digest}} for digest in sorted(evidence)],
            "run": dict(run),
            **beside,
            **taken_over,
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
    versions = digest_set(mapping(artifact, "versions")) if "versions" in artifact else None
    signed_at = from_text(text(statement.predicate, "signedAt"))
    return ArtifactSignature(signed_at, text(artifact, "name"), text(artifact, "kind"), oms, versions)
