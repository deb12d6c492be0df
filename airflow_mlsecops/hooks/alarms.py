"""Sounding an alarm: signed into the evidence store, told to notifiers. Whatever goes wrong here only goes to the log.

``[mlsecops] alarm_conn_id`` names the connection whose signer has the role ``alarm``; ``[mlsecops] alarm_notifiers`` is
JSON: ``[{"notifier": "package.module.Class", "arguments": {...}}]``, each a subclass of Airflow's ``BaseNotifier``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from importlib import import_module
from typing import Any

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.evidence import verify_bundle
from airflow_mlsecops.core.predicates import alarm as alarm_predicate
from airflow_mlsecops.core.predicates.alarm import Alarm
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook

log = logging.getLogger(__name__)

SECTION = "mlsecops"


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
    try:
        for notifier in _notifiers():
            _tell(notifier, alarm, digest)
    except Exception:
        log.exception("[mlsecops] alarm_notifiers can't be used")
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


def _notifiers() -> Iterator[Any]:
    from airflow.sdk.configuration import conf

    text = conf.get(SECTION, "alarm_notifiers", fallback="")
    for item in json.loads(text) if text else ():
        module, _, name = str(item["notifier"]).rpartition(".")
        yield getattr(import_module(module), name)(**item.get("arguments", {}))


def _tell(notifier: Any, alarm: Alarm, digest: str) -> None:
    try:
        context = {
            "alarm": alarm,
            "event": alarm.event.value,
            "user": alarm.user,
            "detail": alarm.detail,
            "run": dict(alarm.run),
            "evidence": digest,
        }
        notifier(context)
    except Exception:
        log.exception("%s wasn't told of the alarm", type(notifier).__name__)
