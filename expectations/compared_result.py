"""What an expectation of ours returns to Great Expectations: the words, and for our own reports what they stand for."""

from __future__ import annotations

from typing import Any

from airflow_mlsecops.core.profile.compare import Compared, told


def compared_result(compared: Compared) -> dict[str, Any]:
    """From a comparison."""
    details = {"compared": compared} if compared.statistics else None
    return result(held=compared.held, observed=told(compared.statistics), trouble=compared.trouble, details=details)


def result(*, held: bool, observed: str, trouble: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """What cannot be told has a ``trouble``, and is no success."""
    told_why = {"trouble": trouble} if trouble else {}
    return {
        "success": held and not trouble,
        "result": {"observed_value": observed or None, "details": {**(details or {}), **told_why}},
    }
