"""What statements can be about that has no bytes: a model's name, the alarms and the requests of a deployment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_mlsecops.core.artifact import Identity
from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.digest import Sha256, sha256_bytes

MODEL_LINE = "model-line"
"""All releases of one model name."""
ALARMS = "alarms"
"""All alarms in one evidence store."""
REQUESTS = "approval-requests"
"""All requests for approvals in one evidence store."""


@dataclass(frozen=True)
class Topic:
    """A subject by name.

    Its digest is the SHA-256 of the canonical JSON ``{kind: name}``, so that who knows the name finds what is said
    about it in one folder, and the log tells if something was taken away there.
    """

    kind: str
    name: str

    @property
    def digest(self) -> Sha256:
        """The address of everything about it."""
        return sha256_bytes(canonical_json({self.kind: self.name}))

    @property
    def identity(self) -> Identity:
        """What a statement has to be about to be about this topic."""
        return Identity(self.digest, self.kind, "record")

    @property
    def subject(self) -> dict[str, Any]:
        """As an in-toto ResourceDescriptor."""
        marks = {"kind": self.kind, "form": "record"}
        return {"name": self.name, "digest": {"sha256": self.digest}, "annotations": marks}
