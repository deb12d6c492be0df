"""What sensors here share: look, wait in the triggerer or by poking, and look again before saying so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowFailException

from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.hooks.mlsecops import DEFAULT_CONN_ID
from airflow_mlsecops.links import EvidenceLink


class WaitingSensor(BaseSensorOperator):
    """Waits until a question has a YES; what waiting can't mend, such as an unreadable policy, fails at once.

    Args:
        mlsecops_conn_id: the connection that names evidence store and trust policy.
        deferrable: wait in the triggerer, without a worker slot.
    """

    template_fields: Sequence[str] = ("mlsecops_conn_id",)
    operator_extra_links = (EvidenceLink(),)
    ui_color = "#e8f0fe"
    question: ClassVar[str] = ""

    def __init__(
        self,
        *,
        mlsecops_conn_id: str = DEFAULT_CONN_ID,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mlsecops_conn_id = mlsecops_conn_id
        self.deferrable = deferrable
        self.pinned_digest = ""

    def arguments(self) -> dict[str, Any]:
        """What a subclass asks with; see :func:`airflow_mlsecops.hooks.waiting.ask`."""
        raise NotImplementedError(f"{type(self).__name__} asks nothing")

    def execute(self, context: Any) -> Any:
        """Look once; if it isn't so yet, wait in the triggerer or by poking."""
        return self._look_or_defer() if self.deferrable else super().execute(context)

    def poke(self, context: Any) -> PokeReturnValue:
        """Look once."""
        reference = self.look()
        return PokeReturnValue(reference is not None, reference)

    def execute_complete(self, context: Any, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look here at what the trigger saw; if it is gone again, wait on."""
        if event and event.get("error"):
            raise AirflowFailException(str(event["error"]))
        return self._look_or_defer()

    def _look_or_defer(self) -> dict[str, Any]:
        reference = self.look()
        if reference is None:
            self.log.info("Waiting in the triggerer")
            timeout = timedelta(seconds=self.timeout) if self.timeout else None
            self.defer(trigger=self.trigger(), method_name="execute_complete", timeout=timeout)
        assert reference is not None
        return reference

    def look(self) -> dict[str, Any] | None:
        """The reference that is waited for; ``None`` if it isn't so yet.

        Raises:
            AirflowFailException: if waiting can't mend it.
        """
        from airflow_mlsecops.hooks.waiting import ask

        try:
            seen = ask(self.question, self.arguments(), self.mlsecops_conn_id)
        except MlsecopsError as error:
            if error.transient:
                self.log.warning("Looking again later: %s", error)
                return None
            raise AirflowFailException(str(error)) from error
        for text in seen.missing[:10]:
            self.log.info("Not yet: %s", text)
        if seen.reference is not None:
            self.pinned_digest = seen.reference.get("digest") or seen.reference["artifact"]["digest"]
            self.log.info("So it is: sha256:%s", self.pinned_digest)
        return seen.reference

    def trigger(self) -> Any:
        """What waits in the triggerer."""
        from airflow_mlsecops.triggers.evidence import EvidenceTrigger

        return EvidenceTrigger(
            question=self.question,
            arguments=self.arguments(),
            mlsecops_conn_id=self.mlsecops_conn_id,
            poke_interval=self.poke_interval,
        )
