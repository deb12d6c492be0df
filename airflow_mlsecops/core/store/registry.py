"""Evidence stores by URI."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.pinning.sources import Access
from airflow_mlsecops.core.store.backend import Backend
from airflow_mlsecops.core.store.evidence_store import EvidenceStore
from airflow_mlsecops.core.store.retention import Retention

if TYPE_CHECKING:
    from airflow_mlsecops.core.log import EvidenceLog


def open_store(
    root: str,
    access: Access | None = None,
    *,
    log: Callable[[Backend], EvidenceLog] | None = None,
    retention: str = "",
) -> EvidenceStore:
    """The evidence store at ``root``: a path, ``file:///path`` or ``s3://bucket/prefix``. Nothing is dialled yet.

    Args:
        root: where it is.
        access: how S3 is reached.
        log: makes the log to which evidence is added as it is written, once something is; without it, none is.
        retention: what the bucket's Object Lock is asked for, such as ``COMPLIANCE:365``; empty for nothing.

    Raises:
        ConfigurationError: if the scheme isn't known, or the retention can't be had there.
    """
    scheme = urlsplit(root).scheme if "://" in root else ""
    opener = _SCHEMES.get(scheme)
    if opener is None or not root.strip():
        raise ConfigurationError(f"no evidence store at {root!r}", "give a folder or s3://bucket/prefix")
    lock = Retention.parse(retention) if retention else None
    return EvidenceStore(opener(root, (access or Access()).s3, lock), log)


def _local(root: str, s3: Callable[[], Any], lock: Retention | None) -> Backend:
    from airflow_mlsecops.core.store.local import LocalBackend

    if lock is not None:
        raise ConfigurationError(f"{root} is a folder, which has no Object Lock", "leave the retention out")
    return LocalBackend(Path(unquote(urlsplit(root).path) if "://" in root else root).absolute())


def _s3(root: str, s3: Callable[[], Any], lock: Retention | None) -> Backend:
    from airflow_mlsecops.core.store.s3 import S3Backend

    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    if not bucket:
        raise ConfigurationError(f"{root!r} names no bucket", "write s3://bucket/prefix")
    return S3Backend(s3(), bucket, prefix, lock)


_Opener = Callable[[str, Callable[[], Any], Retention | None], Backend]
_SCHEMES: dict[str, _Opener] = {"": _local, "file": _local, "s3": _s3}
