"""Files that become artifacts: rows of a database, a frame in a task's memory, what a task derived; written once."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
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


def publish(
    spool: Path, digest: Sha256, uri: str, hook: MlsecopsHook, *, name: str, kind: Kind = Kind.DATASET
) -> Artifact:
    """Write a spooled file to ``uri``, where nothing may lie but these very bytes (of an earlier try), and pin it.

    It appears there whole or not at all: a writer that is killed leaves at most a hidden file beside it.

    Raises:
        ConfigurationError: if something else lies there.
        ArtifactChangedError: if what lies there afterwards isn't what was written.
    """
    written = _write_new(spool, uri, hook)
    artifact = hook.pin(uri, name=name, kind=kind)
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
    return create_object(spool, uri, hook) if uri.startswith("s3://") else _to_file(spool, uri)


def local_target(uri: str) -> Path:
    """The path that a URI without a bucket names, with its parent made.

    Raises:
        ConfigurationError: if it is no absolute path or ``file://`` URI.
        ArtifactUnavailableError: if the parent can't be made.
    """
    if "://" in uri and not uri.startswith("file:///"):
        raise ConfigurationError(f"nothing can be written to {uri}", "give a path, file:// or s3:// URI")
    target = Path(unquote(urlsplit(uri).path)) if "://" in uri else Path(uri)
    if not target.is_absolute():
        raise ConfigurationError(f"{uri} isn't an absolute path", "tasks have no folder of their own to begin from")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArtifactUnavailableError(f"{target.parent} can't be made: {error.strerror}", "check the path") from error
    return target


def _to_file(spool: Path, uri: str) -> bool:
    """Under another name first, then linked: the link appears whole or not at all, and fails if the name is taken."""
    target = local_target(uri)
    temporary = target.parent / f".{secrets.token_hex(8)}.part"
    try:
        with spool.open("rb") as source, temporary.open("xb") as stream:
            shutil.copyfileobj(source, stream, 1024 * 1024)
            stream.flush()
            os.fsync(stream.fileno())
        _name(temporary, target)
    except FileExistsError:
        return False
    except OSError as error:
        raise ArtifactUnavailableError(f"{uri} can't be written: {error.strerror}", "check the folder") from error
    finally:
        temporary.unlink(missing_ok=True)
    return True


def _name(temporary: Path, target: Path) -> None:
    try:
        os.link(temporary, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        # Some mounts have no hard links. There a worker that is killed may leave a part, whose digest nobody signed.
        with temporary.open("rb") as source, target.open("xb") as stream:
            shutil.copyfileobj(source, stream, 1024 * 1024)


def create_object(spool: Path, uri: str, hook: MlsecopsHook) -> bool:
    """Create one object, if nothing lies there.

    Raises:
        ConfigurationError: if it is too large, or the bucket refuses.
        ArtifactUnavailableError: if the bucket can't be reached.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket or not key:
        raise ConfigurationError(f"{uri!r} names no bucket or no key", "write s3://bucket/key")
    if spool.stat().st_size > _S3_PUT:
        raise ConfigurationError(
            "more than 5 GiB don't fit into one object that is only created", "write smaller files"
        )
    with s3_errors(uri, "written"), spool.open("rb") as source:
        try:
            hook.access.s3().put_object(Bucket=bucket, Key=key, Body=source, IfNoneMatch="*")
        except Exception as error:
            if classify(error) is S3Failure.EXISTS:
                return False
            raise
    return True


@contextmanager
def s3_errors(place: str, done: str) -> Iterator[None]:
    """Tell what S3 refuses as errors about a place that can't be ``done``: read, or written.

    Raises:
        ConfigurationError: if the bucket refuses.
        ArtifactUnavailableError: if it can't be reached.
    """
    try:
        yield
    except Exception as error:
        failure = classify(error)
        if failure is None:
            raise
        if failure is S3Failure.UNAVAILABLE:
            raise ArtifactUnavailableError(f"{place} can't be {done} for now", "try again") from error
        raise ConfigurationError(f"{place} can't be {done}: {failure}", "check the bucket, and the rights") from error
