"""DuckDB and Spark flag the very rows that the compiled engine flags, and refuse what it refuses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.poisoning.engine import FILTERS, find_issues
from airflow_mlsecops.core.poisoning.engine.duckdb import find_issues_duckdb
from airflow_mlsecops.core.poisoning.engine.spark import find_issues_spark
from tests.support.confident import classifier, draw
from tests.support.footers import lying_footer
from tests.support.spark import spark_session


def table(labels: Any, p: Any, keys: Any) -> tuple[pd.DataFrame, dict[str, Any]]:
    names = [f'p "{k}" `of` k' for k in range(p.shape[1])]
    frame = pd.DataFrame({"row id": keys, "y": labels, **{name: p[:, k] for k, name in enumerate(names)}})
    return frame, {"key_column": "row id", "label_column": "y", "probability_columns": names}


def in_duckdb(frame: pd.DataFrame, **arguments: Any) -> Any:
    with duckdb.connect() as connection:
        connection.register("rows_to_judge", frame)
        return find_issues_duckdb("rows_to_judge", connection=connection, **arguments)


@pytest.mark.parametrize("part", range(6))
def test_duckdb_says_what_the_compiled_engine_says(part: int) -> None:
    for seed in range(part, 30, 6):
        labels, p = draw(seed)
        keys = np.random.default_rng(seed).permutation(10 * len(labels))[: len(labels)] - 50
        frame, arguments = table(labels, p, keys)
        expected = find_issues(labels, p, keys=keys, filters=FILTERS)
        found = in_duckdb(frame, filters=FILTERS, **arguments)
        assert found.digest == expected.digest, seed
        assert found.plan.joint.tolist() == expected.plan.joint.tolist()
        assert found.plan.thresholds.tolist() == expected.plan.thresholds.tolist()
        alone = in_duckdb(frame, filters=[FILTERS[seed % 7]], **arguments)
        assert alone.digest == find_issues(labels, p, keys=keys, filters=[FILTERS[seed % 7]]).digest


def test_duckdb_reads_parquet_and_ids_that_are_text(tmp_path: Path) -> None:
    labels, p = classifier(2_000, 5, wrong=0.1)
    frame, arguments = table(labels, p.astype(np.float32), [f"r{n:05d}" for n in range(2_000)])
    frame.to_parquet(tmp_path / "rows.parquet")
    found = find_issues_duckdb(f"read_parquet('{tmp_path}/rows.parquet')", **arguments)
    expected = np.flatnonzero(find_issues(labels, p.astype(np.float32)).mask())
    assert found.keys is not None
    assert found.keys[found.mask()].tolist() == [f"r{n:05d}" for n in expected]
    assert len(expected) > 100


@pytest.mark.parametrize("probabilities", [(float("nan"), 0.5), (float("nan"), float("nan")), (7.5, -6.5)])
def test_no_footer_of_a_parquet_file_vouches_for_probabilities(
    tmp_path: Path, probabilities: tuple[float, float]
) -> None:
    """Statistics leave NaN out, and whoever wrote the file wrote them: here all say that everything is in order."""
    p = np.linspace(0.01, 0.99, 2_000)
    pairs = np.stack([p, 1 - p], axis=1)
    pairs[5] = probabilities
    lies = {value: 0.5 for value in probabilities if value == value and value != 0.5}
    columns = {"row id": np.arange(2_000), "y": np.arange(2_000) % 2, "a": pairs[:, 0], "b": pairs[:, 1]}
    path = lying_footer(tmp_path / "rows.parquet", lies, **columns)
    with pytest.raises(DataError, match="1 of 2000 rows hold no probabilities"):
        find_issues_duckdb(
            f"read_parquet('{path}')", key_column="row id", label_column="y", probability_columns=["a", "b"]
        )


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with spark_session(tmp_path_factory.mktemp("warehouse"), threads=2) as session:
        yield session


def test_spark_says_what_the_compiled_engine_says(spark: Any) -> None:
    for labels, p in (draw(1), classifier(3_000, 4, wrong=0.1)):
        keys = np.random.default_rng(3).permutation(len(labels))
        frame, arguments = table(labels, p, keys)
        expected = find_issues(labels, p, keys=keys, filters=FILTERS)
        found = find_issues_spark(spark.createDataFrame(frame).repartition(3), filters=FILTERS, **arguments)
        assert found.engine == "spark"
        assert found.digest == expected.digest
    assert not [view for view in spark.catalog.listTables() if view.name.startswith("mlsecops_")]


def wrong_label(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(y=[7, *frame["y"][1:]])


def half_label(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(y=[0.5, *frame["y"][1:]])


def missing_label(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(y=[np.nan, *frame["y"][1:]])


def one_class(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(y=1)


def same_ids(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{"row id": [1, *frame["row id"][1:]]})


def no_id(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{"row id": [np.nan, *frame["row id"][1:]]})


def not_a_number(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(**{frame.columns[2]: [float("nan"), *frame[frame.columns[2]][1:]]})


def out_of_range(frame: pd.DataFrame) -> pd.DataFrame:
    moved = frame.copy()
    moved.iloc[0, 2:4] = [1.5, -0.5]
    moved.iloc[0, 4:] = 0.0
    return moved


def no_rows(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[:0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (wrong_label, "1 of 60 rows have a label that is missing or isn't one of 0 … 2"),
        (half_label, "1 of 60 rows have a label"),
        (missing_label, "1 of 60 rows have a label"),
        (one_class, "all rows have the same label"),
        (same_ids, "1 of 60 rows share their id"),
        (no_id, "1 of 60 rows have no id"),
        (not_a_number, "1 of 60 rows hold no probabilities"),
        (out_of_range, "1 of 60 rows hold no probabilities"),
        (no_rows, "0 rows of 3 classes can't be judged"),
    ],
)
def test_what_cannot_be_judged_is_refused(change: Any, message: str) -> None:
    labels, p = classifier(60, 3)
    frame, arguments = table(labels, p, np.arange(60))
    with pytest.raises(DataError, match=message) as caught:
        in_duckdb(change(frame), **arguments)
    assert caught.value.advice
