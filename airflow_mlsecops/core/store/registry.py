"""Evidence stores by URI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.pinning.sources import Access
from airflow_mlsecops.core.store.backend import Backend
from airflow_mlsecops.core.store.evidence_store import EvidenceStore


def open_store(root: str, access: Access | None = None) -> EvidenceStore:
    """The evidence store at ``root``: a path, ``file:///path`` or ``s3://bucket/prefix``. Nothing is dialled yet.

    Raises:
        ConfigurationError: if the scheme isn't known.
    """
    scheme = urlsplit(root).scheme if "://" in root else ""
    opener = _SCHEMES.get(scheme)
    if opener is None or not root.strip():
        raise ConfigurationError(f"no evidence store at {root!r}", "give a folder or s3://bucket/prefix")
    return EvidenceStore(opener(root, (access or Access()).s3))


def _local(root: str, s3: Callable[[], Any]) -> Backend:
    from airflow_mlsecops.core.store.local import LocalBackend

    return LocalBackend(Path(unquote(urlsplit(root).path) if "://" in root else root).absolute())


def _s3(root: str, s3: Callable[[], Any]) -> Backend:
    from airflow_mlsecops.core.store.s3 import S3Backend

    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    if not bucket:
        raise ConfigurationError(f"{root!r} names no bucket", "write s3://bucket/prefix")
    return S3Backend(s3(), bucket, prefix)


_SCHEMES: dict[str, Callable[[str, Callable[[], Any]], Backend]] = {"": _local, "file": _local, "s3": _s3}
