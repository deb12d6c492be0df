"""What is remembered of each file of a tree, so that its bytes can be found again, or needn't be read again.

Canonical JSON of raw name -> text: the S3 version id, a blank, and what tells an unchanged file (the ETag; of a local
file, on request, times and inode). Before states were kept, the text was the version id alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import NamedTuple

from airflow_mlsecops.core.canonical import canonical_json, strict_json
from airflow_mlsecops.core.errors import StatementError

MAX_BYTES = 1024 * 1024 * 1024


class FileState(NamedTuple):
    """A file's S3 version id, empty where there is none, and its state, empty where none was kept."""

    version: str
    state: str = ""


def write_states(states: Mapping[str, FileState]) -> bytes:
    """The blob; empty bytes if there is nothing to remember."""
    kept = {name: " ".join(filter(None, item)) if item.version else f" {item.state}" for name, item in states.items()}
    kept = {name: text for name, text in kept.items() if text.strip()}
    return canonical_json(kept) if kept else b""


def read_states(data: bytes) -> dict[str, FileState]:
    """What the blob says.

    Raises:
        StatementError: if it isn't one.
    """
    value = strict_json(data, "version map", limit=MAX_BYTES)
    if not isinstance(value, dict) or not all(isinstance(text, str) for text in value.values()):
        raise StatementError(f"not a version map: {json.dumps(value)[:80]}", "fetch it again from the evidence store")
    states = {}
    for name, text in value.items():
        version, _, state = text.partition(" ")
        states[name] = FileState(version, state)
    return states
