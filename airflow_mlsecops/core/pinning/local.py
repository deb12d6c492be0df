"""Files and folders on a local or mounted file system."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from airflow_mlsecops.core.artifact import Form
from airflow_mlsecops.core.digest import CHUNK_BYTES, HashingSink
from airflow_mlsecops.core.errors import (
    ArtifactChangedError,
    ArtifactNotFoundError,
    ArtifactRefusedError,
    ArtifactUnavailableError,
)
from airflow_mlsecops.core.manifest import safe_name
from airflow_mlsecops.core.pinning.sources import Listing, Source, SourceFile


class LocalSource(Source):
    """One file, or a folder with everything in it. Links and devices are refused, never followed."""

    def __init__(self, path: Path) -> None:
        self._path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links, which must be refused

    def list(self, versions: Mapping[str, str] | None = None) -> Listing:
        """See :meth:`Source.list`; a local file has no versions."""
        try:
            mode = self._path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ArtifactNotFoundError(
                f"nothing lies at {self._path}", "check the path and the task that writes it"
            ) from error
        except OSError as error:
            raise ArtifactUnavailableError(
                f"{self._path} can't be read: {error}", "check the mount and its rights"
            ) from error
        if stat.S_ISREG(mode):
            name = safe_name(self._path.name)
            file = SourceFile(name, self._path.lstat().st_size, str(self._path))
            return Listing(self._path.as_uri(), Form.FILE, (file,))
        if stat.S_ISDIR(mode):
            return Listing(self._path.as_uri() + "/", Form.TREE, tuple(self._walk(self._path)))
        raise _refused(self._path)

    def _walk(self, folder: Path) -> Iterator[SourceFile]:
        with os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                path = Path(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    yield from self._walk(path)
                elif entry.is_file(follow_symlinks=False):
                    name = safe_name(path.relative_to(self._path).as_posix())
                    yield SourceFile(name, entry.stat(follow_symlinks=False).st_size, entry.path)
                else:
                    raise _refused(path)

    def read(self, file: SourceFile, sink: HashingSink) -> str:
        """See :meth:`Source.read`."""
        try:
            descriptor = os.open(file.locator, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as error:
            raise ArtifactChangedError(f"{file.locator} vanished while it was pinned", _WRITER) from error
        except OSError as error:
            if Path(file.locator).is_symlink():
                raise _refused(Path(file.locator)) from error
            raise ArtifactUnavailableError(
                f"{file.locator} can't be read: {error}", "check the mount and its rights"
            ) from error
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            before = os.fstat(stream.fileno())
            if not stat.S_ISREG(before.st_mode):
                raise _refused(Path(file.locator))
            while chunk := stream.read(CHUNK_BYTES):
                sink.write(chunk)
            after = os.fstat(stream.fileno())
        unchanged = (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
            after.st_size,
            after.st_mtime_ns,
            after.st_ctime_ns,
        )
        if not unchanged or sink.size != file.size:
            raise ArtifactChangedError(f"{file.locator} changed while it was pinned", _WRITER)
        return ""


_WRITER = "let the writer finish first, and write to a new name rather than over the old one"


def _refused(path: Path) -> ArtifactRefusedError:
    return ArtifactRefusedError(
        f"{path} is a link or not a regular file", "copy what it points to; links can be turned later"
    )
