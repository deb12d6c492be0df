"""Waits, without a worker slot, until an artifact with a valid signature lies at a place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_mlsecops.core.errors import ArtifactNotFoundError, MlsecopsError
from airflow_mlsecops.hooks.signed import signed_artifact


class SignedArtifactTrigger(BaseTrigger):
    """Polls; its event only says "look now": the worker verifies again, because an event proves nothing."""

    def __init__(self, *, uri: str, kind: str, mlsecops_conn_id: str, poke_interval: float) -> None:
        super().__init__()
        self.uri = uri
        self.kind = kind
        self.mlsecops_conn_id = mlsecops_conn_id
        self.poke_interval = poke_interval

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments; nothing secret among them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "uri": self.uri,
                "kind": self.kind,
                "mlsecops_conn_id": self.mlsecops_conn_id,
                "poke_interval": self.poke_interval,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Poll until the artifact is there and signed; a mistake that waiting can't mend ends it at once."""
        look = sync_to_async(signed_artifact, thread_sensitive=False)
        while True:
            try:
                found = await look(self.uri, self.kind, self.mlsecops_conn_id)
            except ArtifactNotFoundError:
                found = None
            except MlsecopsError as error:
                if not error.transient and error.code != "artifact-changed":
                    yield TriggerEvent({"error": str(error)})
                    return
                self.log.warning("Looking again in %s s: %s", self.poke_interval, error)
                found = None
            if found is not None:
                yield TriggerEvent({"digest": found.artifact.digest})
                return
            await asyncio.sleep(self.poke_interval)
