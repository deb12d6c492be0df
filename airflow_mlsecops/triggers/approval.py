"""Waits, without a worker slot, for what moves a request: an answer, its escalation, its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING, Any
from uuid import UUID

from airflow.sdk.exceptions import AirflowRuntimeError
from airflow.triggers.base import BaseTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_mlsecops.core.approving.answers import answers_listed, fingerprint
from airflow_mlsecops.core.clock import from_text, utcnow
from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook

if TYPE_CHECKING:
    from datetime import datetime

    from airflow_mlsecops.core.store import EvidenceStore

_KEEP_STORE = 300.0
"""Seconds after which a connection is read again."""


class ApprovalTrigger(BaseTrigger):
    """Fires when answers about the artifact came into the store, when it is time to escalate, and when time is up.

    Answers through Airflow don't pass here: Airflow resumes the waiting task by itself. Only one that came in between
    asking and waiting is found here. An event says no more than "look now": whoever looks counts the store's verified
    statements.

    Args:
        subject: SHA-256 of the artifact.
        seen: fingerprint of the answers that were looked at already.
        mlsecops_conn_id: the connection that names the evidence store.
        poke_interval: seconds between two looks.
        escalate_at: when to fire for the escalation; empty for never.
        expires_at: when the request ends.
        ti_id: the task instance that waits.
        rest: seconds before the first look.
    """

    def __init__(
        self,
        *,
        subject: str,
        seen: str,
        mlsecops_conn_id: str,
        poke_interval: float,
        escalate_at: str,
        expires_at: str,
        ti_id: str,
        rest: float = 0.0,
    ) -> None:
        super().__init__()
        self.subject = subject
        self.seen = seen
        self.mlsecops_conn_id = mlsecops_conn_id
        self.poke_interval = poke_interval
        self.escalate_at = escalate_at
        self.expires_at = expires_at
        self.ti_id = ti_id
        self.rest = rest

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments; nothing secret among them."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "subject": self.subject,
                "seen": self.seen,
                "mlsecops_conn_id": self.mlsecops_conn_id,
                "poke_interval": self.poke_interval,
                "escalate_at": self.escalate_at,
                "expires_at": self.expires_at,
                "ti_id": self.ti_id,
                "rest": self.rest,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, sleep, look again. A store that can't be reached is looked at again: the end comes all the same."""
        asked = False
        look = sync_to_async(_look, thread_sensitive=False)
        ends = [from_text(text) for text in (self.escalate_at, self.expires_at) if text]
        await asyncio.sleep(self.rest)
        while True:
            now = utcnow()
            if now >= min(ends):
                yield TriggerEvent({"look": "time"})
                return
            try:
                # The store first: as long as it can't be reached, an answer couldn't be recorded.
                found = await look(self.mlsecops_conn_id, self.subject)
                # Once: from now on Airflow resumes the task itself.
                answered = None if asked else await self._answered_meanwhile()
                asked = True
                if answered is not None:
                    yield TriggerEvent(answered)
                    return
                if found != self.seen:
                    yield TriggerEvent({"look": "answers"})
                    return
            except (MlsecopsError, AirflowRuntimeError) as error:
                self.log.warning("Looking again in %s s: %s", self.poke_interval, error)
            await asyncio.sleep(max(0.0, min(self.poke_interval, _seconds(min(ends), utcnow()))))

    async def _answered_meanwhile(self) -> dict[str, Any] | None:
        """The answer that a person gave before this task waited, as Airflow would have resumed the task with it."""
        from airflow.sdk.execution_time.hitl import get_hitl_detail_content_detail

        row = await sync_to_async(get_hitl_detail_content_detail)(ti_id=UUID(self.ti_id))
        if not row.response_received or not row.chosen_options:
            return None
        user = row.responded_by_user
        return {
            "chosen_options": list(row.chosen_options),
            "params_input": row.params_input or {},
            "responded_at": row.responded_at,
            "responded_by_user": None if user is None else {"id": user.id, "name": user.name},
        }


def _look(mlsecops_conn_id: str, subject: str) -> str:
    store = _store(mlsecops_conn_id, int(monotonic() // _KEEP_STORE))
    return fingerprint(answers_listed(store, subject))


@lru_cache(maxsize=8)
def _store(mlsecops_conn_id: str, _: int) -> EvidenceStore:
    """One store for all triggers of a connection: many gates may wait in one process."""
    return MlsecopsHook(mlsecops_conn_id).store


def _seconds(moment: datetime, now: datetime) -> float:
    return (moment - now).total_seconds()
