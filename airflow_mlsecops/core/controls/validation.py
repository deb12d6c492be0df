"""Data validation: does a pinned data set meet an expectation suite?

Every way in which nothing was checked counts as NO: no rows, a missing column, an expectation that errs or saw nothing.
Neither the report nor its blobs hold cell values, unless the HTML report is asked to show some; whoever may see the
data finds the rows by their numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.canonical import canonical_json, jsonable
from airflow_mlsecops.core.controls.suite import LoadedSuite, load_suite
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.profile.baseline import Baseline, NoBaseline, described, using
from airflow_mlsecops.core.report import REPORT, Report, verdict_of
from airflow_mlsecops.core.validation.distributions_html import distributions
from airflow_mlsecops.core.validation.engines import InDatabase, evaluate
from airflow_mlsecops.core.validation.evaluation import Evaluation
from airflow_mlsecops.core.validation.examples import examples
from airflow_mlsecops.core.validation.outcome import Outcome, gx_result
from airflow_mlsecops.core.validation.quarantine import Quarantine, part
from airflow_mlsecops.core.validation.report_html import report_page
from airflow_mlsecops.core.validation.rules import VerdictRules
from airflow_mlsecops.core.validation.security.threats import THREATS, techniques
from airflow_mlsecops.core.validation.source import DEFAULT_MEMORY

if TYPE_CHECKING:
    from airflow_mlsecops.core.validation.gx_spark import SparkSettings

__all__ = ["CONTROL", "LoadedSuite", "VerdictRules", "load_suite", "validate_data"]

CONTROL = "data-validation"
ROWS_BLOB = "unexpected_rows.json"
MAX_ROWS = 10_000
"""How many row numbers are kept for one expectation; the count of all stands beside them."""
MAX_ROWS_IN_ALL = 200_000
TECHNIQUES = ("AML.T0020", "ML02:2023")
"""MITRE ATLAS: Training Data Poisoning; OWASP Machine Learning Security Top Ten 2023: Data Poisoning Attack."""
_NOT_OF_SUITE = {"min-rows", "no-baseline"}
_DOMAIN = {"column", "column_A", "column_B", "row_condition", "condition_parser"}


def validate_data(
    artifact: Artifact,
    path: Path,
    *,
    suite: Any,
    engine: str = "auto",
    rules: VerdictRules | None = None,
    memory_limit: str = DEFAULT_MEMORY,
    baseline: Baseline | NoBaseline | None = None,
    quarantine: Quarantine | None = None,
    show_values: bool = False,
    source: Mapping[str, Any] | None = None,
    in_database: InDatabase | None = None,
    spark: SparkSettings | None = None,
) -> Report:
    """Judge a data set by an expectation suite.

    1. Read the suite strictly, before any data.
    2. Evaluate each expectation over the whole table, by the engine that is asked for.
    3. Turn each that doesn't hold by the verdict rules into a finding of its author's severity. One that couldn't be
       evaluated is critical, whatever its author gave it.
    4. The worst finding decides.
    5. Keep the rows that break something apart, if that is asked for.

    The caller still owes: that ``path`` is a private copy of the artifact's pinned bytes.

    Args:
        artifact: what is judged.
        path: a CSV or Parquet file, or a folder of part files.
        suite: GX's suite JSON as a mapping, or an ``ExpectationSuite``.
        engine: ``auto``, ``fused``, ``gx`` or ``spark``; see :mod:`airflow_mlsecops.core.validation.engines`.
        rules: what has to have been seen; by default everything that wasn't seen is a NO.
        memory_limit: how much memory the data may take, e.g. ``512MB``: DuckDB spills beyond it; CSV, and what only
            Great Expectations can evaluate, are refused.
        baseline: the verified profile that some expectations compare with, or why there is none.
        quarantine: how to keep the rows that break something apart; by default they are not.
        show_values: whether the HTML report, and only that, shows some of the values that are not as expected, and
            names categories and edges of the baseline.
        source: what the artifact was read from, if that was a database; it stands in the report.
        in_database: how ``gx`` evaluates a suite there.
        spark: how Spark is reached.

    Raises:
        SuiteError: if the suite can't be judged by; see :func:`load_suite`.
        DataError: if the table can't be read whole, or is empty; see :func:`read_table`.
        ConfigurationError: for an unknown engine, or one that isn't installed.
    """
    rules = rules or VerdictRules()
    # 1.
    loaded = load_suite(suite, allow_mostly_zero="mostly-zero" in rules.relaxed)
    # 2.
    with using(baseline):
        found = evaluate(
            path,
            loaded.document,
            engine=engine,
            memory_limit=memory_limit,
            max_rows=MAX_ROWS,
            without_rows=rules.holds,  # only rows of what doesn't hold are kept
            allow_empty="empty-data" in rules.relaxed,
            in_database=in_database,
            spark=spark,
        )
    items = found.items
    # 3.
    broken = [outcome for outcome in found.outcomes if not rules.holds(outcome)]
    of_suite = {outcome.index: _finding(outcome, items[outcome.index], rules) for outcome in broken}
    of_data = [*_no_baseline(baseline), *_too_few(found, rules)]
    findings = tuple(sorted([*of_data, *of_suite.values()], key=lambda finding: -finding.severity.rank))
    # 5., before the report, which names what was kept.
    kept = None
    if quarantine is not None:
        kept = part(path, found, broken, quarantine, memory_limit=memory_limit)
    # 4.
    report = Report(
        subject=artifact,
        control=CONTROL,
        verdict=verdict_of(findings),
        summary=_summary(loaded, found, findings),
        findings=findings,
        metrics={
            "rows": found.rows,
            "columns": len(found.columns),
            **_counts(found.outcomes, rules),
            "expectations_evaluated_by_gx": len(found.by_gx),
            **({"rows_quarantined": kept.rows} if kept is not None else {}),
        },
        parameters={
            "suite": loaded.name,
            "suite_sha256": loaded.digest,
            "engine": found.engine,
            "engine_why": found.why,
            "rules": rules.to_dict(),
            **described(baseline),
            **(quarantine.to_dict() if quarantine is not None else {}),
            **({"source": dict(source)} if source else {}),
            **({"columns_selected": list(found.selected)} if found.selected else {}),
        },
        tools={name: version(name) for name in _tools(found)},
        details={
            "suite": dict(loaded.document),
            "evaluated": list(items),
            "results": [
                _detail(outcome, rules) | {"gx": gx_result(outcome, items[outcome.index])} for outcome in found.outcomes
            ],
        },
        blobs=_blobs(broken),
        outputs=kept.outputs if kept is not None else {},
    )
    shown = examples(path, broken) if show_values else None
    holds = {outcome.index: outcome.index not in of_suite for outcome in found.outcomes}
    plots = distributions(found.outcomes, holds, show_values=show_values)
    page = report_page(report, found.outcomes, of_suite, of_data, shown, more=plots)
    return replace(report, blobs={**report.blobs, REPORT: page})


def _tools(found: Evaluation) -> list[str]:
    own = {"fused": ["duckdb"], "gx-sql": ["sqlalchemy"], "gx-spark": ["pyspark"]}.get(found.engine, [])
    return [*own, "great-expectations", "pandas", "numpy", "pyarrow"]


def _no_baseline(baseline: Baseline | NoBaseline | None) -> list[Finding]:
    """Somebody asked for a baseline: without it nothing was compared, whatever the suite holds."""
    if not isinstance(baseline, NoBaseline):
        return []
    return [Finding(f"{CONTROL}/no-baseline", Severity.CRITICAL, f"no baseline counts: {baseline.reason}")]


def _too_few(found: Evaluation, rules: VerdictRules) -> list[Finding]:
    if found.rows >= rules.min_rows or (found.rows == 0 and "empty-data" in rules.relaxed):
        return []
    message = f"the table has {found.rows} rows, fewer than min_rows={rules.min_rows}"
    return [Finding(f"{CONTROL}/min-rows", Severity.CRITICAL, message)]


def _counts(outcomes: tuple[Outcome, ...], rules: VerdictRules) -> dict[str, int]:
    counted = Counter(_word(outcome, rules) for outcome in outcomes)
    return {
        "expectations": len(outcomes),
        "expectations_evaluated": counted["passed"] + counted["failed"],
        "expectations_successful": counted["passed"],
        "expectations_failed": counted["failed"],
        "expectations_that_saw_nothing": counted["saw-nothing"],
        "expectations_not_evaluated": counted["not-evaluated"],
    }


def _word(outcome: Outcome, rules: VerdictRules) -> str:
    if outcome.trouble:
        return "not-evaluated"
    if outcome.saw == 0 and rules.objection(outcome):
        return "saw-nothing"
    return "passed" if rules.holds(outcome) else "failed"


def _finding(outcome: Outcome, item: Mapping[str, Any], rules: VerdictRules) -> Finding:
    """One sentence on why an expectation doesn't hold, in counts and shares."""
    expected = {key: value for key, value in item["kwargs"].items() if key not in _DOMAIN}
    told = canonical_json(expected).decode() if expected else ""
    told = f"; expected {told[:200]}{'…' if len(told) > 200 else ''}" if told else ""
    condition = " where its row_condition holds" if "row_condition" in item["kwargs"] else ""
    if outcome.trouble:
        message, told = outcome.trouble, ""
    elif objection := rules.objection(outcome):
        message, told = objection, ""
    elif outcome.type in THREATS and isinstance(outcome.observed, Mapping):
        told_of = "; ".join(f"{key}: {value}" for key, value in outcome.observed.items())
        message = f"{outcome.unexpected} of {outcome.saw} rows are not as expected; {told_of}{condition}"
    elif outcome.unexpected is not None and outcome.saw:
        share = outcome.unexpected / outcome.saw
        message = f"{outcome.unexpected} of {outcome.saw} ({_percent(share)}) are not as expected{condition}"
    elif isinstance(outcome.observed, Mapping):
        parts = [f"{key} columns: {', '.join(map(repr, names))}" for key, names in outcome.observed.items()]
        message, told = "; ".join(parts), ""
    elif outcome.observed is not None:
        message = f"observed {str(jsonable(outcome.observed))[:200]}{condition}"
    elif outcome.type == "expect_column_to_exist":
        message = "the column doesn't exist, or not at its place"
    else:
        message = f"the observed value is not as expected{condition}"
    return Finding(
        rule=f"{CONTROL}/{outcome.type}",
        severity=_severity(outcome, rules),
        message=f"{message}{told}",
        where=", ".join(name if name.isprintable() else repr(name) for name in outcome.columns),
        techniques=() if outcome.trouble else techniques(outcome.type) or TECHNIQUES,
    )


def _severity(outcome: Outcome, rules: VerdictRules) -> Severity:
    if not outcome.trouble:
        return outcome.severity
    return Severity.INFO if rules.relaxes(outcome) else Severity.CRITICAL


def _percent(share: float) -> str:
    return "< 0.01 %" if 0 < share < 0.0001 else f"{share:.2%}".replace("%", " %")


def _summary(suite: LoadedSuite, found: Evaluation, findings: tuple[Finding, ...]) -> str:
    table = f"{found.rows} rows x {len(found.columns)} columns"
    if not findings:
        return f"all {len(found.outcomes)} expectations of suite {suite.name!r} hold on {table}"
    first = findings[0]
    rule = first.rule.removeprefix(f"{CONTROL}/")
    of = f" of {first.where}" if first.where else ""
    broken = sum(finding.rule.removeprefix(f"{CONTROL}/") not in _NOT_OF_SUITE for finding in findings)
    told = f"{broken} of {len(found.outcomes)} expectations of suite {suite.name!r} don't hold on {table}"
    return f"{told}; worst: {rule}{of}: {first.message}"[:1000]


def _detail(outcome: Outcome, rules: VerdictRules) -> dict[str, Any]:
    return {
        "index": outcome.index,
        "type": outcome.type,
        "columns": list(outcome.columns),
        "severity": outcome.severity.value,
        "outcome": _word(outcome, rules),
        "saw": outcome.saw,
        "unexpected": outcome.unexpected,
        "observed": jsonable(outcome.observed),
        "trouble": outcome.trouble,
        **({"statistics": dict(outcome.compared.statistics)} if outcome.compared is not None else {}),
    }


def _blobs(broken: list[Outcome]) -> dict[str, bytes]:
    """Numbers of the rows that break an expectation, so that somebody who may see the data can look at them."""
    listed = []
    left = MAX_ROWS_IN_ALL
    for outcome in broken:
        if not outcome.rows:
            continue
        rows = outcome.rows[: min(MAX_ROWS, left)]
        left -= len(rows)
        listed.append(
            {
                "index": outcome.index,
                "type": outcome.type,
                "columns": list(outcome.columns),
                "total": outcome.unexpected if outcome.unexpected is not None else len(outcome.rows),
                "rows": list(rows),
            }
        )
    if not listed:
        return {}
    numbering = "0-based, of data rows, through all part files in the order of their names"
    return {ROWS_BLOB: canonical_json({"numbering": numbering, "expectations": listed})}
