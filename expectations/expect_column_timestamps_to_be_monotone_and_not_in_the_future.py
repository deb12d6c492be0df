"""Times never go back from row to row, and none lies in the future."""

from __future__ import annotations

from typing import ClassVar

from airflow_mlsecops.expectations.bases import TableExpectation


class ExpectColumnTimestampsToBeMonotoneAndNotInTheFuture(TableExpectation):
    """Times never go back from row to row, and none lies in the future.

    Args:
        column: the column to look at.
        monotone: whether they may not go back; true by default.
        strictly: whether they may not stand still either.
        tolerance_seconds: how far in the future a time may lie; 0 by default.
        now: the clock, RFC 3339; by default the time of evaluation, which is recorded.

    Example::

        ExpectColumnTimestampsToBeMonotoneAndNotInTheFuture(column="seen_at", tolerance_seconds=60)
    """

    kind: ClassVar[str] = "expect_column_timestamps_to_be_monotone_and_not_in_the_future"
    column: str
    monotone: bool | None = None
    strictly: bool | None = None
    tolerance_seconds: float | None = None
    now: str | None = None
