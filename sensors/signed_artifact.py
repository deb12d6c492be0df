"""Wait for a signed artifact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk.exceptions import AirflowFailException

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.errors import ArtifactChangedError, ArtifactNotFoundError, MlsecopsError
from airflow_mlsecops.sensors.base import WaitingSensor


class SignedArtifactSensor(WaitingSensor):
    """Waits until an artifact with a valid signature lies at a local or S3 place; returns its pinned reference.

    An artifact without a signature, or with one that isn't trusted here, is waited on; what waiting can't mend (a link
    in a folder, an unreadable trust policy) fails at once.

    Args:
        uri: a path, ``file:`` or ``s3:`` URI.
        artifact_kind: what it must have been signed as.

    Example::

        SignedArtifactSensor(task_id="wait", uri="s3://models/digits.joblib", deferrable=True)
    """

    template_fields: Sequence[str] = (*WaitingSensor.template_fields, "uri")

    def __init__(self, *, uri: str, artifact_kind: Kind | str = Kind.MODEL, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.uri = uri
        self.artifact_kind = Kind(artifact_kind).value

    def look(self) -> dict[str, Any] | None:
        """Pin what lies there now, and verify its signature."""
        from airflow_mlsecops.hooks.signed import signed_artifact

        try:
            found = signed_artifact(self.uri, self.artifact_kind, self.mlsecops_conn_id)
        except (ArtifactNotFoundError, ArtifactChangedError) as error:
            self.log.info("Not there yet: %s", error.message)
            return None
        except MlsecopsError as error:
            if error.transient:
                self.log.warning("Looking again later: %s", error)
                return None
            raise AirflowFailException(str(error)) from error
        if found is None:
            self.log.info("No valid signature yet for %s", self.uri)
            return None
        self.pinned_digest = found.artifact.digest
        self.log.info("%s is signed by %s", found.artifact, ", ".join(found.signers))
        return {"artifact": found.artifact.to_dict(), "signers": list(found.signers)}

    def trigger(self) -> Any:
        """What waits in the triggerer."""
        from airflow_mlsecops.triggers.signed_artifact import SignedArtifactTrigger

        return SignedArtifactTrigger(
            uri=self.uri,
            kind=self.artifact_kind,
            mlsecops_conn_id=self.mlsecops_conn_id,
            poke_interval=self.poke_interval,
        )
