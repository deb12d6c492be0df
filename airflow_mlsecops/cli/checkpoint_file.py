"""Where ``mlsecops verify`` remembers the state of the evidence log that it saw last."""

from __future__ import annotations

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
