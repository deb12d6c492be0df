"""What an asset event of ours carries: the digest, so that downstream Dags know what to verify. It proves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

EXTRA = "mlsecops"
"""Key in an asset event's ``extra``."""


def tell_outlets(context: Any, outlets: Any, reference: Mapping[str, Any]) -> None:
    """Put a reference into the event of every asset among a task's outlets."""
    from airflow.sdk import Asset

    for outlet in outlets or ():
        if isinstance(outlet, Asset):
            context["outlet_events"][outlet].extra[EXTRA] = dict(reference)
