"""An artifact: a dataset or a model, pinned once, then carried by digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from airflow_mlsecops.core.digest import Sha256, parse_sha256
from airflow_mlsecops.core.errors import StatementError


class Kind(StrEnum):
    """What an artifact is used as."""

    DATASET = "dataset"
    MODEL = "model"


class Form(StrEnum):
    """How its digest is made: of one file's bytes, or of a manifest of many."""

    FILE = "file"
    TREE = "tree"


class Identity(NamedTuple):
    """What a statement has to be about, all three of it.

    The digest alone is not enough: a file that holds a tree's manifest has that tree's digest, and the same bytes can
    be vouched for as a data set and be refused as a model.
    """

    digest: Sha256
    kind: str
    form: str


@dataclass(frozen=True)
class Artifact:
    """A pinned artifact: a reference small enough for XCom, exact enough to sign.

    Attributes:
        name: what people call it, e.g. ``digits-model``.
        uri: ``file:///abs/path`` or ``s3://bucket/key``; of a tree the folder or prefix, ending in ``/``.
        kind: dataset or model.
        form: one file, or a tree.
        digest: of a file its SHA-256; of a tree the SHA-256 of its manifest (canonical JSON of name, size, sha256).
        size: bytes in all files together.
        files: how many files.
        version: S3 version id of a single object, else empty.
        versions: digest of the blob that maps a tree's names to S3 version ids, else empty.
    """

    name: str
    uri: str
    kind: Kind
    form: Form
    digest: Sha256
    size: int
    files: int
    version: str = ""
    versions: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name} sha256:{self.digest[:12]}…"

    @property
    def subject(self) -> dict[str, Any]:
        """As an in-toto ResourceDescriptor: name, uri and digest, and as annotations the rest of its identity."""
        return {
            "name": self.name,
            "uri": self.uri,
            "digest": {"sha256": self.digest},
            "annotations": {"kind": self.kind.value, "form": self.form.value},
        }

    @property
    def identity(self) -> Identity:
        """What a statement has to be about to be about this artifact."""
        return Identity(self.digest, self.kind.value, self.form.value)

    def renamed(self, name: str, kind: Kind) -> Artifact:
        """The same bytes under another name and kind."""
        return replace(self, name=name, kind=kind)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able; the inverse of :meth:`from_dict`."""
        return {
            "name": self.name,
            "uri": self.uri,
            "kind": self.kind.value,
            "form": self.form.value,
            "digest": self.digest,
            "size": self.size,
            "files": self.files,
            "version": self.version,
            "versions": self.versions,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Artifact:
        """Read what :meth:`to_dict` wrote.

        Raises:
            StatementError: if a field is missing or not of its type.
        """
        try:
            artifact = cls(
                name=str(value["name"]),
                uri=str(value["uri"]),
                kind=Kind(value["kind"]),
                form=Form(value["form"]),
                digest=parse_sha256(value["digest"]),
                size=_whole(value["size"]),
                files=_whole(value["files"]),
                version=str(value.get("version") or ""),
                versions=str(value.get("versions") or ""),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise StatementError(
                f"not an artifact reference: {error!r}", "hand over what a pin, or one of our operators, returned"
            ) from error
        if artifact.versions:
            parse_sha256(artifact.versions)
        return artifact


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{str(value)[:40]!r} is no count")
    return value
