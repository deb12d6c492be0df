"""The same counts from a pandas column, for Great Expectations: equal to those of SQL, and so are the answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.profile import categories, compare
from airflow_mlsecops.core.profile.baseline import NoBaseline, current
from airflow_mlsecops.core.profile.compare import Compared, Seen
from airflow_mlsecops.core.profile.model import BOOL, NUMBER, OTHER, TEXT

if TYPE_CHECKING:
    import pandas

_FAMILIES = {"integer": NUMBER, "floating": NUMBER, "mixed-integer-float": NUMBER, "string": TEXT, "boolean": BOOL}


def compare_labels(name: str, column: pandas.Series, kwargs: Mapping[str, Any]) -> Compared:
    """Shares of categories against the current baseline."""
    baseline, values = current().baseline, column.dropna()
    if isinstance(baseline, NoBaseline):
        return _no(0, baseline.reason)
    was = baseline.profile.column(name)
    why = compare.why_not_labels(was, name, family_of(values))
    if why or values.empty or was is None or was.categories is None:
        return _no(len(values), why if len(values) else "")
    counted = [(_named(value), int(rows)) for value, rows in values.value_counts().items()]
    return compare.labels(was, categories.seen_on(was.categories, name, len(values), counted), kwargs)


def compare_distribution(name: str, column: pandas.Series, kwargs: Mapping[str, Any]) -> Compared:
    """A distribution against the current baseline."""
    import numpy as np

    baseline, values = current().baseline, column.dropna()
    if isinstance(baseline, NoBaseline):
        return _no(0, baseline.reason)
    was = baseline.profile.column(name)
    family = family_of(values)
    why = compare.why_not_distribution(was, name, family)
    if why or values.empty or was is None or was.histogram is None:
        return _no(len(values), why if len(values) else "")
    edges = was.histogram.edges
    measured = (values.str.len() if family == TEXT else values).to_numpy(dtype="float64")
    counts = np.bincount(np.searchsorted(edges, measured, side="left"), minlength=len(edges) + 1)
    return compare.distribution(was, Seen(len(values), tuple(int(count) for count in counts)), kwargs)


def family_of(values: pandas.Series) -> str:
    """What can be compared of a column without nulls; empty if it is empty."""
    import pandas as pd

    return "" if values.empty else _FAMILIES.get(pd.api.types.infer_dtype(values, skipna=True), OTHER)


def _named(value: Any) -> str:
    """A value's name: as SQL casts it to text, and a whole number as one although pandas may keep it as a float."""
    if isinstance(value, str):
        return value
    if str(value) in ("True", "False"):
        return str(value).lower()
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _no(saw: int, trouble: str) -> Compared:
    return Compared(False, saw, {}, trouble=trouble)
