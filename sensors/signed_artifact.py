"""Wait for a signed artifact."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.errors import ArtifactChangedError, ArtifactNotFoundError, MlsecopsError
from airflow_mlsecops.hooks.mlsecops import DEFAULT_CONN_ID
from airflow_mlsecops.links import EvidenceLink

if TYPE_CHECKING:
    from airflow_mlsecops.core.verification import Verification


class SignedArtifactSensor(BaseSensorOperator):
    """Waits until an artifact with a valid signature lies at a local or S3 place; returns its pinned reference.

    An artifact without a signature, or with one that isn't trusted here, is waited on; what waiting can't mend (a link
    in a folder, an unreadable trust policy) fails at once.

    Args:
        uri: a path, ``file:`` or ``s3:`` URI.
        artifact_kind: what it must have been signed as.
        deferrable: wait in the triggerer, without a worker slot.

    Example::

        SignedArtifactSensor(task_id="wait", uri="s3://models/digits.joblib", deferrable=True)
    """

    template_fields: Sequence[str] = ("uri", "mlsecops_conn_id")
    operator_extra_links = (EvidenceLink(),)
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        uri: str,
        artifact_kind: Kind | str = Kind.MODEL,
        mlsecops_conn_id: str = DEFAULT_CONN_ID,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.uri = uri
        self.artifact_kind = Kind(artifact_kind).value
        self.mlsecops_conn_id = mlsecops_conn_id
        self.deferrable = deferrable
        self.pinned_digest = ""

    def execute(self, context: Any) -> Any:
        """Look once; if it isn't there yet, wait in the triggerer or by poking."""
        if not self.deferrable:
            return super().execute(context)
        found = self._look()
        if found is None:
            self._defer()
        return self._reference(found)

    def poke(self, context: Any) -> PokeReturnValue:
        """Look once."""
        found = self._look()
        return PokeReturnValue(found is not None, self._reference(found) if found is not None else None)

    def execute_complete(self, context: Any, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Verify here what the trigger saw; if it is gone again, wait on."""
        if event and event.get("error"):
            raise AirflowFailException(str(event["error"]))
        found = self._look()
        if found is None:
            self._defer()
        return self._reference(found)

    def _look(self) -> Verification | None:
        from airflow_mlsecops.hooks.signed import signed_artifact

        try:
            return signed_artifact(self.uri, self.artifact_kind, self.mlsecops_conn_id)
        except (ArtifactNotFoundError, ArtifactChangedError) as error:
            self.log.info("Not there yet: %s", error.message)
            return None
        except MlsecopsError as error:
            if error.transient:
                self.log.warning("Looking again later: %s", error)
                return None
            raise AirflowFailException(str(error)) from error

    def _defer(self) -> None:
        from airflow_mlsecops.triggers.signed_artifact import SignedArtifactTrigger

        self.log.info("No valid signature yet for %s; waiting in the triggerer", self.uri)
        self.defer(
            trigger=SignedArtifactTrigger(
                uri=self.uri,
                kind=self.artifact_kind,
                mlsecops_conn_id=self.mlsecops_conn_id,
                poke_interval=self.poke_interval,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout) if self.timeout else None,
        )

    def _reference(self, found: Verification | None) -> dict[str, Any]:
        assert found is not None
        self.pinned_digest = found.artifact.digest
        self.log.info("%s is signed by %s", found.artifact, ", ".join(found.signers))
        return {"artifact": found.artifact.to_dict(), "signers": list(found.signers)}
