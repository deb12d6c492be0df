"""Look for labels that the other rows speak against: some were planted, some are mistakes.

It sees labels that disagree with similar rows, above all many flips from one class to another. It doesn't see poison
that vouches for itself: rows copied many times, a whole region or most of a class flipped, a backdoor whose trigger
explains the label. A pass is no proof of innocence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.errors import ConfigurationError, DataError
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.poisoning.estimators import DECIMALS, OutOfSample, out_of_sample_probabilities
from airflow_mlsecops.core.poisoning.labelled_table import LabelledTable, quoted, read_labelled
from airflow_mlsecops.core.poisoning.suspects import (
    DETECTOR,
    Pair,
    Suspects,
    class_pairs,
    confident_learning,
    mean_auc,
    suspects_json,
)
from airflow_mlsecops.core.report import Report, verdict_of

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_mlsecops.core.artifact import Artifact

CONTROL = "label-poisoning"
TECHNIQUES = ("AML.T0020", "AML.T0059", "ML02:2023")
"""MITRE ATLAS: poison training data, erode dataset integrity. OWASP ML: data poisoning attack."""

CHANCE_AUC = 0.55
"""A mean one-against-rest AUC up to here is chance (0.5) with room for the scatter of small data sets."""

MAX_PAIRS = 100
_TOOLS = ("cleanlab", "scikit-learn", "numpy", "pandas", "scipy")


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
) -> Report:
    """Judge the labels of a table; the verdict is FAIL when the share of suspects is above the budget.

    The answer depends on the rows, not on their order in the file, when ``id_column`` names them.

    Args:
        artifact: what the rows belong to; the subject of the report.
        path: a private copy of its verified bytes, CSV or Parquet.
        label_column: the column with the labels: text, numbers or booleans.
        feature_columns: numeric columns to learn from; by default all but label and id.
        id_column: the column that names a row; by default its number, from 0, without the header.
        estimator: see :func:`airflow_mlsecops.core.poisoning.estimators.out_of_sample_probabilities`.
        folds: of the cross-validation, at least 2.
        budget: share of suspect labels, 0 up to but not including 1, above which the verdict is FAIL.
        warn_budget: share above which it is WARN; not above ``budget``.
        seed: of everything random.

    Returns:
        A report whose blob ``suspects.json`` lists ``{row_id, given, suggested, quality}``, the worst first.

    Raises:
        DataError: if the table can't be judged.
        ConfigurationError: if a parameter or the estimator is wrong.
    """
    _check_settings(folds, budget, warn_budget, seed)
    table = read_labelled(path, label_column=label_column, feature_columns=feature_columns, id_column=id_column)
    _check_rows(table, folds)
    predicted = out_of_sample_probabilities(
        table.features, table.labels, classes=len(table.classes), estimator=estimator, folds=folds, seed=seed
    )
    suspects = confident_learning(table.labels, predicted.probabilities)
    pairs = class_pairs(table, suspects)
    auc = mean_auc(table.labels, predicted.probabilities)
    findings = _findings(table, suspects, pairs, auc, budget=budget, warn_budget=warn_budget)
    found = int(suspects.flagged.sum())
    return Report(
        subject=artifact,
        control=CONTROL,
        verdict=verdict_of(findings),
        summary=_summary(found, len(table.labels), budget, auc),
        findings=findings,
        metrics={**_metrics(table, suspects, predicted, pairs), "mean_auc_out_of_sample": auc, "budget": budget},
        parameters={
            "label_column": label_column,
            "feature_columns": "all numeric" if feature_columns is None else list(feature_columns),
            "id_column": id_column,
            "estimator": predicted.estimator,
            "folds": folds,
            "budget": budget,
            "warn_budget": warn_budget,
            "seed": seed,
            "detector": DETECTOR,
        },
        tools={name: version(name) for name in _TOOLS},
        details=_details(table, suspects, predicted, pairs),
        blobs={"suspects.json": suspects_json(table, suspects)},
    )


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
    table: LabelledTable,
    suspects: Suspects,
    pairs: list[Pair],
    auc: float,
    *,
    budget: float,
    warn_budget: float | None,
) -> tuple[Finding, ...]:
    """Worst first. The pair that stands out is information; it weighs as much as the share that it is part of."""
    rows, found = len(table.labels), int(suspects.flagged.sum())
    share, severity, limit = found / rows, Severity.INFO, budget
    findings = []
    if share > budget:
        severity = Severity.CRITICAL
    elif warn_budget is not None and share > warn_budget:
        severity, limit = Severity.WARNING, warn_budget
    if severity is not Severity.INFO:
        message = f"{found} of {rows} labels ({share:.2%}) are suspect, more than {limit:.2%}"
        findings.append(Finding(f"{CONTROL}/suspect-share", severity, message, f"{found} rows", TECHNIQUES))
    if auc <= CHANCE_AUC:
        message = f"the estimator is no better than chance (mean AUC {auc:.3f}), so it can't judge labels"
        findings.append(Finding(f"{CONTROL}/no-better-than-chance", Severity.CRITICAL, message))
    if pairs:
        top = pairs[0]
        message = (
            f"{top.rows} of {found} suspects are labelled {quoted([top.given])} where the other rows say "
            f"{quoted([top.suggested])}: {top.share:.1%} of that label's rows"
        )
        findings.append(Finding(f"{CONTROL}/class-pair", severity, message, f"{top.rows} rows", TECHNIQUES))
    if table.ignored:
        message = f"{len(table.ignored)} columns are not numeric and were left out: {quoted(table.ignored)}"
        findings.append(Finding(f"{CONTROL}/ignored-columns", Severity.INFO, message, f"{len(table.ignored)} columns"))
    return tuple(sorted(findings, key=lambda finding: -finding.severity.rank))


def _summary(found: int, rows: int, budget: float, auc: float) -> str:
    text = f"{found} of {rows} labels ({found / rows:.2%}) are suspect; the budget is {budget:.2%}"
    return text if auc > CHANCE_AUC else f"{text}; but the estimator is no better than chance, so this says nothing"


def _metrics(table: LabelledTable, suspects: Suspects, predicted: OutOfSample, pairs: list[Pair]) -> dict[str, Any]:
    rows, found = len(table.labels), int(suspects.flagged.sum())
    correct = float((predicted.probabilities.argmax(axis=1) == table.labels).mean())
    metrics: dict[str, Any] = {
        "rows": rows,
        "features": len(table.feature_names),
        "classes": len(table.classes),
        "suspects": found,
        "suspect_share": round(found / rows, DECIMALS),
        "accuracy_out_of_sample": round(correct, DECIMALS),
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


def _details(table: LabelledTable, suspects: Suspects, predicted: OutOfSample, pairs: list[Pair]) -> dict[str, Any]:
    sizes, found = Counter(table.labels.tolist()), Counter(table.labels[suspects.flagged].tolist())
    return {
        "detectors": {
            DETECTOR: {
                "classes": [
                    {"label": name, "rows": sizes[k], "suspects": found[k]} for k, name in enumerate(table.classes)
                ],
                "pairs": [vars(pair) for pair in pairs[:MAX_PAIRS]],
                "pairs_total": len(pairs),
            }
        },
        "estimator": {"name": predicted.estimator, "settings": dict(predicted.settings)},
        "feature_columns": list(table.feature_names),
        "ignored_columns": list(table.ignored),
    }
