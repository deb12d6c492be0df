"""Writing a small file whole, or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from airflow_mlsecops.core.errors import ConfigurationError


def write_file(path: str, data: bytes) -> None:
    """Write a file, or leave what was there: an older checkpoint is worth more than half of a new one.

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
