"""Where the files of a private copy go, and what of them stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import IO

from airflow_mlsecops.core.errors import ArtifactRefusedError, ConfigurationError
from airflow_mlsecops.core.manifest import Manifest
from airflow_mlsecops.core.pinning.beside import SIGNATURE_NAME

Create = Callable[[str], IO[bytes]]
"""Makes the place into which one file of an artifact is copied, by its normalised name."""


def copy_to(folder: Path) -> Create:
    """Copies into ``folder``, which exists, is empty and private, under the files' own names."""
    return lambda name: _create(folder / name)


def leave_pinned(folder: Path, manifest: Manifest) -> None:
    """Remove the ``model.sig`` that was copied, but isn't part of what was pinned."""
    if SIGNATURE_NAME not in {entry.name for entry in manifest.entries}:
        (folder / SIGNATURE_NAME).unlink(missing_ok=True)


def check_empty(folder: Path) -> None:
    """Refuse a folder that isn't empty.

    Raises:
        ConfigurationError: if it isn't: what lies there would pass for part of the artifact.
    """
    if any(folder.iterdir()):
        raise ConfigurationError(f"{folder} is not empty", "give a new, empty folder for the private copy")


def _create(target: Path) -> IO[bytes]:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # "x": two names that a case-insensitive disk takes for one must not overwrite each other.
        return target.open("xb")
    except (FileExistsError, NotADirectoryError) as error:
        raise ArtifactRefusedError(
            f"two files of the artifact would both be copied to {target}", "rename one of them"
        ) from error
