"""Profile a data set: the baseline for later versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.core.validation.source import DEFAULT_MEMORY
from airflow_mlsecops.operators.control import ControlOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.report import Report


class ProfileDatasetOperator(ControlOperator):
    """Computes what a CSV or Parquet data set looks like, and signs it, so that later versions can be compared with it.

    Needs ``airflow-mlsecops[duckdb]``.

    Args:
        label_column: the column with the labels; then all of its values are counted, or the verdict is FAIL.
        mask: keep digests of values in place of values, and no least and greatest numbers.
        memory_limit: how much memory DuckDB may use, e.g. ``512MB``.

    Example::

        ProfileDatasetOperator(task_id="profile", artifact=validate.output, label_column="label")
    """

    control_name: ClassVar[str] = "data-profile"
    template_fields: Sequence[str] = (*ControlOperator.template_fields, "label_column")

    def __init__(
        self,
        *,
        label_column: str = "",
        mask: bool = False,
        memory_limit: str = DEFAULT_MEMORY,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.label_column = label_column
        self.mask = mask
        self.memory_limit = memory_limit

    def control(self, artifact: Artifact, path: Path) -> Report:
        """See :func:`airflow_mlsecops.core.controls.data_profile.profile_dataset`."""
        from airflow_mlsecops.core.controls.data_profile import profile_dataset

        return profile_dataset(artifact, path, label=self.label_column, mask=self.mask, memory_limit=self.memory_limit)
