"""Waits, without a worker slot, until the evidence says what a sensor waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.hooks.waiting import ask


class EvidenceTrigger(BaseTrigger):
    """Polls; its event only says "look now": the worker looks again, because an event proves nothing."""

    def __init__(
        self, *, question: str, arguments: dict[str, Any], mlsecops_conn_id: str, poke_interval: float
    ) -> None:
        super().__init__()
        self.question = question
        self.arguments = arguments
        self.mlsecops_conn_id = mlsecops_conn_id
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments; nothing secret among them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "question": self.question,
                "arguments": self.arguments,
                "mlsecops_conn_id": self.mlsecops_conn_id,
                "poke_interval": self.poke_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until it is so; a mistake that waiting can't mend ends it at once."""
        look = sync_to_async(ask, thread_sensitive=False)
        while True:
            try:
                if (await look(self.question, self.arguments, self.mlsecops_conn_id)).reference is not None:
                    yield TriggerEvent({"look": "now"})
                    return
            except MlsecopsError as error:
                if not error.transient:
                    yield TriggerEvent({"error": str(error)})
                    return
                self.log.warning("Looking again in %s s: %s", self.poke_interval, error)
            await asyncio.sleep(self.poke_interval)
