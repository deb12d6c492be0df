"""Pinning: from a URI to a digest, and from a digest back to the very same bytes."""

from airflow_mlsecops.core.pinning.pin import Pin, pin, pinned_copy, recheck, verified_copy
from airflow_mlsecops.core.pinning.reuse import Reuse
from airflow_mlsecops.core.pinning.sources import Access

__all__ = ["Access", "Pin", "Reuse", "pin", "pinned_copy", "recheck", "verified_copy"]
