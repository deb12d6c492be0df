"""Text without a language model: enough to see flipped labels, and the same for every version of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from airflow_mlsecops.core.errors import ConfigurationError, DataError
from airflow_mlsecops.core.poisoning.analysis import analyse
from airflow_mlsecops.core.poisoning.labelled_table import LabelledTable, read_labelled
from airflow_mlsecops.core.poisoning.roles import Roles
from airflow_mlsecops.core.poisoning.text_features import COLUMNS, text_features

SUBJECTS = {
    "sport": "goal match team league striker coach stadium referee penalty season cup fans",
    "money": "bank shares market profit rates loan investor stock budget tax debt bond",
    "science": "cell planet theory particle gene telescope energy species data laboratory proof wave",
}
COMMON = "the a of and in on said was new year people after more that with for"


def articles(rows: int) -> tuple[list[str], list[str]]:
    draw = np.random.default_rng(0)
    names = draw.choice(list(SUBJECTS), rows).tolist()
    texts = [" ".join([*draw.choice(SUBJECTS[name].split(), 6), *draw.choice(COMMON.split(), 18)]) for name in names]
    return texts, names


def read(tmp_path: Path, **columns: Any) -> LabelledTable:
    path = tmp_path / "rows.parquet"
    pd.DataFrame(columns).to_parquet(path)
    return read_labelled(path, label_column="label", roles=Roles(texts=["text"]))


def test_flipped_labels_of_texts_are_found(tmp_path: Path) -> None:
    texts, names = articles(300)
    bad = np.arange(300) % 20 == 0
    order = list(SUBJECTS)
    labels = [order[(order.index(n) + 1) % 3] if wrong else n for n, wrong in zip(names, bad, strict=True)]
    table = read(tmp_path, label=labels, text=texts)
    assert table.features.shape == (300, COLUMNS)
    flagged = analyse(table).suspects.flagged[np.argsort(table.numbers)]
    assert (flagged & bad).sum() >= 14
    assert (flagged & ~bad).sum() <= 8


def test_a_text_says_the_same_in_any_company() -> None:
    alone, among = text_features(["Shares fell."]), text_features(["goal", "Shares fell.", "", "  "])
    assert alone[0].tolist() == among[1].tolist()
    assert np.linalg.norm(among, axis=1).round(12).tolist() == [1, 1, 0, 0]


def test_texts_stand_beside_numbers(tmp_path: Path) -> None:
    table = read(tmp_path, label=["a", "b"], text=["x y", "z z"], number=[1.0, 2.0], other=["p", "q"])
    assert table.feature_names[:2] == ("number", "text#0")
    assert table.features.shape == (2, 1 + COLUMNS)
    assert table.ignored == ("other",)


@pytest.mark.parametrize("text", [["x", None], ["x", 3.5], [1, 2]])
def test_what_is_no_text_is_told(tmp_path: Path, text: list[Any]) -> None:
    path = tmp_path / "rows.csv"
    pd.DataFrame({"label": ["a", "b"], "text": text}).to_csv(path, index=False)
    if text == ["x", 3.5]:
        assert read_labelled(path, label_column="label", roles=Roles(texts=["text"])).features.shape == (2, COLUMNS)
        return  # a CSV file can't tell: it is text there
    with pytest.raises(DataError, match="text column 'text' are missing or no text"):
        read_labelled(path, label_column="label", roles=Roles(texts=["text"]))


def test_a_text_that_is_the_label(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pd.DataFrame({"label": ["a", "b"]}).to_parquet(path)
    with pytest.raises(ConfigurationError, match="column 'label' has two roles"):
        read_labelled(path, label_column="label", roles=Roles(texts=["label"]))
