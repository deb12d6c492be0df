"""Validate a data set with a Great Expectations suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.core.validation.engines import ENGINES
from airflow_mlsecops.core.validation.rules import VerdictRules
from airflow_mlsecops.core.validation.source import DEFAULT_MEMORY
from airflow_mlsecops.hooks.databases import ReadSource, read_source, spark_settings
from airflow_mlsecops.hooks.references import ArtifactLike
from airflow_mlsecops.operators.base import check_choice
from airflow_mlsecops.operators.control import ControlOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.report import Report
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


class ValidateDataOperator(ControlOperator):
    """Checks a data set against an expectation suite, fails closed, and signs what it found.

    Args:
        source: in place of ``artifact`` a table or query of a database, as a mapping: ``conn_id``, ``table`` or
            ``query``, ``snapshot_uri`` and, if wanted, ``order_by``. Its rows are written to ``snapshot_uri`` as one
            Parquet file, which is the artifact from there on.
        suite: the name of a suite that ships in ``expectations/suites/``, the path of a suite file (JSON or YAML), a
            suite as a mapping, an ``ExpectationSuite``, or a callable without arguments that returns one (called in
            ``execute``, so that parsing the Dag doesn't import Great Expectations).
        engine: ``fused`` computes what the suite needs in one DuckDB scan and leaves what it can't do exactly to Great
            Expectations; ``gx`` is Great Expectations on pandas, or with a ``source`` in the database itself; ``spark``
            is Great Expectations on Spark; ``auto`` chooses between the first two, and the statement says why.
        spark: how Spark is reached, as a mapping: ``master`` or ``conn_id``, ``scratch``, ``config``.
        min_rows: with fewer rows than this the verdict is FAIL.
        min_nonnull: an expectation that rests on fewer values than this doesn't hold.
        relax: names of what is let pass although nothing was checked; see
            :data:`airflow_mlsecops.core.validation.rules.RELAXATIONS`. They stand in the statement.
        memory_limit: how much memory DuckDB may use, e.g. ``512MB``.

    Example::

        ValidateDataOperator(task_id="validate", artifact="s3://lake/digits.parquet", suite="digits")
    """

    control_name: ClassVar[str] = "data-validation"
    template_fields: Sequence[str] = (*ControlOperator.template_fields, "suite", "source")

    def __init__(
        self,
        *,
        suite: str | Mapping[str, Any] | Any,
        artifact: ArtifactLike | None = None,
        source: Mapping[str, Any] | None = None,
        engine: str = "auto",
        min_rows: int = 1,
        min_nonnull: int = 1,
        relax: Sequence[str] = (),
        memory_limit: str = DEFAULT_MEMORY,
        spark: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if (artifact is None) == (source is None):
            raise ValueError("expected either an artifact or a source")
        super().__init__(artifact="" if artifact is None else artifact, **kwargs)
        self.source = source
        # Not a template field, and not shown: its settings may hold secrets.
        self.spark = spark
        self._read: ReadSource | None = None
        check_choice("engine", engine, ENGINES)
        self.engine = engine
        self.rules = VerdictRules.of(min_rows, min_nonnull, relax)
        self.memory_limit = memory_limit
        # Airflow would call a callable among the template fields itself, with arguments of its own.
        self._make_suite: Callable[[], Any] | None = suite if callable(suite) else None
        self.suite = getattr(suite, "__qualname__", repr(suite)) if callable(suite) else suite

    @contextmanager
    def opened(self, hook: MlsecopsHook) -> Iterator[tuple[Artifact, Path]]:
        """The artifact's private copy; of a source its snapshot, which stays open as long as it is judged."""
        # Where Spark's executors see it, if Spark is to judge it.
        scratch = spark_settings(self.spark).scratch if self.engine == "spark" else ""
        if self.source is None:
            artifact = self.resolve(hook)
            with hook.verified_copy(artifact, scratch) as path:
                yield artifact, path
            return
        with read_source(self.source, hook, name=self.artifact_name, scratch=scratch) as read:
            self._read = read
            self.pinned_digest = read.artifact.digest
            self.log.info("Read %s: %d rows, now %s", read.snapshot.source, read.rows, read.artifact)
            self.log.info("  at %s, sha256:%s", read.artifact.uri, read.artifact.digest)
            yield read.artifact, read.path

    def control(self, artifact: Artifact, path: Path) -> Report:
        """See :func:`airflow_mlsecops.core.controls.validation.validate_data`."""
        from airflow_mlsecops.core.controls.validation import validate_data
        from airflow_mlsecops.expectations.suites import resolve_suite

        suite = self._make_suite() if self._make_suite is not None else resolve_suite(self.suite)
        read = self._read
        return validate_data(
            artifact,
            path,
            suite=suite,
            engine=self.engine,
            rules=self.rules,
            memory_limit=self.memory_limit,
            source=read.told if read else None,
            in_database=read.judge if read else None,
            spark=spark_settings(self.spark) if self.engine == "spark" else None,
        )
