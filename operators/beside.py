"""Files with data, which a task writes beside the data and never into XCom, a log or the evidence store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.digest import sha256_file
from airflow_mlsecops.core.errors import ArtifactChangedError, ConfigurationError

if TYPE_CHECKING:
    from airflow_mlsecops.core.store.backend import Backend
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


def check_beside(folder: str, artifact: Artifact) -> None:
    """Refuse, before anything is read, a place that can't be written to or lies within the artifact.

    What is written within it would change it.

    Raises:
        ConfigurationError: naming the place.
    """
    place = _absolute(folder)
    if artifact.form is Form.TREE and f"{place}/".startswith(f"{_absolute(artifact.uri)}/"):
        raise ConfigurationError(
            f"{folder} lies in the data set {artifact.uri}", "name a folder beside it: the data set must not change"
        )


def keep_beside(hook: MlsecopsHook, file: Path, folder: str, stem: str, *, name: str) -> Artifact:
    """Take a file to a folder or a prefix, under a name that tells its digest, and pin it there.

    Nothing is overwritten: the same bytes have the same name, so that a retry finds what it wrote before.

    Args:
        hook: how S3 is reached.
        file: what to take there.
        folder: a path, ``file://`` or ``s3://`` URI.
        stem: what the name begins with.
        name: what people call it.

    Raises:
        ArtifactChangedError: if other bytes lie under that name.
        StoreUnavailableError: if the place can't be written to for now.
    """
    digest = sha256_file(file)
    key = f"{stem}-{digest}{file.suffix}"
    backend, prefix, uri = _place(hook, folder)
    backend.create_from(prefix + key, file)
    pinned = hook.pin(f"{uri}/{key}", name=name, kind=Kind.DATASET, keep=False)
    if pinned.digest != digest:
        raise ArtifactChangedError(
            f"{uri}/{key} holds other bytes than its name says", "find out who wrote there, and remove it"
        )
    return pinned


def _place(hook: MlsecopsHook, folder: str) -> tuple[Backend, str, str]:
    """Where to write, what comes before the name there, and the folder's URI without a slash at its end."""
    from airflow_mlsecops.core.store.local import LocalBackend
    from airflow_mlsecops.core.store.s3 import S3Backend

    where = _absolute(folder)
    if where.startswith("s3://"):
        bucket, _, prefix = where.removeprefix("s3://").partition("/")
        return S3Backend(hook.access.s3(), bucket, ""), f"{prefix}/" if prefix else "", where
    return LocalBackend(Path(where)), "", where


def _absolute(uri: str) -> str:
    """A local path, or an S3 URI, with no slash at its end.

    Raises:
        ConfigurationError: if it is neither.
    """
    if "://" not in uri:
        return str(Path(uri).resolve())
    parts = urlsplit(uri)
    if parts.scheme == "s3" and parts.netloc:
        return uri.rstrip("/")
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return str(Path(unquote(parts.path)).resolve())
    raise ConfigurationError(f"nothing can be written to {uri!r}", "name a folder, or s3://bucket/prefix")
