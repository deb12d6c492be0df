"""Pin an artifact, and get its very bytes back later."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.digest import HashingSink, sha256_bytes
from airflow_mlsecops.core.errors import ArtifactChangedError
from airflow_mlsecops.core.manifest import FileEntry, Manifest
from airflow_mlsecops.core.pinning.beside import signature_beside
from airflow_mlsecops.core.pinning.copies import Create, check_empty, copy_to, leave_pinned
from airflow_mlsecops.core.pinning.pool import Meter, read_all
from airflow_mlsecops.core.pinning.reuse import Reuse, Reused
from airflow_mlsecops.core.pinning.sources import Access, Source, SourceFile, open_source
from airflow_mlsecops.core.pinning.states import FileState, read_states, write_states

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pin:
    """A pinned artifact with what the store keeps beside it.

    Attributes:
        artifact: the reference that travels.
        manifest: name, size and digest of each file.
        versions: of a tree on a versioned bucket, name -> S3 version id and ETag; see :mod:`.states`. Else empty.
        reused: names of the files whose digest was taken over from an earlier pin, sorted.
        reused_bytes: how many bytes weren't read for that.
    """

    artifact: Artifact
    manifest: Manifest
    versions: bytes = b""
    reused: tuple[str, ...] = ()
    reused_bytes: int = 0

    @property
    def blobs(self) -> tuple[bytes, ...]:
        """What has to be in the store so that the artifact can be found and explained again."""
        manifest = (self.manifest.to_bytes(),) if self.artifact.form is Form.TREE else ()
        return manifest + ((self.versions,) if self.versions else ())


def pin(
    uri: str,
    *,
    name: str = "",
    kind: Kind = Kind.DATASET,
    access: Access | None = None,
    copy: Create | None = None,
    every_file: bool = False,
    reuse: Reuse | None = None,
    remember_local: bool = False,
) -> Pin:
    """Hash what lies at ``uri`` now: one pass, files in parallel, bounded memory, progress in the log.

    A folder's own ``model.sig`` is left out; see :mod:`airflow_mlsecops.core.pinning.beside`.

    Args:
        uri: a path, ``file:`` or ``s3:`` URI; a folder, or a prefix that ends in ``/``, is a tree.
        name: what people call it; by default the last part of the URI.
        kind: dataset or model.
        access: how to reach S3.
        copy: also copy every file, in the same pass, to where this says; a ``model.sig`` that is left out, too.
        every_file: leave nothing out.
        reuse: an earlier pin of the same place, whose digests are taken over where a file is unchanged.
        remember_local: keep a local folder's times and inodes, so that a later pin can be asked to trust them.

    Raises:
        ArtifactNotFoundError, ArtifactRefusedError, ArtifactChangedError, ArtifactUnavailableError: see ``Source``.
    """
    reused = Reused(reuse if copy is None else None)  # a copy is made of bytes, which have to be read
    return _scan(
        uri, name, kind, access or Access(), None, copy, every_file=every_file, reused=reused, remember=remember_local
    )


def pinned_copy(
    uri: str, into: Path, *, name: str = "", kind: Kind = Kind.DATASET, access: Access | None = None
) -> tuple[Pin, Path]:
    """Pin what lies at ``uri`` and copy it into the empty folder ``into``, in one pass over the bytes.

    The digest is that of the very bytes that were copied, so the copy is as good as one that :func:`verified_copy`
    makes of them later, at the cost of another pass.

    Args:
        uri: as for :func:`pin`.
        into: an existing, empty, private folder.
        name: as for :func:`pin`.
        kind: as for :func:`pin`.
        access: how to reach S3.

    Returns:
        The pin, and the path of the copied file or folder.

    Raises:
        ArtifactNotFoundError, ArtifactRefusedError, ArtifactChangedError, ArtifactUnavailableError: as :func:`pin`.
        ConfigurationError: if ``into`` isn't empty: what lies there would pass for part of the artifact.
    """
    check_empty(into)
    pinned = pin(uri, name=name, kind=kind, access=access, copy=copy_to(into))
    return pinned, _placed(pinned, into)


def verified_copy(
    artifact: Artifact, into: Path, *, access: Access | None = None, blob: Callable[[str], bytes] | None = None
) -> Path:
    """Copy the pinned bytes into the empty folder ``into`` while hashing them; return the path of the file or folder.

    What a control reads is this private copy, so that nothing can be swapped between the check and the use.

    Args:
        artifact: a pinned artifact.
        into: an existing, empty, private folder.
        access: how to reach S3.
        blob: fetches a blob of the evidence store by digest; needed for a tree on a versioned bucket.

    Raises:
        ArtifactChangedError: if the bytes are no longer the pinned ones; what was copied until then is for the
            caller to remove.
        ConfigurationError: if ``into`` isn't empty: what lies there would pass for part of the artifact.
    """
    check_empty(into)
    return _placed(_again(artifact, access, blob, copy_to(into)), into)


def recheck(
    artifact: Artifact,
    *,
    access: Access | None = None,
    blob: Callable[[str], bytes] | None = None,
    reuse: Reuse | None = None,
) -> Pin:
    """Hash the pinned bytes again where they lie, without a copy: for signing and gates, which don't read them.

    Args:
        artifact: a pinned artifact.
        access: how to reach S3.
        blob: fetches a blob of the evidence store by digest; needed for a tree on a versioned bucket.
        reuse: an earlier pin whose digests are taken over where a file is unchanged.

    Returns:
        The same pin, as it was found now: version ids and states come from what was read, not from the reference.

    Raises:
        ArtifactChangedError: if the bytes are no longer the pinned ones.
    """
    return _again(artifact, access, blob, None, reuse)


def _placed(pinned: Pin, into: Path) -> Path:
    """The path of the file or folder that was copied; what isn't part of the artifact is removed."""
    if pinned.artifact.form is Form.FILE:
        return into / pinned.manifest.entries[0].name
    leave_pinned(into, pinned.manifest)
    return into


def _again(
    artifact: Artifact,
    access: Access | None,
    blob: Callable[[str], bytes] | None,
    copy: Create | None,
    reuse: Reuse | None = None,
) -> Pin:
    versions: dict[str, str] | None = None
    if artifact.version:
        versions = {artifact.uri.rsplit("/", 1)[-1]: artifact.version}  # an s3: URI holds the key as it is
    elif artifact.versions and blob is not None:
        versions = {name: item.version for name, item in read_states(blob(artifact.versions)).items() if item.version}
    again = _scan(
        artifact.uri,
        artifact.name,
        artifact.kind,
        access or Access(),
        versions or None,
        copy,
        reused=Reused(reuse if copy is None else None),
        remember=bool(artifact.versions),
    )
    if again.artifact.digest != artifact.digest:
        raise ArtifactChangedError(
            f"{artifact.uri}: expected sha256:{artifact.digest}, found sha256:{again.artifact.digest}",
            "somebody wrote to it after it was pinned; pin and check it again, and find out who",
        )
    return again


def _scan(
    uri: str,
    name: str,
    kind: Kind,
    access: Access,
    versions: Mapping[str, str] | None,
    copy: Create | None,
    *,
    every_file: bool = False,
    reused: Reused | None = None,
    remember: bool = False,
) -> Pin:
    source = open_source(uri, access)
    listing = source.list(versions)
    reused = reused or Reused(None)
    read = read_all(
        listing.files,
        lambda file, meter: _read_or_reuse(source, file, copy, meter, reused),
        workers=access.workers,
        what=listing.uri,
        maybe_near=source.maybe_near,
    )
    tree = listing.form is Form.TREE
    signature = signature_beside(source, listing.files, [e for e, _ in read]) if tree and not every_file else None
    manifest = Manifest.of(entry for entry, _ in read if entry is not signature)
    found = {
        file.raw_name or file.name: FileState(version, source.state(file))
        for file, (entry, version) in zip(listing.files, read, strict=True)
        if (version or remember) and entry is not signature
    }
    version_map = write_states(found) if tree else b""
    artifact = Artifact(
        name=name or _last_part(listing.uri),
        uri=listing.uri,
        kind=kind,
        form=listing.form,
        digest=manifest.digest if tree else manifest.entries[0].sha256,
        size=manifest.size,
        files=len(manifest.entries),
        version="" if tree else read[0][1],
        versions=sha256_bytes(version_map) if version_map else "",
    )
    if reused.names:
        _LOG.info("%s: took over %d digests of files that haven't changed", listing.uri, len(reused.names))
    return Pin(artifact, manifest, version_map, tuple(sorted(reused.names)), reused.size)


def _last_part(uri: str) -> str:
    last = uri.rstrip("/").rsplit("/", 1)[-1]
    return unquote(last) if uri.startswith("file:") else last  # an s3: URI holds the key as it is


def _read_or_reuse(
    source: Source, file: SourceFile, copy: Create | None, meter: Meter, reused: Reused
) -> tuple[FileEntry, str]:
    known = reused.entry(file, source.state(file))
    if known is None:
        return _read(source, file, copy, meter)
    meter(file.size)
    return known, file.version


def _read(source: Source, file: SourceFile, copy: Create | None, meter: Meter) -> tuple[FileEntry, str]:
    if copy is None:
        sink = HashingSink(meter=meter)
        version = source.read(file, sink)
    else:
        with copy(file.name) as target:
            sink = HashingSink(target, meter)
            version = source.read(file, sink)
    return FileEntry(file.name, sink.size, sink.sha256()), version
