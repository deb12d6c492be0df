"""Times are moments: with a zone, or refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.clock import from_text, to_text, utcnow
from airflow_mlsecops.core.errors import StatementError

ZONES = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES))
def test_a_moment_survives_writing_and_reading(moment: datetime) -> None:
    text = to_text(moment)

    assert from_text(text) == moment
    assert text.endswith("Z")
    assert len(text) == len("2026-01-31T12:00:00.000000Z")


@given(st.datetimes(), st.datetimes())
def test_texts_sort_as_their_moments_do(first: datetime, second: datetime) -> None:
    earlier, later = sorted([first.replace(tzinfo=UTC), second.replace(tzinfo=UTC)])

    assert to_text(earlier) <= to_text(later)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-02-30T12:00:00Z",
        "2026-01-31T25:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-01-31T12:00:00Z\n",
        None,
        1769860800,
        1.5,
        ["2026-01-31T12:00:00Z"],
    ],
)
def test_what_is_no_moment_is_refused(text: object) -> None:
    with pytest.raises(StatementError):
        from_text(text)


def test_a_time_without_zone_is_not_written() -> None:
    with pytest.raises(StatementError, match="no zone"):
        to_text(datetime(2026, 1, 31))


def test_now_has_its_zone() -> None:
    assert utcnow().utcoffset() == timedelta(0)
