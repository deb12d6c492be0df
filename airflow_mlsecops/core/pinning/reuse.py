"""Digests of files that haven't changed, taken over from an earlier pin whose evidence was verified.

On a versioned bucket a version id names bytes that never change. So a file with the same version id, size and ETag as
in a manifest that somebody trusted signed has the digest that stands there, and needn't be read. What is trusted is the
server's word that it keeps its promise; where that isn't enough, hash everything.

On a disk nothing keeps such a promise: times and inode are what whoever writes there says they are. There a digest is
taken over on explicit request only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.manifest import FileEntry, Manifest
from airflow_mlsecops.core.pinning.sources import SourceFile
from airflow_mlsecops.core.pinning.states import FileState


@dataclass(frozen=True)
class Reuse:
    """An earlier pin to take digests from. Make one with :func:`airflow_mlsecops.core.reuse.verified_reuse` only.

    Attributes:
        manifest: its files; verified by whoever made this.
        states: raw name -> version id and state, verified too.
        unsafe_local: also take over what only a disk's own times and inodes speak for.
    """

    manifest: Manifest
    states: Mapping[str, FileState]
    unsafe_local: bool = False

    @property
    def digest(self) -> Sha256:
        """The earlier pin's digest."""
        return self.manifest.digest

    def entries(self) -> dict[str, FileEntry]:
        """Its files by name."""
        return {entry.name: entry for entry in self.manifest.entries}


class Reused:
    """Decides file by file, and counts.

    Attributes:
        names: what was taken over.
        size: bytes that weren't read.
    """

    def __init__(self, reuse: Reuse | None) -> None:
        self._reuse = reuse
        self._entries = reuse.entries() if reuse else {}
        self.names: list[str] = []
        self.size = 0

    def entry(self, file: SourceFile, state: str) -> FileEntry | None:
        """The file's digest from before, if all of these are what they were: name, size, version id and state."""
        if self._reuse is None or not state:
            return None
        known, before = self._entries.get(file.name), self._reuse.states.get(file.raw_name or file.name)
        if known is None or before is None or known.size != file.size:
            return None
        if before != FileState(file.version, state) or not (file.version or self._reuse.unsafe_local):
            return None
        self.names.append(file.name)  # of a list and a number: both safe enough, and only for people
        self.size += file.size
        return known
