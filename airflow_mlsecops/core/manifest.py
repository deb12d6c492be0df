"""The manifest of a directory, a prefix or a partitioned dataset, whose SHA-256 is its digest.

Canonical JSON (RFC 8785) of ``[{"name", "size", "sha256"}]`` sorted by name. Unlike the root digest of OMS v1.0
it binds names and sizes, so that a renamed file is a different artifact.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from airflow_mlsecops.core.canonical import canonical_json, strict_json
from airflow_mlsecops.core.digest import Sha256, parse_sha256, sha256_bytes
from airflow_mlsecops.core.errors import ArtifactRefusedError, StatementError

MAX_NAME = 1024
_PLAIN_NAME = re.compile(r"[A-Za-z0-9 !#$%&'()+,./:;<=>?@^_`{|}~\[\]*\"-]{1,1024}")
"""Printable ASCII without a backslash: the same after normalisation, and in every encoding."""
_DOUBTFUL = re.compile(r"/\.{0,2}/")
"""An empty part, or ``.``, or ``..``, in a name between slashes."""


class FileEntry(NamedTuple):
    """One file: normalised name relative to the root, size in bytes, SHA-256."""

    name: str
    size: int
    sha256: Sha256


@dataclass(frozen=True)
class Manifest:
    """All files of a tree, sorted by name, no name twice."""

    entries: tuple[FileEntry, ...]

    @classmethod
    def of(cls, entries: Iterable[FileEntry]) -> Manifest:
        """Sort and check ``entries``.

        Raises:
            ArtifactRefusedError: if there are none, or one name stands twice (also after Unicode normalisation), or
                for a file and for a folder with files (S3 allows that, no disk does).
        """
        ordered = tuple(sorted(entries))
        if not ordered:
            raise ArtifactRefusedError(
                "the artifact holds no files", "an empty artifact can't be checked; look at its path"
            )
        for before, after in pairwise(ordered):
            if before.name == after.name:
                raise ArtifactRefusedError(f"the name {after.name!r} stands for two files", "rename one of them")
        names = {entry.name for entry in ordered}
        for folder in {parent for name in names for parent in _parents(name)}:
            if folder in names:
                raise ArtifactRefusedError(f"{folder!r} is both a file and a folder", "rename one of them")
        return cls(ordered)

    @property
    def size(self) -> int:
        """Bytes in all files together."""
        return sum(entry.size for entry in self.entries)

    def to_bytes(self) -> bytes:
        """The canonical bytes; their SHA-256 is the tree's digest, and their address in the store."""
        return canonical_json([{"name": e.name, "sha256": e.sha256, "size": e.size} for e in self.entries])

    @property
    def digest(self) -> Sha256:
        """The tree's digest."""
        return sha256_bytes(self.to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read a manifest; anything but the canonical form of a valid one is refused.

        Raises:
            StatementError: if the bytes aren't a manifest.
            ArtifactRefusedError: if a name in it isn't allowed.
        """
        value = strict_json(data, "manifest", limit=1024 * 1024 * 1024)
        try:
            manifest = cls.of(_entry(item) for item in value)
        except (KeyError, TypeError) as error:
            raise StatementError(f"not a manifest: {error!r}", "fetch it again from the evidence store") from error
        if manifest.to_bytes() != data:
            raise StatementError("the manifest is not in canonical form", "it was not written by a pin; don't use it")
        return manifest


def _parents(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rsplit("/", 1)[0]
        yield name


def _entry(item: dict[str, Any]) -> FileEntry:
    size = item["size"]
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise StatementError(f"not a file size: {size!r}")
    return FileEntry(safe_name(item["name"]), size, parse_sha256(item["sha256"]))


def safe_name(name: str) -> str:
    """Normalise a relative file name (NFC, ``/`` between parts), refusing what could mean another file elsewhere.

    Raises:
        ArtifactRefusedError: for absolute names, ``..``, ``.``, empty parts, backslashes, control characters, bytes
            that aren't UTF-8, and names longer than 1,024 characters.
    """
    advice = "rename the file; such names mean different files to different tools"
    if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) and not _DOUBTFUL.search(f"/{name}/"):
        return name  # most names are like this, and the full examination takes as long as hashing a small file
    if not isinstance(name, str) or not name or len(name) > MAX_NAME:
        raise ArtifactRefusedError(
            f"file name {str(name)[:80]!r} is empty or longer than {MAX_NAME} characters", advice
        )
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ArtifactRefusedError(f"file name {name!r} is not UTF-8", advice) from error
    if "\\" in name or any(unicodedata.category(char) == "Cc" for char in name):
        raise ArtifactRefusedError(f"file name {name!r} holds a backslash or a control character", advice)
    normalised = unicodedata.normalize("NFC", name)
    if any(part in ("", ".", "..") for part in normalised.split("/")):
        raise ArtifactRefusedError(f"file name {name!r} is absolute, or has an empty, '.' or '..' part", advice)
    return normalised
