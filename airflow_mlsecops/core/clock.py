"""Times in statements: UTC, RFC 3339, microseconds, ending in ``Z``."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow_mlsecops.core.errors import StatementError


def utcnow() -> datetime:
    """The current time, with its zone."""
    return datetime.now(UTC)


def to_text(moment: datetime) -> str:
    """``2026-01-31T12:00:00.000000Z``.

    Raises:
        StatementError: if ``moment`` has no zone, because then it isn't a moment.
    """
    if moment.tzinfo is None:
        raise StatementError(f"time {moment} has no zone", "use an aware datetime in UTC")
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def from_text(text: object) -> datetime:
    """Read RFC 3339 with a zone.

    Raises:
        StatementError: if it isn't one.
    """
    if not isinstance(text, str):
        raise StatementError(f"expected an RFC 3339 time, got {type(text).__name__}")
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:  # overflow: an offset that leads out of the years 1 to 9999
        raise StatementError(f"expected an RFC 3339 time, got {text[:40]!r}") from error
    raise StatementError(f"time {text[:40]!r} has no zone", "write it with Z or an offset")
