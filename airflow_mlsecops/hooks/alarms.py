"""Sounding an alarm: signed into the evidence store, told to notifiers. Whatever goes wrong here only goes to the log.

``[mlsecops] alarm_conn_id`` names the connection whose signer has the role ``alarm``; ``[mlsecops] alarm_notifiers``
are told of alarms alone, ``[mlsecops] notifiers`` of alarms too (see :mod:`airflow_mlsecops.hooks.notifying`).
"""

from __future__ import annotations

import logging
from typing import Any

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.evidence import verify_bundle
from airflow_mlsecops.core.predicates import alarm as alarm_predicate
from airflow_mlsecops.core.predicates.alarm import Alarm
from airflow_mlsecops.hooks.metrics import count
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook
from airflow_mlsecops.hooks.notifying import SECTION, Event, call, notifiers, tell

log = logging.getLogger(__name__)


def sound(alarm: Alarm, hook: MlsecopsHook | None = None) -> str:
    """Log, sign and tell; each whatever becomes of the others.

    Args:
        alarm: what was seen.
        hook: whose signer signs; by default that of ``[mlsecops] alarm_conn_id``.

    Returns:
        The evidence digest; empty if nothing could be signed.
    """
    log.error("ALARM %s: %s, by %s: %s", alarm.event.value, alarm.task, alarm.user or "somebody unknown", alarm.detail)
    digest = ""
    try:
        digest = _sign(alarm, hook)
    except Exception as error:
        log.error("The alarm isn't recorded as evidence: %s", error)
    count("mlsecops.alarms", alarm=alarm.event.value)
    told = _told(alarm, digest)
    try:
        for notifier in notifiers("alarm_notifiers"):
            call(notifier, dict(told))
    except Exception as error:
        log.error("[mlsecops] alarm_notifiers can't be used: %s: %s", type(error).__name__, error)
    tell(Event.ALARM, {**told, "alarm_event": alarm.event.value})
    return digest


def has_connection() -> bool:
    """Whether ``[mlsecops] alarm_conn_id`` names a connection."""
    from airflow.sdk.configuration import conf

    return bool(conf.get(SECTION, "alarm_conn_id", fallback=""))


def _sign(alarm: Alarm, hook: MlsecopsHook | None) -> str:
    from airflow.sdk.configuration import conf

    if hook is None:
        conn_id = conf.get(SECTION, "alarm_conn_id", fallback="")
        if not conn_id:
            raise ConfigurationError("[mlsecops] alarm_conn_id names no connection")
        hook = MlsecopsHook(conn_id)
    bundle = hook.signer.sign(alarm_predicate.build(alarm))
    # One that counts for nothing would only look like one.
    verify_bundle(bundle, hook.trust, utcnow())
    return hook.store.put(bundle)


def _told(alarm: Alarm, digest: str) -> dict[str, Any]:
    who = alarm.user or "somebody unknown"
    return {
        "alarm": alarm,
        "event": alarm.event.value,
        "subject": f"Alarm: {alarm.event.value} of {alarm.task}",
        "text": f"{who}: {alarm.detail}",
        "user": alarm.user,
        "detail": alarm.detail,
        "run": dict(alarm.run),
        "evidence": digest,
    }
