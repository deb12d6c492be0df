"""The evidence store: bundles and blobs under one root, on a folder or a bucket. Reading needs no trust in it."""

from airflow_mlsecops.core.store.evidence_store import EvidenceStore, Found
from airflow_mlsecops.core.store.registry import open_store

__all__ = ["EvidenceStore", "Found", "open_store"]
