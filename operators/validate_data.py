"""Validate a data set with a Great Expectations suite."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.core.validation.engines import ENGINES
from airflow_mlsecops.core.validation.rules import VerdictRules
from airflow_mlsecops.core.validation.source import DEFAULT_MEMORY
from airflow_mlsecops.hooks.baselines import resolve_baseline
from airflow_mlsecops.hooks.references import ArtifactLike
from airflow_mlsecops.operators.base import check_choice
from airflow_mlsecops.operators.control import ControlOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.report import Report
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


class ValidateDataOperator(ControlOperator):
    """Checks a CSV or Parquet data set against an expectation suite, fails closed, and signs what it found.

    Args:
        suite: the name of a suite that ships in ``expectations/suites/``, the path of a suite file (JSON or YAML), a
            suite as a mapping, an ``ExpectationSuite``, or a callable without arguments that returns one (called in
            ``execute``, so that parsing the Dag doesn't import Great Expectations).
        engine: ``fused`` computes what the suite needs in one DuckDB scan and leaves what it can't do exactly to Great
            Expectations; ``gx`` is Great Expectations on pandas; ``auto`` chooses, and the statement says why.
        min_rows: with fewer rows than this the verdict is FAIL.
        min_nonnull: an expectation that rests on fewer values than this doesn't hold.
        relax: names of what is let pass although nothing was checked; see
            :data:`airflow_mlsecops.core.validation.rules.RELAXATIONS`. They stand in the statement.
        memory_limit: how much memory DuckDB may use, e.g. ``512MB``.
        baseline: the data set whose signed profile expectations compare with: its SHA-256, its path, URI or reference,
            or ``last-released``, the newest of this name that a released model was trained from. Without a profile that
            counts, what needs one fails.
        show_values: name values of the baseline in the HTML report's plots, and nowhere else.

    Example::

        ValidateDataOperator(task_id="validate", artifact="s3://lake/digits.parquet", suite="digits")
    """

    control_name: ClassVar[str] = "data-validation"
    template_fields: Sequence[str] = (*ControlOperator.template_fields, "suite", "baseline")

    def __init__(
        self,
        *,
        suite: str | Mapping[str, Any] | Any,
        engine: str = "auto",
        min_rows: int = 1,
        min_nonnull: int = 1,
        relax: Sequence[str] = (),
        memory_limit: str = DEFAULT_MEMORY,
        baseline: ArtifactLike | None = None,
        show_values: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("engine", engine, ENGINES)
        self.engine = engine
        self.rules = VerdictRules.of(min_rows, min_nonnull, relax)
        self.memory_limit = memory_limit
        self.baseline = baseline
        self.show_values = show_values
        self._hook: MlsecopsHook | None = None
        # Airflow would call a callable among the template fields itself, with arguments of its own.
        self._make_suite: Callable[[], Any] | None = suite if callable(suite) else None
        self.suite = getattr(suite, "__qualname__", repr(suite)) if callable(suite) else suite

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """As every control; the hook is kept for the baseline."""
        self._hook = hook
        return super().work(hook, context)

    def control(self, artifact: Artifact, path: Path) -> Report:
        """See :func:`airflow_mlsecops.core.controls.validation.validate_data`."""
        from airflow_mlsecops.core.controls.validation import validate_data
        from airflow_mlsecops.expectations.suites import resolve_suite

        suite = self._make_suite() if self._make_suite is not None else resolve_suite(self.suite)
        return validate_data(
            artifact,
            path,
            suite=suite,
            engine=self.engine,
            rules=self.rules,
            memory_limit=self.memory_limit,
            baseline=None if self._hook is None else resolve_baseline(self.baseline, artifact, self._hook),
            show_values=self.show_values,
        )
