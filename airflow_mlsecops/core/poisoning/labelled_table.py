"""A table with labels, made ready for controls that learn from it: ids, a matrix, encoded labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.controls.tables import read_table
from airflow_mlsecops.core.errors import ConfigurationError, DataError
from airflow_mlsecops.core.poisoning.roles import Extras, Roles
from airflow_mlsecops.core.poisoning.text_features import text_columns

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

SHOWN = 10
LARGEST = 3.4028234e38
"""The largest single-precision number: trees and many other estimators compute in it."""


@dataclass(frozen=True)
class LabelledTable:
    """Rows in the order of their ids, so that nothing that is made of them depends on the order in the file.

    Attributes:
        row_ids: (rows,), unique; the 0-based row number where no column names the rows.
        features: (rows, columns), finite.
        labels: (rows,), encoded 0 … classes - 1.
        classes: the original labels as text: numbers by value, all else by text.
        feature_names: (columns,).
        ignored: columns that are neither id nor label and not numeric, where the caller named no features.
        extras: the columns that say something about rows and are no features, by role.
        numbers: (rows,) where each row stands in the file, from 0.
    """

    row_ids: tuple[str, ...]
    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    feature_names: tuple[str, ...]
    ignored: tuple[str, ...]
    extras: Extras = field(default_factory=Extras)
    numbers: tuple[int, ...] = ()


def read_labelled(
    path: Path,
    *,
    label_column: str,
    feature_columns: Sequence[str] | None = None,
    id_column: str | None = None,
    roles: Roles | None = None,
    learn: bool = True,
) -> LabelledTable:
    """Read a CSV or Parquet file or folder.

    Args:
        path: what :func:`airflow_mlsecops.core.controls.tables.read_table` reads.
        label_column: text, numbers or booleans.
        feature_columns: numeric columns; by default all but label and id.
        id_column: unique values; by default rows are numbered from 0 in the order of the file.
        roles: columns with a role of their own.
        learn: whether features are needed; without, there are none and nothing is said of them.

    Raises:
        DataError: if the table can't be read, a column is missing, a label or an id is missing, ids repeat, there is
            only one class, or a feature isn't a finite number.
        ConfigurationError: if the columns named contradict each other.
    """
    import numpy as np

    features, given = _named_features(label_column, feature_columns, id_column), roles or Roles()
    aside = given.columns()
    _check_roles(aside, label_column, id_column, features)
    frame = read_table(path)
    _need_columns(frame, [label_column, *([id_column] if id_column else []), *(features or []), *aside])
    rest = [column for column in frame.columns if column not in (label_column, id_column, *aside)]
    numeric = [column for column in rest if _is_numeric(frame[column])]
    if not learn:
        features, numeric = [], []
    used = features if features is not None else numeric
    matrix = np.empty((len(frame), 0))
    if learn and (used or not given.texts):
        matrix = _matrix(frame, used, numeric)
    hashed, made = text_columns(frame, given.texts if learn else ())
    if hashed:
        matrix = np.hstack([matrix, *hashed])
    labels, classes = _encoded(frame[label_column], label_column)
    if id_column is None:
        ids, order = [str(number) for number in range(len(frame))], list(range(len(frame)))
    else:
        ids = _ids(frame[id_column], id_column)
        order = sorted(range(len(ids)), key=ids.__getitem__)
    return LabelledTable(
        row_ids=tuple(ids[index] for index in order),
        features=np.ascontiguousarray(matrix[order]),
        labels=labels[order],
        classes=classes,
        feature_names=(*(str(name) for name in used), *made),
        ignored=() if features is not None else tuple(str(name) for name in rest if name not in numeric),
        extras=_extras(frame.iloc[order], given, classes),
        numbers=tuple(order),
    )


def _named_features(
    label_column: str, feature_columns: Sequence[str] | None, id_column: str | None
) -> list[str] | None:
    """What the caller named, checked against itself before anything is read."""
    if id_column is not None and id_column == label_column:
        raise ConfigurationError(f"column {label_column!r} is named as label and as id", "name two columns")
    if feature_columns is None:
        return None
    if isinstance(feature_columns, str):
        raise ConfigurationError(
            f"feature_columns is one text, {feature_columns[:80]!r}, expected a list of column names",
            "give a list; a templated field becomes one with render_template_as_native_obj=True",
        )
    features = list(feature_columns)
    if not features:
        raise ConfigurationError("feature_columns is empty", "name at least one, or leave it out for all numeric ones")
    twice = [name for name, count in Counter(features).items() if count > 1]
    if twice:
        raise ConfigurationError(f"feature_columns names {quoted(twice)} more than once", "name each column once")
    leaking = [name for name in features if name in (label_column, id_column)]
    if leaking:
        raise ConfigurationError(
            f"feature_columns names {quoted(leaking)}, which is the label or the id",
            "leave it out: a label would explain itself, an id says nothing",
        )
    return features


def _check_roles(aside: list[str], label_column: str, id_column: str | None, features: list[str] | None) -> None:
    clash = [name for name in aside if name in (label_column, id_column, *(features or []))]
    twice = [name for name, count in Counter(aside).items() if count > 1]
    if clash or twice:
        raise ConfigurationError(
            f"column {quoted(clash or twice)} has two roles",
            "a column is one of label, id, feature, source, time, probability, embedding or text",
        )


def _extras(frame: pd.DataFrame, roles: Roles, classes: tuple[str, ...]) -> Extras:
    import numpy as np

    sources = times = probabilities = embeddings = None
    for name in (roles.source, roles.time):
        if name and (missing := _missing(frame[name], name)):
            raise DataError(f"{missing} of {len(frame)} values in column {name!r} are missing", "fill them in")
    if roles.source:
        sources = tuple(_texts(frame[roles.source], roles.source))
    if roles.time:
        column = frame[roles.time]
        times = column.to_numpy() if column.dtype.kind in "iufM" else np.array([str(cell) for cell in column])
    if roles.probabilities is not None:
        odd = sorted(set(map(str, roles.probabilities)) ^ set(classes))
        if odd:
            raise DataError(
                f"probability columns and labels differ in {quoted(odd)}", "name one column for each label in the data"
            )
        by_label = {str(label): column for label, column in roles.probabilities.items()}
        probabilities = _numbers(frame, [by_label[name] for name in classes])
    if roles.embeddings:
        embeddings = _numbers(frame, list(roles.embeddings))
    return Extras(sources, times, probabilities, embeddings)


def _numbers(frame: pd.DataFrame, names: list[str]) -> NDArray[np.float64]:
    return _matrix(frame, names, [name for name in names if _is_numeric(frame[name])])


def _need_columns(frame: pd.DataFrame, needed: list[str]) -> None:
    missing = [name for name in needed if name not in frame.columns]
    if missing:
        raise DataError(
            f"the table has no column {quoted(missing)}; it has {quoted(frame.columns)}",
            "check label_column, id_column and feature_columns",
        )


def _is_numeric(column: pd.Series[Any]) -> bool:
    from pandas.api.types import is_complex_dtype, is_numeric_dtype

    return is_numeric_dtype(column.dtype) and not is_complex_dtype(column.dtype)


def _matrix(frame: pd.DataFrame, features: list[str], numeric: list[str]) -> NDArray[np.float64]:
    """(rows, columns) of finite numbers; missing values are refused, because filling them in is a decision."""
    import numpy as np

    if not features:
        raise DataError("the table has no numeric column beside label and id", "encode the features as numbers first")
    text = [name for name in features if name not in numeric]
    if text:
        raise DataError(f"features must be numbers, {quoted(text)} are not", "encode them, or leave them out")
    columns = [frame[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in features]
    matrix: NDArray[np.float64] = np.column_stack(columns)
    with np.errstate(invalid="ignore"):
        bad = ~(np.abs(matrix) <= LARGEST)
    counts = bad.sum(axis=0)
    if counts.any():
        told = [f"{name} ({count} rows)" for name, count in zip(features, counts, strict=True) if count]
        raise DataError(
            f"features must be finite numbers below 3.4e38; missing, infinite or too large values in {quoted(told)}",
            "fill them in, drop the rows, or leave the columns out",
        )
    return matrix


def _encoded(column: pd.Series[Any], name: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels as 0 … classes - 1, and what they stand for."""
    import numpy as np
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    missing = _missing(column, name)
    if missing:
        raise DataError(
            f"{missing} of {len(column)} labels in column {name!r} are missing, blank or infinite",
            "drop those rows, or label them",
        )
    texts = _texts(column, name)
    by_value = is_numeric_dtype(column.dtype) and not is_bool_dtype(column.dtype)
    classes = tuple(sorted(set(texts), key=(lambda text: (float(text), text)) if by_value else None))
    if len(classes) < 2:
        raise DataError(
            f"column {name!r} has {len(classes)} classes in {len(column)} rows, expected at least 2",
            "with one class there is nothing to tell apart",
        )
    number = {text: index for index, text in enumerate(classes)}
    return np.array([number[text] for text in texts], dtype=np.int64), classes


def _ids(column: pd.Series[Any], name: str) -> list[str]:
    missing = _missing(column, name)
    if missing:
        raise DataError(
            f"{missing} of {len(column)} ids in column {name!r} are missing or blank", "give each row an id"
        )
    ids = _texts(column, name)
    repeated = sum(count for count in Counter(ids).values() if count > 1)
    if repeated:
        raise DataError(
            f"{repeated} of {len(ids)} rows share their id in column {name!r} with another row",
            "ids must be unique, or a suspect couldn't be found again",
        )
    return ids


def _missing(column: pd.Series[Any], name: str) -> int:
    """How many cells say nothing: null, NaN, infinite or blank.

    Raises:
        DataError: if cells are lists, structures or arrays.
    """
    from pandas.api.types import is_numeric_dtype, is_scalar

    missing = column.isna()
    if is_numeric_dtype(column.dtype):
        return int((missing | column.isin([float("inf"), float("-inf")])).sum())
    cells = column.tolist()
    if not all(is_scalar(cell) for cell in cells):
        raise DataError(f"column {name!r} holds lists or structures, expected one value a row", "flatten it first")
    return sum(gone or (isinstance(cell, str) and not cell.strip()) for gone, cell in zip(missing, cells, strict=True))


def _texts(column: pd.Series[Any], name: str) -> list[str]:
    """Cells as text; whole floats as integers, so that 3 and 3.0, from CSV or from Parquet, are one class.

    Raises:
        DataError: if integers came as floats so large that two may have become one.
    """
    values = column.tolist()
    if all(isinstance(value, float) and value.is_integer() for value in values):
        if any(abs(value) > 2**53 for value in values):
            raise DataError(
                f"column {name!r} holds numbers beyond 2**53 as floating point, where neighbours can't be told apart",
                "write them as text",
            )
        values = [int(value) for value in values]
    return [str(value) for value in values]


def quoted(names: Iterable[object]) -> str:
    """Names for a message, bounded."""
    texts = [repr(str(name)[:80]) for name in names]
    more = f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else ""
    return ", ".join(texts[:SHOWN]) + more
