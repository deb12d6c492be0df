"""Somebody went round a gate, or tried to: ours, ``alarm/v1``.

Its subjects are the task instance (:class:`.provenance.RunRecord`) and the store's alarms (:data:`.topic.ALARMS`). An
alarm decides nothing: gates and verifications never look at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.fields import mapping, text
from airflow_mlsecops.core.predicates.provenance import RunRecord
from airflow_mlsecops.core.predicates.topic import ALARMS, Topic
from airflow_mlsecops.core.predicates.types import ALARM
from airflow_mlsecops.core.statement import Statement

EVERY_ALARM = Topic(ALARMS, "all")
"""The subject under which all alarms of a store lie."""


class Event(StrEnum):
    """What was seen."""

    STATE_SET = "state-set"
    CLEARED = "cleared"
    XCOM_CHANGED = "xcom-changed"
    EVENT_NOT_VERIFIED = "event-not-verified"
    ANSWER_REFUSED = "answer-refused"


@dataclass(frozen=True)
class Alarm:
    """What a verified alarm says.

    Attributes:
        event: what was seen.
        task: class of the gate's operator.
        detail: one sentence.
        user: who did it, as Airflow knows it; empty if it doesn't.
        seen_at: when, by the signer's clock.
        run: the task instance.
    """

    event: Event
    task: str
    detail: str
    user: str
    seen_at: datetime
    run: Mapping[str, Any]


def build(alarm: Alarm) -> Statement:
    """The statement that something was seen.

    Args:
        alarm: what; its ``run`` names the task instance, as :class:`RunRecord` wants it.
    """
    return Statement.build(
        [RunRecord(alarm.run), EVERY_ALARM],
        ALARM.uri,
        {
            "event": alarm.event.value,
            "task": alarm.task,
            "detail": alarm.detail[:1000],
            "user": alarm.user,
            "seenAt": to_text(alarm.seen_at),
            "run": dict(alarm.run),
        },
    )


def parse(statement: Statement) -> Alarm:
    """Read an alarm.

    Raises:
        StatementError: if a field is missing or of another type.
    """
    if statement.predicate_type != ALARM.uri:
        raise StatementError(f"expected {ALARM.uri}, got {statement.predicate_type}")
    value = statement.predicate
    try:
        event = Event(text(value, "event"))
    except ValueError as error:
        raise StatementError(f"unknown event {value.get('event')!r}") from error
    return Alarm(
        event=event,
        task=text(value, "task"),
        detail=text(value, "detail"),
        user=text(value, "user"),
        seen_at=from_text(text(value, "seenAt")),
        run=mapping(value, "run"),
    )
