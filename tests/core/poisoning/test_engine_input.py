"""What the engine refuses, and how it says so."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.sparse import csr_array

from airflow_mlsecops.core.errors import ConfigurationError, DataError, MissingExtraError
from airflow_mlsecops.core.poisoning.engine import (
    ArrowSource,
    ParquetSource,
    find_issues,
    find_issues_in,
    quality_scores,
)
from airflow_mlsecops.core.poisoning.engine.kernels import compiled

LABELS = np.array([0, 1, 0, 1])
P = np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7]])


def changed(row: int, values: list[float]) -> Any:
    p = P.copy()
    p[row] = values
    return p


@pytest.mark.parametrize("engine", ["numba", "numpy"])
@pytest.mark.parametrize(
    ("labels", "p", "message"),
    [
        (["a", "b", "a", "b"], P, "labels are <U1, expected integers 0 … 1"),
        ([0.0, 1.0, 0.0, 1.0], P, "labels are float64"),
        ([0, 1, None, 1], P, "labels are object"),
        ([0, 1, 2, 1], P, "labels go from 0 to 2, expected 0 … 1"),
        ([0, 1, -1, 1], P, "labels go from -1 to 1"),
        ([0, 1, 1], P, r"labels have shape \(3,\), expected \(4,\)"),
        ([1, 1, 1, 1], P, "all rows have the same label"),
        (LABELS, P.astype(int), "probabilities are int64"),
        (LABELS, P.astype(np.float16), "probabilities are float16"),
        (LABELS, csr_array(P), r"a sparse matrix of shape \(4, 2\)"),
        (LABELS, P[:, 0], r"of shape \(4,\), expected float32 or float64"),
        (LABELS[:1], P[:1], "1 rows of 2 classes can't be judged"),
        (np.zeros(4, int), np.ones((4, 1)), "4 rows of 1 classes can't be judged"),
        (LABELS, changed(2, [np.nan, 0.5]), "1 of 4 rows hold no probabilities"),
        (LABELS, changed(2, [np.nan, np.nan]), "1 of 4 rows hold no probabilities"),
        (LABELS, changed(2, [np.inf, 0.5]), "1 of 4 rows"),
        (LABELS, changed(2, [-np.inf, 0.5]), "1 of 4 rows"),
        (LABELS, changed(2, [1.5, -0.5]), "1 of 4 rows"),
        (LABELS, changed(2, [0.4, 0.4]), "1 of 4 rows"),
        (LABELS, changed(2, [0.0, 0.0]), "1 of 4 rows"),
        (LABELS, changed(2, [1.00001, -0.00001]), "1 of 4 rows"),
    ],
)
def test_labels_and_probabilities_that_are_none(engine: Any, labels: Any, p: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        find_issues(labels, p, engine=engine)
    assert caught.value.advice


@pytest.mark.parametrize("engine", ["numba", "numpy"])
def test_rounding_errors_pass(engine: Any) -> None:
    for row in ([1.0000005, -0.0000005], [0.50004, 0.50004], [-0.0, 1.0]):
        assert find_issues(LABELS, changed(2, row), engine=engine).plan.counts.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("keys", "message"),
    [([1, 2, 3, 3], "row ids repeat"), ([1.0, 2, 3, 4], "row ids are float64"), ([1, 2, 3], r"shape \(3,\)")],
)
def test_ids_that_name_no_rows(keys: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_issues(LABELS, P, keys=keys)


@pytest.mark.parametrize(
    "arguments",
    [{"filters": []}, {"filters": ["all"]}, {"engine": "gpu"}, {"threads": 0}, {"threads": True}, {"threads": 1.5}],
)
def test_settings_that_do_not_exist(arguments: Any) -> None:
    with pytest.raises(ConfigurationError) as caught:
        find_issues(LABELS, P, **arguments)
    assert caught.value.advice


def test_a_mask_that_was_not_asked_for() -> None:
    with pytest.raises(ConfigurationError, match="'both' didn't run"):
        find_issues(LABELS, P).mask("both")


@pytest.mark.parametrize("arguments", [{"method": "margin"}, {"method": "confidence_weighted_entropy", "adjust": True}])
def test_scores_that_do_not_exist(arguments: Any) -> None:
    with pytest.raises(ConfigurationError):
        quality_scores(LABELS, P, **arguments)


def test_without_numba_the_answer_comes_from_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_mlsecops.core.poisoning.engine.run.find_spec", lambda name: None)
    assert find_issues(LABELS, P).engine == "numpy"
    monkeypatch.setitem(sys.modules, "numba", None)
    compiled.cache_clear()
    with pytest.raises(MissingExtraError, match="numba can't be imported") as caught:
        find_issues(LABELS, P, engine="numba")
    assert "airflow-mlsecops[numba]" in caught.value.advice
    monkeypatch.undo()
    assert find_issues(LABELS, P).engine == "numba"


def parquet(tmp_path: Path, **columns: Any) -> ParquetSource:
    pq.write_table(pa.table({"y": LABELS, "a": P[:, 0], "b": P[:, 1], **columns}), tmp_path / "rows.parquet")
    return ParquetSource(
        [tmp_path / "rows.parquet"],
        label_column="y",
        probability_columns=["a", "b"],
        key_column="k" if "k" in columns else None,
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"y": ["a", "b", "a", "b"]}, "column 'y' is object, expected integers"),
        ({"y": [0, 1, None, 1]}, "column 'y' has missing values"),
        ({"a": [0.9, None, 0.2, 0.3]}, "column 'a' has missing values"),
        ({"a": [1, 0, 1, 0]}, "column 'a' is int64, expected floating point"),
        ({"k": [1.0, 2.0, 3.0, 4.0]}, "column 'k' is float64, expected integers"),
        ({"k": [1, 2, 3, 3]}, "row ids repeat"),
    ],
)
def test_parquet_columns_that_do_not_fit(tmp_path: Path, columns: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        find_issues_in(parquet(tmp_path, **columns))


def test_parquet_that_is_none(tmp_path: Path) -> None:
    source = parquet(tmp_path)
    with pytest.raises(DataError, match="has no column 'c'"):
        ParquetSource([tmp_path / "rows.parquet"], label_column="y", probability_columns=["a", "c"])
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="not a whole Parquet file"):
        find_issues_in(source)
    with pytest.raises(DataError, match="not a whole Parquet file"):
        ParquetSource([tmp_path / "gone.parquet"], label_column="y", probability_columns=["a", "b"])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"y": ["a", "b", "a", "b"]}, "column 'y' is object, expected integers"),
        ({"a": [0.9, None, 0.2, 0.3]}, "column 'a' has missing values"),
        ({"b": [1, 0, 1, 0]}, "column 'b' is int64, expected floating point"),
    ],
)
def test_arrow_columns_that_do_not_fit(columns: Any, message: str) -> None:
    table = pa.table({"y": LABELS, "a": P[:, 0], "b": P[:, 1], **columns})
    with pytest.raises(DataError, match=message):
        find_issues_in(ArrowSource(table, label_column="y", probability_columns=["a", "b"]))


def test_arrow_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the table has no column 'c'"):
        ArrowSource(pa.table({"y": LABELS}), label_column="y", probability_columns=["c", "d"])
    (tmp_path / "rows.arrow").write_bytes(b"ARROW1\0\0")
    for name in ("rows.arrow", "gone.arrow"):
        with pytest.raises(DataError, match=f"{name} is not a whole Arrow file"):
            ArrowSource(tmp_path / name, label_column="y", probability_columns=["a", "b"])
