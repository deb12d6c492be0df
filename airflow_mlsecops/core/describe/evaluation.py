"""What the model does on a pinned data set: metrics, overall and by subgroup, calibration, attributions.

Sources: scikit-learn's metrics; Wilson's score interval for shares (Wilson, JASA 22, 1927); expected calibration error
over ten bins of equal width (Naeini et al., AAAI 2015); permutation importance (Breiman, Machine Learning 45, 2001);
SHAP (Lundberg and Lee, NeurIPS 2017).
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.describe.attribution import Attribution, attributions
from airflow_mlsecops.core.errors import DataError, MlsecopsError

if TYPE_CHECKING:
    import pandas

CALIBRATION_BINS = 10
MIN_GROUP_ROWS = 20
"""In a smaller group a metric says nothing; its size is told all the same."""
MAX_GROUPS = 20
_QUANTILES = 4
_Z = 1.959963984540054


@dataclass(frozen=True)
class Metric:
    """One figure.

    Attributes:
        name: as scikit-learn calls it.
        value: finite.
        slice: which rows; empty for all.
        low: lower end of a 95% interval, if there is one.
        high: its upper end.
    """

    name: str
    value: float
    slice: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Group:
    """The rows of which a column has one value, or lies in one quarter."""

    column: str
    value: str
    rows: int
    metrics: tuple[Metric, ...]


@dataclass(frozen=True)
class Bin:
    """Rows of which the model is about as sure: how sure it says to be, and how often it is right."""

    rows: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Evaluation:
    """All of it.

    Attributes:
        task: ``classification`` or ``regression``.
        rows: how many rows it rests on.
        metrics: over all rows.
        groups: by subgroup, in the order of the columns.
        calibration: bins that hold rows; empty where the model gives no probabilities.
        calibration_error: expected calibration error, 0 to 1.
        attributions: which features the model rests on, strongest first.
        attribution_method: how they were found; empty if they weren't.
    """

    task: str
    rows: int
    metrics: tuple[Metric, ...]
    groups: tuple[Group, ...] = ()
    calibration: tuple[Bin, ...] = ()
    calibration_error: float | None = None
    attributions: tuple[Attribution, ...] = ()
    attribution_method: str = ""


def evaluate(
    model: Any,
    table: pandas.DataFrame,
    *,
    label_column: str,
    exclude: Sequence[str] = (),
    subgroups: Sequence[str] = (),
    attribution: str = "permutation",
    seed: int = 0,
) -> Evaluation:
    """Measure a fitted model that has scikit-learn's interface.

    Args:
        model: has ``predict`` and, for calibration, ``predict_proba``.
        table: the rows; those without a label can't be judged.
        label_column: what it is to predict.
        exclude: columns that are no features: ids, sources, times.
        subgroups: columns by which the figures are told apart; they may be excluded ones, too.
        attribution: ``permutation``, ``shap`` or ``none``.
        seed: of all sampling.

    Raises:
        DataError: if a column is missing, there are no rows, labels are missing, or the model can't predict them.
        MissingExtraError: if SHAP is asked for and isn't installed.
    """
    features, labels = _split(model, table, label_column, exclude, subgroups)
    with _as_data_error("the model can't predict these rows"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        predicted = model.predict(features)
        classes = getattr(model, "classes_", None)
        sure = model.predict_proba(features) if classes is not None and hasattr(model, "predict_proba") else None
        task = "regression" if classes is None else "classification"
        measure = _regression if classes is None else _classification
        metrics = measure(labels, predicted, sure, classes, "")
        groups = tuple(_groups(table, subgroups, lambda rows, name: _part(measure, labels, predicted, rows, name)))
        bins, error = _calibration(labels, predicted, sure) if sure is not None else ((), None)
        found, method = attributions(model, features, labels, attribution, seed)
    return Evaluation(task, len(table), metrics, groups, bins, error, found, method)


@contextmanager
def _as_data_error(what: str) -> Iterator[None]:
    """Whatever a foreign model raises; its message may quote rows, so only the type is told."""
    try:
        yield
    except MlsecopsError:
        raise
    except Exception as error:
        raise DataError(
            f"{what}: {type(error).__name__}", "the features have to be those that it was trained on; name the others"
        ) from error


def _split(
    model: Any, table: pandas.DataFrame, label_column: str, exclude: Sequence[str], subgroups: Sequence[str]
) -> tuple[Any, Any]:
    if table.empty:
        raise DataError("the evaluation data hold no rows", "look at the task that wrote them")
    known = getattr(model, "feature_names_in_", None)
    wanted = (
        [str(name) for name in known]
        if known is not None
        else [str(name) for name in table.columns if name not in {label_column, *exclude}]
    )
    missing = sorted({label_column, *subgroups, *wanted} - set(map(str, table.columns)))
    if missing or not wanted:
        named = ", ".join(map(repr, missing[:10])) or "for features"
        raise DataError(f"the evaluation data have no column {named}", "name label, features and subgroups as they are")
    labels = table[label_column]
    if labels.isna().any():
        raise DataError(f"{int(labels.isna().sum())} rows have no label", "a model can't be judged by these")
    return table[wanted], labels.to_numpy()


def _classification(labels: Any, predicted: Any, sure: Any, classes: Any, name: str) -> tuple[Metric, ...]:
    from sklearn import metrics as sk

    rows = len(labels)
    accuracy = float(sk.accuracy_score(labels, predicted))
    found = [
        Metric("accuracy", accuracy, name, *wilson(accuracy, rows)),
        Metric("balanced_accuracy", float(sk.balanced_accuracy_score(labels, predicted)), name),
        Metric("f1_macro", float(sk.f1_score(labels, predicted, average="macro", zero_division=0)), name),
    ]
    known = set(classes.tolist()) if classes is not None else set()
    if sure is not None and set(labels.tolist()) <= known:
        found.append(Metric("log_loss", float(sk.log_loss(labels, sure, labels=classes)), name))
        if set(labels.tolist()) == known:
            scores = sure[:, 1] if len(known) == 2 else sure
            area = sk.roc_auc_score(labels, scores, multi_class="ovr", labels=classes)
            found.append(Metric("roc_auc", float(area), name))
    return tuple(metric for metric in found if math.isfinite(metric.value))


def _regression(labels: Any, predicted: Any, _sure: Any, _classes: Any, name: str) -> tuple[Metric, ...]:
    from sklearn import metrics as sk

    found = [
        Metric("r2", float(sk.r2_score(labels, predicted)) if len(labels) > 1 else math.nan, name),
        Metric("mean_absolute_error", float(sk.mean_absolute_error(labels, predicted)), name),
        Metric("root_mean_squared_error", float(sk.root_mean_squared_error(labels, predicted)), name),
    ]
    return tuple(metric for metric in found if math.isfinite(metric.value))


def _part(measure: Any, labels: Any, predicted: Any, rows: Any, name: str) -> tuple[Metric, ...]:
    return tuple(measure(labels[rows], predicted[rows], None, None, name))


def wilson(share: float, rows: int) -> tuple[float, float]:
    """The 95% score interval of a share."""
    square = _Z * _Z
    centre = (share + square / (2 * rows)) / (1 + square / rows)
    half = _Z * math.sqrt(share * (1 - share) / rows + square / (4 * rows * rows)) / (1 + square / rows)
    return max(0.0, centre - half), min(1.0, centre + half)


def _groups(table: pandas.DataFrame, columns: Sequence[str], measured: Any) -> Iterator[Group]:
    for column in columns:
        for value, rows in _values(table[column]).items():
            count = int(rows.sum())
            metrics = measured(rows, f"{column}={value}") if count >= MIN_GROUP_ROWS else ()
            yield Group(column, value, count, metrics)


def _values(column: pandas.Series[Any]) -> Mapping[str, Any]:
    """Masks of rows: one for each value, the most frequent ones; of numbers with many values one for each quarter."""
    import pandas as pd

    if pd.api.types.is_numeric_dtype(column) and column.nunique() > MAX_GROUPS:
        column = pd.qcut(column, _QUANTILES, duplicates="drop")
    told = column.astype("string").fillna("(missing)")
    return {str(value): (told == value).to_numpy() for value in told.value_counts().index[:MAX_GROUPS]}


def _calibration(labels: Any, predicted: Any, sure: Any) -> tuple[tuple[Bin, ...], float]:
    """Of the predicted class alone: how sure, and how often right."""
    import numpy as np

    confidence, right = sure.max(axis=1), labels == predicted
    place = np.clip((confidence * CALIBRATION_BINS).astype(int), 0, CALIBRATION_BINS - 1)
    bins, error = [], 0.0
    for number in range(CALIBRATION_BINS):
        rows = place == number
        count = int(rows.sum())
        if count:
            bins.append(Bin(count, float(confidence[rows].mean()), float(right[rows].mean())))
            error += count / len(labels) * abs(bins[-1].confidence - bins[-1].accuracy)
    return tuple(bins), error
