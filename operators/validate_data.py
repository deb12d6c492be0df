"""Validate a data set with a Great Expectations suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import XComArg

from airflow_mlsecops.core.findings import Severity
from airflow_mlsecops.core.predicates.provenance import Material
from airflow_mlsecops.core.validation.engines import ENGINES
from airflow_mlsecops.core.validation.quarantine import QUARANTINE, REMAINDER, Quarantine
from airflow_mlsecops.core.validation.rules import VerdictRules
from airflow_mlsecops.core.validation.source import DEFAULT_MEMORY
from airflow_mlsecops.hooks.baselines import resolve_baseline
from airflow_mlsecops.hooks.databases import ReadSource, read_source, spark_settings
from airflow_mlsecops.hooks.references import ArtifactLike
from airflow_mlsecops.links import EvidenceLink, ValidationReportLink
from airflow_mlsecops.operators.base import check_choice, require_text
from airflow_mlsecops.operators.beside import check_beside, keep_beside
from airflow_mlsecops.operators.control import ControlOperator
from airflow_mlsecops.operators.derived import sign_derived
from airflow_mlsecops.operators.reference import bounded

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.digest import Sha256
    from airflow_mlsecops.core.report import Report
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


class ValidateDataOperator(ControlOperator):
    """Checks a data set against an expectation suite, fails closed, and signs what it found.

    Args:
        source: in place of ``artifact`` a table or query of a database, as a mapping: ``conn_id``, ``table`` or
            ``query``, ``snapshot_uri`` and, if wanted, ``order_by``. Its rows are written to ``snapshot_uri`` as one
            Parquet file, which is the artifact from there on.
        suite: the name of a suite that ships in ``expectations/suites/``, the path of a suite file (JSON or YAML), a
            suite as a mapping, an ``ExpectationSuite``, or a callable that returns one (called in ``execute``, so that
            parsing the Dag doesn't import Great Expectations): without arguments, or with a context, as a
            ``configure_expectations`` of Great Expectations' own provider.
        engine: ``fused`` computes what the suite needs in one DuckDB scan and leaves what it can't do exactly to Great
            Expectations; ``gx`` is Great Expectations on pandas, or with a ``source`` in the database itself; ``spark``
            is Great Expectations on Spark; ``auto`` chooses between the first two, and the statement says why.
        spark: how Spark is reached, as a mapping: ``master`` or ``conn_id``, ``scratch``, ``config``.
        min_rows: with fewer rows than this the verdict is FAIL.
        min_nonnull: an expectation that rests on fewer values than this doesn't hold.
        relax: names of what is let pass although nothing was checked; see
            :data:`airflow_mlsecops.core.validation.rules.RELAXATIONS`. They stand in the statement.
        memory_limit: how much memory the data may take, e.g. ``512MB``: DuckDB spills beyond it; CSV, and what only
            Great Expectations can evaluate, are refused.
        baseline: the data set whose signed profile expectations compare with: its SHA-256, its path, URI or reference,
            or ``last-released``, the newest of this name that a released model was trained from. Without a profile that
            counts, what needs one fails.
        quarantine_uri: a folder or an ``s3://`` prefix beside the data. All rows that break an expectation which
            doesn't hold are written there as one Parquet file, with their numbers and reasons.
        quarantine_severity: only rows that break an expectation of at least this severity: ``critical``, ``warning``
            or ``info``.
        remainder_uri: a folder or prefix for the other rows as a derived data set with signed provenance; hand
            ``validate.remainder`` on. Its verdict is its own: validate it, too. Needs ``quarantine_uri``.
        show_values: show a few of the values that aren't as expected, and the baseline's, in the HTML report, and
            nowhere else.

    Example::

        ValidateDataOperator(task_id="validate", artifact="s3://lake/digits.parquet", suite="digits")
    """

    control_name: ClassVar[str] = "data-validation"
    template_fields: Sequence[str] = (
        *ControlOperator.template_fields,
        "suite",
        "source",
        "baseline",
        "quarantine_uri",
        "remainder_uri",
    )
    operator_extra_links = (EvidenceLink(), ValidationReportLink())

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
        baseline: ArtifactLike | None = None,
        quarantine_uri: str = "",
        quarantine_severity: str = "warning",
        remainder_uri: str = "",
        show_values: bool = False,
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
        self.baseline = baseline
        check_choice("quarantine_severity", quarantine_severity, [each.value for each in Severity])
        if remainder_uri and not quarantine_uri:
            raise ValueError("remainder_uri needs quarantine_uri: what is left out has to be kept somewhere")
        self.quarantine_uri = quarantine_uri
        self.quarantine_severity = quarantine_severity
        self.remainder_uri = remainder_uri
        # Noted now: a template that comes out empty is a mistake, not a wish for no quarantine.
        self._wants_quarantine, self._wants_remainder = bool(quarantine_uri), bool(remainder_uri)
        self.show_values = show_values
        self._hook: MlsecopsHook | None = None
        # Airflow would call a callable among the template fields itself, with arguments of its own.
        self._make_suite: Callable[..., Any] | None = suite if callable(suite) else None
        self.suite = getattr(suite, "__qualname__", repr(suite)) if callable(suite) else suite

    @property
    def remainder(self) -> XComArg:
        """What a later task takes as its artifact to work on the rows that broke nothing."""
        return XComArg(self, key=REMAINDER)

    @contextmanager
    def opened(self, hook: MlsecopsHook) -> Iterator[tuple[Artifact, Path]]:
        """The artifact's private copy; of a source its snapshot, which stays open as long as it is judged."""
        # Where Spark's executors see it, if Spark is to judge it.
        scratch = spark_settings(self.spark).scratch if self.engine == "spark" else ""
        if self.source is None:
            with self.copied(hook, scratch) as (artifact, path):
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
        from airflow_mlsecops.core.controls.made_suite import made_by
        from airflow_mlsecops.core.controls.validation import validate_data
        from airflow_mlsecops.expectations.suites import resolve_suite

        suite = made_by(self._make_suite) if self._make_suite is not None else resolve_suite(self.suite)
        read = self._read
        return validate_data(
            artifact,
            path,
            suite=suite,
            engine=self.engine,
            rules=self.rules,
            memory_limit=self.memory_limit,
            baseline=None if self._hook is None else resolve_baseline(self.baseline, artifact, self._hook),
            quarantine=self._quarantine(artifact),
            show_values=self.show_values,
            source=read.told if read else None,
            in_database=read.judge if read else None,
            spark=spark_settings(self.spark) if self.engine == "spark" else None,
        )

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """As every control; the hook is kept for baseline and quarantine."""
        self._hook = hook
        return super().work(hook, context)

    def recorded(self, hook: MlsecopsHook, context: Any, report: Report, digest: Sha256) -> None:
        """Sign where the remainder came from, and hand it on; nothing is handed on if nothing could be judged."""
        super().recorded(hook, context, report, digest)
        if not self._wants_remainder or "rows_quarantined" not in report.metrics:
            return
        remainder = sign_remainder(hook, context, report, digest)
        if remainder is not None:
            self.log.info("Remainder %s at %s", remainder, remainder.uri)
            context["ti"].xcom_push(key=REMAINDER, value=bounded({"artifact": remainder.to_dict()}))

    def _quarantine(self, artifact: Artifact) -> Quarantine | None:
        if not self._wants_quarantine or self._hook is None:
            return None
        require_text("quarantine_uri", self.quarantine_uri)
        if self._wants_remainder:
            require_text("remainder_uri", self.remainder_uri)
        hook, places = self._hook, {QUARANTINE: self.quarantine_uri, REMAINDER: self.remainder_uri}
        for place in filter(None, places.values()):
            check_beside(place, artifact)

        def keep(file: Path, what: str) -> Artifact:
            return keep_beside(hook, file, places[what], what, name=f"{artifact.name}-{what}")

        return Quarantine(keep, Severity(self.quarantine_severity), self._wants_remainder)


def sign_remainder(hook: MlsecopsHook, context: Any, report: Report, verdict: Sha256) -> Artifact | None:
    """Sign provenance of the rows that broke nothing; hand back what they are.

    They are the data set itself if no row broke anything, and nothing if all rows did.
    """
    if not report.metrics["rows_quarantined"]:
        return report.subject
    remainder, kept = report.outputs.get(REMAINDER), report.outputs[QUARANTINE]
    if remainder is None:
        return None
    parameters = {
        "rule": "remove",
        "verdict": verdict,
        "suite_sha256": report.parameters["suite_sha256"],
        "removed": report.metrics["rows_quarantined"],
        "rows": report.metrics["rows"] - report.metrics["rows_quarantined"],
    }
    left_out = Material(kept.name, QUARANTINE, kept.digest, kept.uri)
    sign_derived(hook, context, remainder, report.subject, parameters=parameters, materials=[left_out])
    return remainder
