"""An artifact's statements by time, with those about the data sets it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from airflow_mlsecops.plugin.rows import SHOWN, Row
from airflow_mlsecops.plugin.view import ArtifactView


@dataclass(frozen=True)
class Event:
    """One statement; ``about`` names the data set, and is empty for the artifact itself."""

    about: str
    row: Row


@dataclass(frozen=True)
class DayOfEvents:
    """What was said on one day (UTC); ``None`` for what can't be read."""

    day: date | None
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Timeline:
    """What counts today, and what a newer statement of the same series replaced; the newest day first.

    Attributes:
        current, old: no more than a page shows.
        old_count: how many were replaced.
        unshown: how many a page leaves out.
    """

    current: tuple[DayOfEvents, ...]
    old: tuple[DayOfEvents, ...]
    old_count: int
    unshown: int


def timeline_of(view: ArtifactView) -> Timeline:
    """Put the statements about an artifact and its data sets into one order."""
    events = [Event(name, row) for name, table in view.tables for row in table.rows]
    events.sort(key=lambda event: event.row.when or _NEVER, reverse=True)
    current, old = ([event for event in events if event.row.current is counts] for counts in (True, False))
    unshown = sum(max(0, len(listed) - SHOWN) for listed in (current, old))
    return Timeline(_days(current), _days(old), len(old), unshown)


def _days(events: list[Event]) -> tuple[DayOfEvents, ...]:
    days: dict[date | None, list[Event]] = {}
    for event in events[:SHOWN]:
        days.setdefault(event.row.when.date() if event.row.when else None, []).append(event)
    return tuple(DayOfEvents(day, tuple(said)) for day, said in days.items())


_NEVER = datetime.min.replace(tzinfo=UTC)
