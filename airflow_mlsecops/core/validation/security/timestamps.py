"""Time stamps that never go back from row to row, and don't lie in the future.

The clock is an argument (``now``); without one it is the time of evaluation. Either way it stands in the result. Texts
are read as RFC 3339 or ISO 8601; without an offset a time counts as UTC; what can't be read as a time is unexpected.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.clock import from_text, to_text, utcnow
from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.validation.plans import Answer, Ask, Plan, Table
from airflow_mlsecops.core.validation.reading import reading
from airflow_mlsecops.core.validation.security.values import (
    arguments_of,
    first_row,
    rows_of_table,
    scratch_name,
    with_defaults,
)
from airflow_mlsecops.core.validation.source import ROW, Source

if TYPE_CHECKING:
    import pandas

TYPE = "expect_column_timestamps_to_be_monotone_and_not_in_the_future"
DEFAULTS = {"monotone": True, "strictly": False, "tolerance_seconds": 0}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def with_clock(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The expectation with the current time as its ``now`` if it needs one: so both engines see the same, and again."""
    if item["type"] != TYPE or item["kwargs"].get("now") is not None:
        return item
    return {**item, "kwargs": {**item["kwargs"], "now": to_text(utcnow())}}


def _now(kwargs: Mapping[str, Any]) -> datetime:
    return from_text(kwargs["now"]) if kwargs.get("now") is not None else utcnow()


def judge_timestamps(frame: pandas.DataFrame, kwargs: Mapping[str, Any]) -> Answer:
    """Decide about a frame."""
    chosen, now = with_defaults(kwargs, DEFAULTS), _now(kwargs)
    latest = _micros(now) + int(chosen["tolerance_seconds"] * 1_000_000)
    values = frame[kwargs["column"]]
    values = values[values.notna()].astype(object)
    back = future = unread = 0
    rows = []
    before: int | None = None
    for row, value in values.items():
        moment = _read(value)
        late = moment is not None and moment > latest
        early = moment is not None and chosen["monotone"] and _goes_back(before, moment, chosen["strictly"])
        back, future, unread = back + early, future + late, unread + (moment is None)
        if moment is None or late or early:
            rows.append(int(row))
        before = before if moment is None else moment
    return _answer(now, len(frame), len(values), back, future, unread, len(rows), tuple(rows))


def plan_timestamps(kwargs: Mapping[str, Any], table: Table) -> Plan | None:
    """The plan, for columns of time stamps with microseconds; texts, days and nanoseconds are left to GX."""
    column = table.columns[kwargs["column"]]
    if column.kind != "time":
        return None
    chosen, now = with_defaults(kwargs, DEFAULTS), _now(kwargs)
    latest = _micros(now) + int(chosen["tolerance_seconds"] * 1_000_000)
    bad_rows = scratch_name("bad", "timestamps", column.name, arguments_of(kwargs))
    found: dict[str, Any] = {}
    sign = "<=" if chosen["strictly"] else "<"

    def prepare(ask: Ask, source: Source) -> None:
        last, run = None, source.connection.execute
        found.update(seen=0, back=0, future=0)
        run(f"CREATE OR REPLACE TABLE {bad_rows} (r BIGINT)")
        for scan, before in source.numbered:
            moments = f"SELECT {ROW} AS r, epoch_us({column.sql}) AS t FROM {scan} WHERE {column.present}"
            first = "CAST(NULL AS BIGINT)" if last is None else str(last)
            steps = f"SELECT r, t, coalesce(lag(t) OVER (ORDER BY r), {first}) AS p FROM ({moments})"
            early = f"coalesce(t {sign} p, false)" if chosen["monotone"] else "false"
            late = f"t > {latest}"
            with reading():
                counts = ", ".join(f"count(*) FILTER (WHERE {each})" for each in (early, late))
                seen, back, future, last_row = first_row(
                    source, f"SELECT count(*), {counts}, arg_max(t, r) FROM ({steps})"
                )
                if back or future:
                    run(f"INSERT INTO {bad_rows} SELECT r + {before} FROM ({steps}) WHERE {early} OR {late}")
            found.update(seen=found["seen"] + seen, back=found["back"] + back, future=found["future"] + future)
            last = last if last_row is None else last_row

    def decide(ask: Ask) -> Answer:
        wrong, rows = rows_of_table(ask, bad_rows)
        return _answer(now, table.rows, found["seen"], found["back"], found["future"], 0, wrong, rows)

    return Plan(decide, prepare=prepare, listed=bad_rows)


def _goes_back(before: int | None, moment: int, strictly: bool) -> bool:
    return before is not None and (moment <= before if strictly else moment < before)


def _read(value: Any) -> int | None:
    """Microseconds since 1970 in UTC; ``None`` for a text that is no time.

    Raises:
        DataError: for what is neither a time nor text.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.strip())
        except ValueError:
            return None
    elif isinstance(value, datetime):
        value = value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value
    elif isinstance(value, date):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    else:
        raise DataError(f"expected times, got {type(value).__name__}", "check columns of times only")
    return _micros(value if value.tzinfo else value.replace(tzinfo=UTC))


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _answer(
    now: datetime, elements: int, seen: int, back: int, future: int, unread: int, wrong: int, rows: tuple[int, ...]
) -> Answer:
    observed = {"now": to_text(now), "back": back, "future": future, "unreadable": unread}
    return Answer(not wrong, seen, wrong, observed, elements, rows=rows)
