"""Where artifacts lie: one source per URI scheme, in one visible table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple
from urllib.parse import unquote, urlsplit

from airflow_mlsecops.core.artifact import Form
from airflow_mlsecops.core.digest import HashingSink
from airflow_mlsecops.core.errors import ConfigurationError

if TYPE_CHECKING:
    from airflow_mlsecops.core.pinning.local import LocalSource
    from airflow_mlsecops.core.pinning.s3 import S3Source


class SourceFile(NamedTuple):
    """One file as its source lists it.

    Attributes:
        name: normalised name.
        size: in bytes.
        locator: how the source finds it again.
        version: S3 version id, or empty.
        raw_name: on S3 the name before normalisation: another spelling would be another object.
    """

    name: str
    size: int
    locator: str
    version: str = ""
    raw_name: str = ""


class Listing(NamedTuple):
    """What lies at a URI: its normalised URI, one file or a tree, and the files."""

    uri: str
    form: Form
    files: tuple[SourceFile, ...]


class Source(ABC):
    """Lists what lies at a URI and streams the bytes of one file.

    Attributes:
        maybe_near: whether reading a file may take less time than a network does to answer.
    """

    maybe_near: ClassVar[bool] = False

    @abstractmethod
    def list(self, versions: Mapping[str, str] | None = None) -> Listing:
        """List the files; with ``versions`` (raw name -> S3 version id) exactly those versions.

        Raises:
            ArtifactNotFoundError: if nothing lies there.
            ArtifactRefusedError: if something lies there that can't be pinned safely.
            ArtifactUnavailableError: if the place can't be reached for now.
        """

    def state(self, file: SourceFile) -> str:
        """What tells that a file's bytes are the ones of before, without reading them; empty if nothing does."""
        return ""

    @abstractmethod
    def read(self, file: SourceFile, sink: HashingSink) -> str:
        """Stream the bytes of ``file`` into ``sink``; return the version that was read (empty where there is none).

        Raises:
            ArtifactChangedError: if the file changed since it was listed, or while it was read.
            ArtifactUnavailableError: if the place can't be reached for now.
        """


def _ambient_s3() -> Any:
    from boto3.session import Session

    return Session().client("s3")


@dataclass(frozen=True)
class Access:
    """How to reach the places where artifacts lie.

    Attributes:
        s3: makes a boto3 S3 client, called only when an ``s3:`` URI is met; ambient credentials by default.
        workers: how many files are read at once.
    """

    s3: Callable[[], Any] = field(default=_ambient_s3)
    workers: int = 4


def open_source(uri: str, access: Access) -> Source:
    """The source for ``uri``: a path, ``file:`` or ``s3:``.

    Raises:
        ConfigurationError: for any other scheme, or a malformed URI.
    """
    if not isinstance(uri, str) or not uri.strip():
        raise ConfigurationError("expected an artifact URI, got nothing", "give a path, file:// or s3:// URI")
    try:
        scheme = urlsplit(uri).scheme if "://" in uri else ""
    except ValueError as error:  # such as an unclosed bracket
        raise ConfigurationError(f"{uri!r} is no URI: {error}", "give a path, file:// or s3:// URI") from error
    opener = _OPENERS.get(scheme)
    if opener is None:
        raise ConfigurationError(
            f"no artifact can be read from {scheme}: URIs",
            f"use one of {', '.join(s + ':' for s in _OPENERS if s)}, or a path",
        )
    return opener(uri, access)


def _local(uri: str, access: Access) -> LocalSource:
    from airflow_mlsecops.core.pinning.local import LocalSource

    if "://" not in uri:
        return LocalSource(Path(uri))
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise ConfigurationError(f"{uri!r} names another host", "write file:///absolute/path")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"{uri!r} has a '?' or '#'", "write them as %3F and %23, or give a plain path")
    return LocalSource(Path(unquote(parts.path)))


def _s3(uri: str, access: Access) -> S3Source:
    from airflow_mlsecops.core.pinning.s3 import S3Source

    bucket, _, key = uri.removeprefix("s3://").partition("/")
    if not bucket:
        raise ConfigurationError(f"{uri!r} names no bucket", "write s3://bucket/key or s3://bucket/prefix/")
    return S3Source(access.s3(), bucket, key)


_OPENERS: dict[str, Callable[[str, Access], Source]] = {"": _local, "file": _local, "s3": _s3}
