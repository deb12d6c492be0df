"""Write an export: a new file, whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from airflow_mlsecops.core.digest import HashingSink, Sha256
from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.export.collect import Export
from airflow_mlsecops.core.store.tar import tar_chunks


def write_export(export: Export, target: Path) -> Sha256:
    """Write the export to ``target``, which must not exist; return the file's SHA-256.

    Raises:
        ConfigurationError: if something lies there, or it can't be written.
        StatementError: if something in it is too large.
    """
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}")
    try:
        try:
            with temporary.open("xb") as stream:
                sink = HashingSink(stream)
                for chunk in tar_chunks(export.files):
                    sink.write(chunk)
                stream.flush()
                os.fsync(stream.fileno())
            os.link(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError as error:
        raise ConfigurationError(f"{target} exists, and nothing is overwritten", "choose another name") from error
    except OSError as error:
        raise ConfigurationError(
            f"{target} can't be written: {error.strerror or error}", "choose another place"
        ) from error
    return sink.sha256()
