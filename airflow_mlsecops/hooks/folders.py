"""Folders that become artifacts: written under another name, hashed while they are, and moved into place at the end.

On a bucket nothing can be moved; there each object appears whole and only where nothing was, and what a writer that
failed had written is removed again. One that is killed leaves a part behind, which nobody pinned and nobody signed.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from airflow_mlsecops.core.digest import CHUNK_BYTES, HashingSink
from airflow_mlsecops.core.durable import sync_folder
from airflow_mlsecops.core.errors import ArtifactChangedError, ArtifactUnavailableError, ConfigurationError
from airflow_mlsecops.core.manifest import FileEntry, Manifest, safe_name
from airflow_mlsecops.hooks.snapshots import create_object, local_target, s3_errors

if TYPE_CHECKING:
    from airflow_mlsecops.core.artifact import Artifact, Kind
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook

Parts = Mapping[str, Path | bytes]
"""Name in the folder -> the file to copy, or the bytes."""


def publish_folder(parts: Parts, uri: str, hook: MlsecopsHook, *, name: str, kind: Kind) -> tuple[Artifact, Manifest]:
    """Write a new folder, and pin it; returns the artifact, and each file's digest as it was written.

    1. Nothing may lie at ``uri``.
    2. Copy and hash in one pass: what counts is what was read, not what the source holds later.
    3. Let the folder appear at ``uri``.
    4. Pin what lies there; it has to be what was written.

    Args:
        parts: what goes into it.
        uri: an absolute path, ``file://`` URI or ``s3://`` prefix.
        hook: how S3 is reached.
        name: what people call it.
        kind: data set or model.

    Raises:
        ConfigurationError: if something lies there already, or it can't be written to.
        ArtifactUnavailableError: if it can't be written to for now.
        ArtifactChangedError: if what lies there afterwards isn't what was written.
    """
    for each in parts:
        safe_name(each)
    place = uri.rstrip("/") + "/"
    written = (_to_bucket if uri.startswith("s3://") else _to_disk)(parts, place, hook)
    # 4.
    artifact = hook.pin(place, name=name, kind=kind)
    if artifact.digest != written.digest:
        raise ArtifactChangedError(
            f"{place} isn't what was written there: expected sha256:{written.digest}, got sha256:{artifact.digest}",
            "find out who else writes there",
        )
    return artifact, written


def _taken(place: str) -> ConfigurationError:
    return ConfigurationError(f"something lies at {place} already", "give each run and try a folder of its own")


def _to_disk(parts: Parts, place: str, _hook: MlsecopsHook) -> Manifest:
    target = local_target(place)
    temporary = target.parent / f".{secrets.token_hex(8)}.part"
    try:
        # 1.
        if target.exists() or target.is_symlink():
            raise _taken(place)
        # 2.
        written = _copied(parts, temporary)
        # 3. A folder that got there meanwhile isn't replaced, unless it is empty.
        temporary.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        if target.exists() and temporary.exists():  # the two are one once it was renamed
            raise _taken(place) from error
        raise ArtifactUnavailableError(f"{place} can't be written: {error.strerror}", "check the folder") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return written


def _copied(parts: Parts, folder: Path) -> Manifest:
    """Copy everything into a new folder, and flush it to disk."""
    folder.mkdir()
    entries = []
    for name, part in parts.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as stream:
            sink = HashingSink(stream)
            for chunk in _chunks(part):
                sink.write(chunk)
            stream.flush()
            os.fsync(stream.fileno())
        entries.append(FileEntry(name, sink.size, sink.sha256()))
    for inner in {(folder / name).parent for name in parts}:
        sync_folder(inner)
    return Manifest.of(entries)


def _chunks(part: Path | bytes) -> Iterator[bytes]:
    if isinstance(part, bytes):
        yield part
        return
    with part.open("rb") as source:
        while chunk := source.read(CHUNK_BYTES):
            yield chunk


def _to_bucket(parts: Parts, place: str, hook: MlsecopsHook) -> Manifest:
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    with s3_errors(place, "read"):
        # 1.
        if hook.access.s3().list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("Contents"):
            raise _taken(place)
    with TemporaryDirectory(prefix="mlsecops-") as folder:
        # 2. A request is signed over its body, and may be sent twice: it has to be a file that nobody changes.
        written = _copied(parts, Path(folder) / "copy")
        created: list[str] = []
        try:
            # 3.
            for entry in written.entries:
                if not create_object(Path(folder) / "copy" / entry.name, place + entry.name, hook):
                    raise _taken(place + entry.name)
                created.append(prefix + entry.name)
        except BaseException:
            for key in created:
                with suppress(Exception):  # the first error is the one to tell
                    hook.access.s3().delete_object(Bucket=bucket, Key=key)
            raise
    return written
