"""Tables that become artifacts: rows of a database, or a frame in a task's memory, written once as Parquet and pinned."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import ArtifactChangedError, ConfigurationError

if TYPE_CHECKING:
    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


def publish(spool: Path, digest: Sha256, uri: str, hook: MlsecopsHook, *, name: str) -> Artifact:
    """Write a spooled file to ``uri``, where nothing may lie but these very bytes (of an earlier try), and pin it.

    Raises:
        ConfigurationError: if something else lies there.
        ArtifactChangedError: if what lies there afterwards isn't what was written.
    """
    written = _write_new(spool, uri)
    artifact = hook.pin(uri, name=name, kind=Kind.DATASET)
    if artifact.digest == digest:
        return artifact
    if not written:
        raise ConfigurationError(
            f"something else lies at {uri} already", "give each run a file of its own, e.g. with {{ run_id }} in it"
        )
    raise ArtifactChangedError(
        f"{uri} isn't what was written there: expected sha256:{digest}, got sha256:{artifact.digest}",
        "find out who else writes there",
    )


def _write_new(spool: Path, uri: str) -> bool:
    from airflow.sdk import ObjectStoragePath

    target: Any = ObjectStoragePath(uri)
    if target.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    with spool.open("rb") as source, target.open("xb" if target.protocol in ("", "file") else "wb") as stream:
        shutil.copyfileobj(source, stream, 1024 * 1024)
    return True
