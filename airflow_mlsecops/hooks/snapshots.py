"""Tables that become artifacts: rows of a database, a frame in a task's memory, written once as Parquet and pinned."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import ArtifactChangedError, ArtifactUnavailableError, ConfigurationError
from airflow_mlsecops.core.s3_errors import S3Failure, classify

if TYPE_CHECKING:
    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook

_S3_PUT = 5 * 1024**3
"""What S3 takes in one piece, and only then under the condition that nothing lies there."""


def publish(spool: Path, digest: Sha256, uri: str, hook: MlsecopsHook, *, name: str) -> Artifact:
    """Write a spooled file to ``uri``, where nothing may lie but these very bytes (of an earlier try), and pin it.

    Raises:
        ConfigurationError: if something else lies there.
        ArtifactChangedError: if what lies there afterwards isn't what was written.
    """
    written = _write_new(spool, uri, hook)
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


def _write_new(spool: Path, uri: str, hook: MlsecopsHook) -> bool:
    return _to_s3(spool, uri, hook) if uri.startswith("s3://") else _to_file(spool, uri)


def _to_file(spool: Path, uri: str) -> bool:
    if "://" in uri and not uri.startswith("file:///"):
        raise ConfigurationError(f"nothing can be written to {uri}", "give a path, file:// or s3:// URI")
    target = Path(unquote(urlsplit(uri).path)) if "://" in uri else Path(uri)
    if not target.is_absolute():
        raise ConfigurationError(f"{uri} isn't an absolute path", "tasks have no folder of their own to begin from")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactUnavailableError(f"{target.parent} can't be made: {error.strerror}", "check the path") from error
    try:
        with spool.open("rb") as source, target.open("xb") as stream:
            try:
                shutil.copyfileobj(source, stream, 1024 * 1024)
            except BaseException:
                target.unlink()  # half a file would stand in a retry's way
                raise
    except FileExistsError:
        return False
    except OSError as error:
        raise ArtifactUnavailableError(f"{uri} can't be written: {error.strerror}", "check the folder") from error
    return True


def _to_s3(spool: Path, uri: str, hook: MlsecopsHook) -> bool:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise ConfigurationError(f"{uri!r} names no bucket or no key", "write s3://bucket/key.parquet")
    if spool.stat().st_size > _S3_PUT:
        raise ConfigurationError("more than 5 GiB don't fit into one object that is only created", "split the query")
    try:
        with spool.open("rb") as source:
            hook.access.s3().put_object(Bucket=bucket, Key=key, Body=source, IfNoneMatch="*")
    except Exception as error:
        failure = classify(error)
        if failure is None:
            raise
        if failure is S3Failure.EXISTS:
            return False
        if failure is S3Failure.UNAVAILABLE:
            raise ArtifactUnavailableError(f"{uri} can't be written for now", "try again") from error
        raise ConfigurationError(f"{uri} can't be written: {failure}", "check the bucket, and the rights") from error
    return True
