"""in-toto Statement v1: who is spoken of (subjects), what kind of claim (predicate type), the claim (predicate).

Source: https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from airflow_mlsecops.core.artifact import Identity
from airflow_mlsecops.core.canonical import canonical_json, jsonable, strict_json
from airflow_mlsecops.core.digest import Sha256, parse_sha256
from airflow_mlsecops.core.errors import StatementError

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"


class Subject(Protocol):
    """What a statement can be about: an artifact, mostly."""

    @property
    def subject(self) -> dict[str, Any]:
        """As an in-toto ResourceDescriptor with a name and a SHA-256."""


@dataclass(frozen=True)
class Statement:
    """A statement: its exact bytes, and a parsed view of them.

    What is signed and kept is ``payload``, never a re-encoding.

    Attributes:
        payload: the bytes that are signed.
        predicate_type: URI of the kind of claim.
        subjects: (name, SHA-256) of each subject.
        predicate: the claim; treat as read-only.
        identities: of each subject digest, kind and form; kind and form are empty where the statement doesn't say.
    """

    payload: bytes
    predicate_type: str
    subjects: tuple[tuple[str, Sha256], ...]
    predicate: Mapping[str, Any]
    identities: tuple[Identity, ...] = ()

    @classmethod
    def build(cls, subjects: Iterable[Subject], predicate_type: str, predicate: Mapping[str, Any]) -> Statement:
        """Write a statement about ``subjects`` as canonical JSON.

        Raises:
            StatementError: without subjects, or if the predicate can't be canonical JSON.
        """
        return cls.parse(
            canonical_json(
                {
                    "_type": STATEMENT_TYPE,
                    "subject": [item.subject for item in subjects],
                    "predicateType": predicate_type,
                    "predicate": jsonable(dict(predicate)),
                }
            )
        )

    @classmethod
    def parse(cls, payload: bytes) -> Statement:
        """Read a statement's bytes.

        Raises:
            StatementError: if they aren't an in-toto Statement v1 whose subjects all have a SHA-256.
        """
        value = strict_json(payload, "statement")
        if not isinstance(value, dict) or value.get("_type") != STATEMENT_TYPE:
            raise StatementError(f"not an in-toto Statement v1 (_type must be {STATEMENT_TYPE})")
        predicate_type, predicate, subjects = value.get("predicateType"), value.get("predicate"), value.get("subject")
        if not isinstance(predicate_type, str) or not isinstance(predicate, dict):
            raise StatementError("statement without predicateType or predicate")
        if not isinstance(subjects, list) or not subjects:
            raise StatementError("statement without subjects")
        named = tuple(_subject(item) for item in subjects)
        identities = tuple(_identity(item, digest) for item, (_, digest) in zip(subjects, named, strict=True))
        return cls(payload, predicate_type, named, predicate, identities)

    def is_about(self, digest: str) -> bool:
        """Whether one of the subjects has this SHA-256."""
        return any(subject == digest for _, subject in self.subjects)


def _identity(item: dict[str, Any], digest: Sha256) -> Identity:
    annotations = item.get("annotations")
    marks = annotations if isinstance(annotations, dict) else {}
    return Identity(digest, str(marks.get("kind", "")), str(marks.get("form", "")))


def _subject(item: Any) -> tuple[str, Sha256]:
    digests = item.get("digest") if isinstance(item, dict) else None
    if not isinstance(digests, dict):
        raise StatementError("statement with a subject that has no digest")
    return str(item.get("name", "")), parse_sha256(digests.get("sha256"))
