"""Telling people: Airflow notifiers that the configuration names, called when something happened. Never fails a task.

``[mlsecops] notifiers`` is JSON: ``[{"notifier": "package.module.Class", "arguments": {…}, "on": ["refusal"]}]``, each
a subclass of Airflow's ``BaseNotifier``, as Airflow's Slack, SMTP, PagerDuty and other providers have them. Without
``on`` it is told everything. Its templates see the task's context and, as ``mlsecops``, what is told here. Under a name
of its own, because a notifier's fields hide what has the same name: ``subject`` is one of SMTP's, ``text`` of Slack's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from enum import StrEnum
from importlib import import_module
from typing import Any

from airflow_mlsecops.core.errors import ConfigurationError

log = logging.getLogger(__name__)

SECTION = "mlsecops"


class Event(StrEnum):
    """What people may want to know at once."""

    FINDING = "finding"
    """A control's verdict is WARN or FAIL."""
    WAITING = "waiting"
    """A gate waits for somebody's answer."""
    REFUSAL = "refusal"
    """A gate, a verification or a person said NO."""
    ALARM = "alarm"
    """Somebody tried to go round a gate."""


def tell(event: Event, told: Mapping[str, Any], context: Mapping[str, Any] | None = None) -> int:
    """Tell everybody who is named for this event; what goes wrong goes to the log.

    Args:
        event: what happened.
        told: what stands in the notifier's context under ``mlsecops``, beside ``event``.
        context: the task's, if it is one that tells.

    Returns:
        How many were told.
    """
    done = 0
    try:
        for notifier in notifiers("notifiers", event):
            done += call(notifier, {**(context or {}), SECTION: {**told, "event": event.value}})
    except Exception as error:
        log.error("[mlsecops] notifiers can't be used: %s: %s", type(error).__name__, error)
    return done


def notifiers(option: str, event: Event | None = None) -> Iterator[Any]:
    """The notifiers of a setting, made anew; with an event those that are told of it.

    One that can't be made goes to the log, and doesn't keep the others from being told.

    Raises:
        ConfigurationError: if the setting isn't such a list.
    """
    from airflow.sdk.configuration import conf

    text = conf.get(SECTION, option, fallback="")
    found = json.loads(text) if text else []
    if not isinstance(found, list) or not all(isinstance(item, dict) and "notifier" in item for item in found):
        raise ConfigurationError(f"[mlsecops] {option}: expected a JSON list of objects with 'notifier'")
    for item in found:
        try:
            made = _made(option, item, event)
        except Exception as error:
            log.error("[mlsecops] %s can't be used: %s: %s", option, type(error).__name__, error)
            continue
        if made is not None:
            yield made


def _made(option: str, item: Mapping[str, Any], event: Event | None) -> Any | None:
    """One entry's notifier; ``None`` if it isn't told of this event."""
    wanted = item.get("on", [each.value for each in Event])
    if unknown := set(wanted) - {each.value for each in Event}:
        raise ConfigurationError(f"[mlsecops] {option}: there is no event {', '.join(sorted(unknown))}")
    if event is not None and event.value not in wanted:
        return None
    module, _, name = str(item["notifier"]).rpartition(".")
    return getattr(import_module(module), name)(**item.get("arguments", {}))


def call(notifier: Any, context: dict[str, Any]) -> bool:
    """Call one; whether it raised nothing. What it logs itself is Airflow's way of failing.

    An error's text isn't logged: the address of a webhook may stand in it, which is a secret.
    """
    try:
        notifier(context)
    except Exception as error:
        log.error("%s wasn't told: it raised %s", type(notifier).__name__, type(error).__name__)
        return False
    return True
