"""Files and folders on a local or mounted file system."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

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

    maybe_near: ClassVar[bool] = True  # a mount may also be far

    def __init__(self, path: Path) -> None:
        self._path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links, which must be refused

    def list(self, versions: Mapping[str, str] | None = None) -> Listing:
        """See :meth:`Source.list`; a local file has no versions."""
        try:
            mode = self._path.lstat().st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:  # ValueError: a NUL in the path
            raise ArtifactNotFoundError(
                f"nothing lies at {str(self._path)!r}", "check the path and the task that writes it"
            ) from error
        except OSError as error:
            raise _unreadable(self._path, error) from error
        if stat.S_ISREG(mode):
            name = safe_name(self._path.name)
            file = SourceFile(name, self._path.lstat().st_size, str(self._path))
            return Listing(self._path.as_uri(), Form.FILE, (file,))
        if stat.S_ISDIR(mode):
            return Listing(self._path.as_uri() + "/", Form.TREE, tuple(self._walk()))
        raise _refused(self._path)

    def _walk(self) -> Iterator[SourceFile]:
        # Strings, not Paths: for many small files, making paths would cost more than hashing what lies at them.
        root = str(self._path)
        cut = len(root.rstrip("/")) + 1
        folders = [root]  # a list, not recursion: a hostile tree can be deeper than Python's stack
        while folders:
            folder = folders.pop()
            with _listing_errors(folder), os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        size = entry.stat(follow_symlinks=False).st_size
                        yield SourceFile(safe_name(entry.path[cut:]), size, entry.path)
                    else:
                        raise _refused(Path(entry.path))

    def state(self, file: SourceFile) -> str:
        """Times and inode. Whoever may write to the disk can set all of them: for explicit requests only."""
        try:
            found = os.lstat(file.locator)
        except OSError:
            return ""
        return f"{found.st_mtime_ns}-{found.st_ctime_ns}-{found.st_ino}-{found.st_dev}"

    def read(self, file: SourceFile, sink: HashingSink) -> str:
        """See :meth:`Source.read`."""
        try:
            descriptor = os.open(file.locator, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError as error:
            raise ArtifactChangedError(f"{file.locator} vanished while it was pinned", _WRITER) from error
        except OSError as error:
            if Path(file.locator).is_symlink():
                raise _refused(Path(file.locator)) from error
            raise _unreadable(file.locator, error) from error
        try:
            before = os.fstat(descriptor)
            if not stat.S_ISREG(before.st_mode):
                raise _refused(Path(file.locator))
            _stream(descriptor, before.st_size, sink, file.locator)
            after = os.fstat(descriptor)
        finally:
            os.close(descriptor)
        unchanged = (before.st_size, before.st_mtime_ns, before.st_ctime_ns) == (
            after.st_size,
            after.st_mtime_ns,
            after.st_ctime_ns,
        )
        if not unchanged or sink.size != file.size:
            raise ArtifactChangedError(f"{file.locator} changed while it was pinned", _WRITER)
        return ""


_WRITER = "let the writer finish first, and write to a new name rather than over the old one"


def _stream(descriptor: int, size: int, sink: HashingSink, locator: str) -> None:
    """Read to the end of a file that should have ``size`` bytes.

    One byte more than what is left is asked for, so that a short answer shows the end, and more than ``size`` a file
    that grows or lies about its size; either is for the caller to judge. A small file takes one read.
    """
    left = size
    while left >= 0:
        wanted = min(CHUNK_BYTES, left + 1)
        try:
            chunk = os.read(descriptor, wanted)
        except OSError as error:
            raise _unreadable(locator, error) from error
        if chunk:
            sink.write(chunk)
            left -= len(chunk)
        if not chunk or (not left and len(chunk) < wanted):
            return


@contextmanager
def _listing_errors(folder: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise ArtifactChangedError(f"{folder} changed while it was listed", _WRITER) from error
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(path: Path | str, error: OSError) -> ArtifactUnavailableError:
    return ArtifactUnavailableError(f"{path} can't be read: {error}", "check the mount and its rights")


def _refused(path: Path) -> ArtifactRefusedError:
    return ArtifactRefusedError(
        f"{path} is a link or not a regular file", "copy what it points to; links can be turned later"
    )
