"""Tables with labels: what is read, and what can't be judged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.errors import ConfigurationError, DataError
from airflow_mlsecops.core.poisoning.labelled_table import LabelledTable, read_labelled
from tests.support.labelled import frame_of, two_clouds, write

Change = Callable[[pd.DataFrame], Any]


def table() -> pd.DataFrame:
    return frame_of(*two_clouds(20))


def read(frame: pd.DataFrame, path: Path, **arguments: Any) -> LabelledTable:
    return read_labelled(write(frame, path), **{"label_column": "label", "id_column": "row_id"} | arguments)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_ids_matrix_and_labels(tmp_path: Path, suffix: str) -> None:
    found = read(table().assign(note="text"), tmp_path / f"data{suffix}")
    assert found.row_ids[:2] == ("r00000", "r00001")
    assert found.feature_names == ("f0", "f1", "f2")
    assert found.ignored == ("note",)
    assert found.features.shape == (20, 3)
    assert np.allclose(found.features, two_clouds(20)[0])
    assert found.labels.tolist() == [0, 1] * 10
    assert found.classes == ("0", "1")


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([10, 9, -1, 10, 9, -1], ("-1", "9", "10")),
        ([2.0, 1.0, 10.0] * 2, ("1", "2", "10")),
        ([0.5, -3.25, 10.0] * 2, ("-3.25", "0.5", "10.0")),
        (["ham", "Spam", "ham"] * 2, ("Spam", "ham")),
        (["10", "9", "x"] * 2, ("10", "9", "x")),
        ([True, False, True] * 2, ("False", "True")),
        ([2**62 + 1, 2**62 + 3, 5] * 2, ("5", str(2**62 + 1), str(2**62 + 3))),
    ],
)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_labels_of_any_type_keep_their_names(
    tmp_path: Path, labels: list[Any], classes: tuple[str, ...], suffix: str
) -> None:
    found = read(frame_of(np.eye(6), labels), tmp_path / f"data{suffix}")
    assert found.classes == classes
    whole = all(float(label).is_integer() for label in labels) if isinstance(labels[0], float) else False
    texts = [str(int(label)) if whole else str(label) for label in labels]
    assert [found.classes[code] for code in found.labels] == texts


@pytest.mark.parametrize("kind", ["category", "boolean", "Int64"])
def test_pandas_own_types_are_read_from_parquet(tmp_path: Path, kind: str) -> None:
    frame = frame_of(np.eye(4), [1, 0, 1, 0])
    cells = [True, False, True, False] if kind == "boolean" else [1, 0, 1, 0]
    frame["label"] = pd.Series(cells, dtype=kind)
    frame["f0"] = frame["f0"].astype("Float64")
    frame["f1"] = frame["f1"].astype(bool)
    found = read(frame, tmp_path / "data.parquet")
    assert found.classes == (("False", "True") if kind == "boolean" else ("0", "1"))
    assert found.labels.tolist() == [1, 0, 1, 0]
    assert found.features.tolist() == np.eye(4).tolist()


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(12)), whole=st.booleans())
def test_rows_come_in_the_order_of_their_ids(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], whole: bool
) -> None:
    frame = frame_of(np.arange(24.0).reshape(12, 2), [0, 1, 2] * 4)
    frame["row_id"] = [7 * n for n in range(12)] if whole else [f"id-{7 * n}" for n in range(12)]
    path = tmp_path_factory.mktemp("order") / "data.csv"
    there, shuffled = read(frame, path), read(frame.iloc[order], path)
    assert there.row_ids == shuffled.row_ids == tuple(sorted(there.row_ids))
    assert there.features.tolist() == shuffled.features.tolist()
    assert there.labels.tolist() == shuffled.labels.tolist()
    place = there.row_ids.index("35" if whole else "id-35")
    assert there.features[place].tolist() == [10.0, 11.0]


def test_without_ids_rows_are_numbered(tmp_path: Path) -> None:
    found = read(table().drop(columns="row_id"), tmp_path / "data.csv", id_column=None)
    assert found.row_ids == tuple(str(number) for number in range(20))


def test_named_features_in_the_order_they_are_named(tmp_path: Path) -> None:
    found = read(table().assign(note="text"), tmp_path / "data.csv", feature_columns=["f2", "f0"])
    assert found.feature_names == ("f2", "f0")
    assert np.allclose(found.features, two_clouds(20)[0][:, [2, 0]])
    assert found.ignored == ()


def changed(column: str, *values: Any) -> Change:
    """The table with the first cells of a column replaced."""

    def change(frame: pd.DataFrame) -> pd.DataFrame:
        cells = list(values) + frame[column].tolist()[len(values) :]
        return frame.assign(**{column: cells})

    return change


BAD_DATA: dict[str, tuple[Change, dict[str, Any], str]] = {
    "no label column": (lambda f: f.drop(columns="label"), {}, r"no column 'label'; it has 'row_id', 'f0'"),
    "no id column": (lambda f: f.drop(columns="row_id"), {}, "no column 'row_id'"),
    "no feature column": (lambda f: f, {"feature_columns": ["f0", "f9"]}, "no column 'f9'"),
    "labels missing": (changed("label", None, None), {}, "2 of 20 labels in column 'label' are missing"),
    "labels infinite": (changed("label", float("inf")), {}, "1 of 20 labels in column 'label' are missing"),
    "labels blank": (lambda f: changed("label", "", "  ", "b")(f.assign(label="a")), {}, "2 of 20 labels"),
    "one class": (lambda f: f.assign(label=1), {}, "has 1 classes in 20 rows"),
    "all labels missing": (lambda f: f.assign(label=None), {}, "20 of 20 labels"),
    "ids missing": (changed("row_id", None), {}, "1 of 20 ids in column 'row_id' are missing"),
    "ids twice": (changed("row_id", "same", "same"), {}, "2 of 20 rows share their id in column 'row_id'"),
    "feature missing": (changed("f1", None), {}, r"in 'f1 \(1 rows\)'"),
    "feature infinite": (changed("f1", float("inf"), -float("inf")), {}, r"in 'f1 \(2 rows\)'"),
    "feature too large": (changed("f2", 1e39), {}, r"in 'f2 \(1 rows\)'"),
    "two bad features": (lambda f: changed("f0", None)(changed("f2", None)(f)), {}, r"in 'f0 .*', 'f2 .*'"),
    "feature is text": (lambda f: f.assign(f0="x"), {"feature_columns": ["f0", "f1"]}, "numbers, 'f0' are not"),
    "no numeric column": (lambda f: f[["row_id", "label"]].assign(note="x"), {}, "no numeric column beside"),
}


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.parametrize("case", BAD_DATA)
def test_data_that_cannot_be_judged(tmp_path: Path, case: str, suffix: str) -> None:
    change, arguments, message = BAD_DATA[case]
    with pytest.raises(DataError, match=message) as caught:
        read(change(table()), tmp_path / f"data{suffix}", **arguments)
    assert caught.value.advice


def test_a_message_names_no_ids_and_stays_short(tmp_path: Path) -> None:
    wide = frame_of(np.full((20, 40), np.nan), [0, 1] * 10).assign(row_id="patient 4711")
    with pytest.raises(DataError) as caught:
        read(wide.assign(row_id=[f"patient {n // 2}" for n in range(20)], f0=1.0), tmp_path / "data.csv")
    assert "patient" not in str(caught.value)
    with pytest.raises(DataError, match="and 30 more") as caught:
        read(wide, tmp_path / "data.parquet", id_column=None)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("column", ["label", "row_id"])
def test_numbers_that_a_float_cannot_tell_apart_are_refused(tmp_path: Path, column: str) -> None:
    large = changed(column, *[float(2**60 + 4096 * (n if column == "row_id" else n % 2)) for n in range(20)])
    with pytest.raises(DataError, match=f"column '{column}' holds numbers beyond"):
        read(large(table()), tmp_path / "data.parquet")


@pytest.mark.parametrize("column", ["label", "row_id"])
def test_lists_are_no_labels_and_no_ids(tmp_path: Path, column: str) -> None:
    with pytest.raises(DataError, match=f"column '{column}' holds lists"):
        read(changed(column, *[[1, 2]] * 20)(table()), tmp_path / "data.parquet")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"id_column": "label"}, "named as label and as id"),
        ({"feature_columns": []}, "is empty"),
        ({"feature_columns": "f0"}, "expected a list"),
        ({"feature_columns": ["f0", "f1", "f0"]}, "'f0' more than once"),
        ({"feature_columns": ["f0", "label"]}, "'label', which is the label"),
        ({"feature_columns": ["row_id", "f0"]}, "'row_id', which is the label or the id"),
    ],
)
def test_columns_that_contradict_each_other(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        read(table(), tmp_path / "data.csv", **arguments)
    assert caught.value.advice
