"""Look for labels that the other rows speak against: some were planted, some are mistakes, and say which it looks like.

A pass is no proof of innocence: poison that vouches for itself (most of a class or a whole region flipped, a
backdoor whose trigger explains the label) is seen against a trusted version only, and flips of rows near a boundary
hardly at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.errors import ConfigurationError, DataError
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.poisoning.analysis import CHANCE_AUC, Analysis, analyse
from airflow_mlsecops.core.poisoning.document import document
from airflow_mlsecops.core.poisoning.estimators import DECIMALS
from airflow_mlsecops.core.poisoning.labelled_table import LabelledTable, quoted, read_labelled
from airflow_mlsecops.core.poisoning.report_html import report_html
from airflow_mlsecops.core.poisoning.roles import Roles
from airflow_mlsecops.core.poisoning.suspects import Pair, class_pairs, suspect_rows
from airflow_mlsecops.core.poisoning.verdict import TECHNIQUES, Judgement
from airflow_mlsecops.core.report import REPORT, Report, verdict_of

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_mlsecops.core.artifact import Artifact

CONTROL = "label-poisoning"
MAX_PAIRS = 100
_TOOLS = ("scikit-learn", "numpy", "pandas", "scipy")


def detect_label_poisoning(
    artifact: Artifact,
    path: Path,
    *,
    label_column: str,
    feature_columns: Sequence[str] | None = None,
    id_column: str | None = None,
    estimator: Any = None,
    folds: int = 5,
    budget: float = 0.02,
    warn_budget: float | None = None,
    seed: int = 0,
    roles: Roles | None = None,
    baseline: Path | None = None,
) -> Report:
    """Judge the labels of a table; FAIL when it looks like an attack or more are doubted than the budget allows.

    The answer depends on the rows, not on their order in the file, when ``id_column`` names them.

    Args:
        artifact: what the rows belong to; the subject of the report.
        path: a private copy of its verified bytes, CSV or Parquet.
        label_column: the column with the labels: text, numbers or booleans.
        feature_columns: numeric columns to learn from; by default all but label, id and columns with another role.
        id_column: the column that names a row; by default its number, from 0, without the header.
        estimator: see :func:`airflow_mlsecops.core.poisoning.estimators.out_of_sample_probabilities`.
        folds: of the cross-validation, at least 2.
        budget: share of suspect labels, 0 up to but not including 1, above which the verdict is FAIL.
        warn_budget: share above which it is WARN; not above ``budget``.
        seed: of everything random.
        roles: the columns that name source, time, probabilities, embeddings or texts.
        baseline: the last trusted version, with the same columns; needs ``id_column``.

    Returns:
        A report with the blobs ``suspects.json`` (the accused rows, the worst first), ``analysis.json`` (all that was
        found, by the published schema) and ``report.html`` (the same to read).

    Raises:
        DataError: if the table can't be judged.
        ConfigurationError: if a parameter or the estimator is wrong.
    """
    _check_settings(folds, budget, warn_budget, seed)
    if baseline is not None and id_column is None:
        raise ConfigurationError("a baseline is given, but no id_column", "rows of two versions are matched by id")
    columns: dict[str, Any] = {
        "label_column": label_column,
        "feature_columns": feature_columns,
        "id_column": id_column,
        "roles": roles,
    }
    table = read_labelled(path, **columns)
    _check_rows(table, folds)
    trusted = None if baseline is None else read_labelled(baseline, **columns)
    if trusted is not None:
        _check_rows(trusted, folds)
    found = analyse(table, estimator=estimator, folds=folds, seed=seed, trusted=trusted)
    pairs = class_pairs(table, found.suspects)
    findings = _findings(table, found, pairs, budget=budget, warn_budget=warn_budget)
    full = document(table, found)
    rows = suspect_rows(table, found.suspects, found.accused, found.detections)
    report = Report(
        subject=artifact,
        control=CONTROL,
        verdict=verdict_of(findings),
        summary=_summary(found, budget),
        findings=findings,
        metrics={**_metrics(table, found, pairs), "mean_auc_out_of_sample": found.auc, "budget": budget},
        parameters={
            "label_column": label_column,
            "feature_columns": "all numeric" if feature_columns is None else list(feature_columns),
            "id_column": id_column,
            "estimator": found.estimator,
            "folds": folds,
            "budget": budget,
            "warn_budget": warn_budget,
            "seed": seed,
            "detector": found.main,
            **_named(roles, baseline is not None),
        },
        tools={name: version(name) for name in _TOOLS},
        details=_details(table, found, pairs),
        blobs={"suspects.json": canonical_json(rows), "analysis.json": canonical_json(full)},
    )
    return replace(report, blobs={**report.blobs, REPORT: report_html(table, found, full, rows, report)})


def _named(roles: Roles | None, baseline: bool) -> dict[str, Any]:
    given = roles or Roles()
    named: dict[str, Any] = {
        "source_column": given.source,
        "time_column": given.time,
        "probability_columns": dict(given.probabilities) if given.probabilities else None,
        "embedding_columns": list(given.embeddings) or None,
        "text_columns": list(given.texts) or None,
        "baseline": baseline or None,
    }
    return {name: value for name, value in named.items() if value is not None}


def _check_settings(folds: int, budget: float, warn_budget: float | None, seed: int) -> None:
    for name, value in (("budget", budget), ("warn_budget", warn_budget)):
        if value is not None and not (isinstance(value, (int, float)) and 0 <= value < 1):  # NaN isn't either
            raise ConfigurationError(f"{name} is {value!r}, expected a share from 0 up to below 1", "0.02 is 2 %")
    if warn_budget is not None and warn_budget > budget:
        raise ConfigurationError(
            f"warn_budget {warn_budget} is above budget {budget}, so it would never warn", "make it the smaller one"
        )
    if isinstance(folds, bool) or not isinstance(folds, int) or folds < 2:
        raise ConfigurationError(f"folds is {folds!r}, expected an integer of at least 2", "5 is the default")
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise ConfigurationError(f"seed is {seed!r}, expected an integer from 0 to 2**32 - 1", "0 is the default")


def _check_rows(table: LabelledTable, folds: int) -> None:
    """Every fold must hold every class, or a model would be asked about a class that it never saw."""
    if len(table.labels) < folds:
        raise DataError(
            f"the table has {len(table.labels)} rows, expected at least one for each of {folds} folds",
            "use fewer folds, or more rows",
        )
    counts = Counter(table.labels.tolist())
    small = [f"{name} ({counts[k]} rows)" for k, name in enumerate(table.classes) if counts[k] < folds]
    if small:
        raise DataError(
            f"{len(small)} of {len(table.classes)} classes have fewer rows than there are folds ({folds}): "
            f"{quoted(small)}",
            "use fewer folds, merge or drop the classes, or check that label_column holds classes",
        )


def _findings(
    table: LabelledTable, found: Analysis, pairs: list[Pair], *, budget: float, warn_budget: float | None
) -> tuple[Finding, ...]:
    """Worst first. The pair that stands out is information; it weighs as much as the share that it is part of."""
    rows, number = len(table.labels), int(found.suspects.flagged.sum())
    share, severity, limit = number / rows, Severity.INFO, budget
    findings = []
    if share > budget:
        severity = Severity.CRITICAL
    elif warn_budget is not None and share > warn_budget:
        severity, limit = Severity.WARNING, warn_budget
    if severity is not Severity.INFO:
        message = f"{number} of {rows} labels ({share:.2%}) are suspect, more than {limit:.2%}"
        findings.append(Finding(f"{CONTROL}/suspect-share", severity, message, f"{number} rows", TECHNIQUES))
    if found.auc <= CHANCE_AUC:
        message = f"the estimator is no better than chance (mean AUC {found.auc:.3f}), so it can't judge labels"
        findings.append(Finding(f"{CONTROL}/no-better-than-chance", Severity.CRITICAL, message))
    for item in found.detections:
        if item.detector in found.conclusion.decided_by and found.conclusion.judgement is Judgement.TARGETED_ATTACK:
            rule, where = f"{CONTROL}/{item.detector}", f"{item.rows} rows"
            findings.append(Finding(rule, Severity.CRITICAL, item.message, where, TECHNIQUES))
    if pairs:
        top = pairs[0]
        message = (
            f"{top.rows} of {number} suspects are labelled {quoted([top.given])} where the other rows say "
            f"{quoted([top.suggested])}: {top.share:.1%} of that label's rows"
        )
        findings.append(Finding(f"{CONTROL}/class-pair", severity, message, f"{top.rows} rows", TECHNIQUES))
    if table.ignored:
        message = f"{len(table.ignored)} columns are not numeric and were left out: {quoted(table.ignored)}"
        findings.append(Finding(f"{CONTROL}/ignored-columns", Severity.INFO, message, f"{len(table.ignored)} columns"))
    return tuple(sorted(findings, key=lambda finding: -finding.severity.rank))


def _summary(found: Analysis, budget: float) -> str:
    flagged = found.suspects.flagged
    text = (
        f"{int(flagged.sum())} of {len(flagged)} labels ({flagged.mean():.2%}) are suspect; the budget is {budget:.2%}"
    )
    if found.auc <= CHANCE_AUC:
        return f"{text}; but the estimator is no better than chance, so this says nothing"
    if found.conclusion.judgement is Judgement.TARGETED_ATTACK:
        return f"{text}; it looks like a targeted attack ({', '.join(found.conclusion.decided_by)})"
    return text


def _metrics(table: LabelledTable, found: Analysis, pairs: list[Pair]) -> dict[str, Any]:
    rows, number = len(table.labels), int(found.suspects.flagged.sum())
    correct = float((found.probabilities.argmax(axis=1) == table.labels).mean())
    metrics: dict[str, Any] = {
        "rows": rows,
        "features": len(table.feature_names),
        "classes": len(table.classes),
        "suspects": number,
        "suspect_share": round(number / rows, DECIMALS),
        "accuracy_out_of_sample": round(correct, DECIMALS),
        "judgement": found.conclusion.judgement.value,
        "attack_p_value": found.conclusion.p_value,
    }
    if pairs:
        top = pairs[0]
        metrics |= {
            "top_pair_given": top.given,
            "top_pair_suggested": top.suggested,
            "top_pair_rows": top.rows,
            "top_pair_share_of_given": top.share,
        }
    return metrics


def _details(table: LabelledTable, found: Analysis, pairs: list[Pair]) -> dict[str, Any]:
    sizes, suspect = Counter(table.labels.tolist()), Counter(table.labels[found.suspects.flagged].tolist())
    main = {
        "classes": [{"label": name, "rows": sizes[k], "suspects": suspect[k]} for k, name in enumerate(table.classes)],
        "pairs": [vars(pair) for pair in pairs[:MAX_PAIRS]],
        "pairs_total": len(pairs),
    }
    others = {
        item.detector: {"rows": item.rows, "p_value": item.p_value, "message": item.message, **item.details}
        for item in found.detections
        if item.detector != found.main
    }
    return {
        "detectors": {found.main: main, **others},
        "estimator": {"name": found.estimator, "settings": dict(found.settings)},
        "feature_columns": list(table.feature_names),
        "ignored_columns": list(table.ignored),
    }
