"""Profile a data set, so that later versions can be compared with it.

It judges nothing but that the whole data set could be read: a PASS says that the profile is that of these bytes.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.profile.compute import profile_table
from airflow_mlsecops.core.profile.find import CONTROL, PROFILE_BLOB
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.core.validation.source import DEFAULT_MEMORY


def profile_dataset(
    artifact: Artifact, path: Path, *, label: str = "", mask: bool = False, memory_limit: str = DEFAULT_MEMORY
) -> Report:
    """The report whose blob ``profile.json`` is the profile.

    The caller still owes: that ``path`` is a private copy of the artifact's pinned bytes.

    Args:
        artifact: what is profiled.
        path: a CSV or Parquet file, or a folder of part files.
        label: the column with the labels; all of its values are counted, or it is an error.
        mask: keep digests in place of values, and no extremes.
        memory_limit: how much memory DuckDB may use, e.g. ``512MB``.

    Raises:
        DataError: if the table can't be read whole, is empty, or its label can't be counted.
        MissingExtraError: without DuckDB.
    """
    profile = profile_table(path, label=label, mask=mask, memory_limit=memory_limit)
    data = profile.to_bytes()
    return Report(
        subject=artifact,
        control=CONTROL,
        verdict=Verdict.PASS,
        summary=f"profile of {profile.rows} rows x {len(profile.columns)} columns",
        metrics={
            "rows": profile.rows,
            "columns": len(profile.columns),
            "columns_with_histogram": sum(column.histogram is not None for column in profile.columns),
            "columns_with_categories": sum(column.categories is not None for column in profile.columns),
        },
        parameters={
            "label": label or None,
            "mask": mask,
            "schema_sha256": profile.schema_digest,
            "profile_sha256": sha256_bytes(data),
        },
        tools={name: version(name) for name in ("duckdb", "pyarrow")},
        blobs={PROFILE_BLOB: data},
    )
