"""Where ``mlsecops verify`` remembers the state of the evidence log that it saw last."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from airflow_mlsecops.core.errors import ConfigurationError

MAX_BYTES = 64 * 1024


def read(path: str) -> bytes:
    """The remembered checkpoint; empty if nothing was remembered yet.

    Raises:
        ConfigurationError: if it can't be read, or is empty: an empty memory must not pass for none.
    """
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return b""
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"the checkpoint {path} can't be read: {why}", "check the path") from error
    if not data or len(data) > MAX_BYTES:
        raise ConfigurationError(f"{path} is no checkpoint", "restore it, or remove it to begin anew")
    return data


def write(path: str, data: bytes) -> None:
    """Remember a checkpoint, or keep the old one: half of a new one is worth nothing.

    Raises:
        ConfigurationError: if it can't be written.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        try:
            with temporary.open("xb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error.strerror}", "check the path") from error
