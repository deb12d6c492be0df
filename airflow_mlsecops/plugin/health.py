"""``/mlsecops/health``: can this api-server read the evidence, and how long is its log? For monitors, without a log-in.

It tells states and counts, never an address, a name or an error's text. An answer is kept for some seconds, so that
whoever asks often doesn't ask the store often.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.core.log.checkpoint import CHECKPOINT
from airflow_mlsecops.core.log.note import MAX_NOTE_BYTES
from airflow_mlsecops.plugin.problems import Problem
from airflow_mlsecops.plugin.source import ReadOnlyHook

log = logging.getLogger(__name__)
router = APIRouter()

KEEP_SECONDS = 10.0
HEALTHY, UNHEALTHY, ABSENT = "healthy", "unhealthy", "absent"


@dataclass
class Health:
    """What was found last, and when."""

    look: Callable[[], dict[str, Any]]
    found: dict[str, Any] = field(default_factory=dict)
    at: float = float("-inf")
    lock: threading.Lock = field(default_factory=threading.Lock)

    def now(self) -> dict[str, Any]:
        """The answer; of several who ask at once, one looks.

        The others get the last answer, or that there is none yet: anybody may ask, and whoever waited would hold one of
        the api-server's threads for as long as a store hangs.
        """
        if not self.lock.acquire(blocking=False):
            fresh = self.found and time.monotonic() - self.at <= 3 * KEEP_SECONDS
            return self.found if fresh else {"status": UNHEALTHY, "code": "busy"}
        try:
            if time.monotonic() - self.at > KEEP_SECONDS:
                self.found, self.at = self.look(), time.monotonic()
            return self.found
        finally:
            self.lock.release()


def look() -> dict[str, Any]:
    """Read the trust policy, the store and the head of its log; each whatever becomes of the others."""
    hook = ReadOnlyHook()
    told: dict[str, Any] = {
        "trust_policy": _state(lambda: {"signers": len(hook.trust.signers)}),
        "evidence_store": _state(lambda: _reachable(hook)),
        "evidence_log": _state(lambda: _head(hook)),
    }
    states = {entry["status"] for entry in told.values()}
    return {"status": UNHEALTHY if UNHEALTHY in states else HEALTHY, **told}


@router.get("/health")
def health() -> Response:
    """200 if everything that is configured can be read, else 503."""
    found = _HEALTH.now()
    return JSONResponse(found, status_code=200 if found["status"] == HEALTHY else 503)


_HEALTH = Health(look)


def _state(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return {"status": HEALTHY, **ask()}
    except Problem as problem:  # nothing was ever made: neither a connection nor an embedded store
        return {"status": ABSENT, "code": problem.code}
    except _NotThere:
        return {"status": ABSENT}
    except MlsecopsError as error:
        log.warning("health: %s", error)
        return {"status": UNHEALTHY, "code": error.code}
    except Exception as error:
        log.exception("health")
        return {"status": UNHEALTHY, "code": type(error).__name__}


class _NotThere(Exception):  # noqa: N818 - not an error: there is no log to be unhealthy
    """Nothing is configured."""


def _reachable(hook: ReadOnlyHook) -> dict[str, Any]:
    """One small read, whether or not anything lies there: enough to know that the store answers."""
    hook.store.backend.peek(CHECKPOINT, MAX_NOTE_BYTES)
    return {}


def _head(hook: ReadOnlyHook) -> dict[str, Any]:
    """The signed checkpoint that the trust policy's log has now."""
    rule = hook.trust.log
    if rule is None:
        raise _NotThere
    checkpoint = hook.store.log_reader(rule.trust).checkpoint()
    return {"entries": checkpoint.size if checkpoint else 0}
