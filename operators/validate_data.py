"""Validate a data set with a Great Expectations suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.operators.control import ControlOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.report import Report


class ValidateDataOperator(ControlOperator):
    """Checks a CSV or Parquet data set against an expectation suite, fails closed, and signs what it found.

    Args:
        suite: the name of a suite that ships in ``expectations/suites/``, the path of a suite file (JSON or YAML), a
            suite as a mapping, an ``ExpectationSuite``, or a callable without arguments that returns one (called in
            ``execute``, so that parsing the Dag doesn't import Great Expectations).

    Example::

        ValidateDataOperator(task_id="validate", artifact="s3://lake/digits.parquet", suite="digits")
    """

    control_name: ClassVar[str] = "data-validation"
    template_fields: Sequence[str] = (*ControlOperator.template_fields, "suite")

    def __init__(self, *, suite: str | Mapping[str, Any] | Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # Airflow would call a callable among the template fields itself, with arguments of its own.
        self._make_suite: Callable[[], Any] | None = suite if callable(suite) else None
        self.suite = getattr(suite, "__qualname__", repr(suite)) if callable(suite) else suite

    def control(self, artifact: Artifact, path: Path) -> Report:
        """See :func:`airflow_mlsecops.core.controls.validation.validate_data`."""
        from airflow_mlsecops.core.controls.validation import validate_data
        from airflow_mlsecops.expectations.suites import resolve_suite

        suite = self._make_suite() if self._make_suite is not None else resolve_suite(self.suite)
        return validate_data(artifact, path, suite=suite)
