"""Derived data sets: what is touched is touched by the rule, the rest keeps its bytes, and doubt stops it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.errors import ConfigurationError, DataError, StatementError
from airflow_mlsecops.core.poisoning.sanitize import sanitize, suspects_from

CSV = b'id,text,label\r\na,"one, two",x\r\nb,"three\nlines",y\r\nc,plain,x\r\nd,"say ""hi""",y\r\ne,1.10,x\r\nf,,y'


def suspect(row_id: str, old: str, new: str, **more: Any) -> dict[str, Any]:
    return {"row_id": row_id, "given": old, "suggested": new, "quality": 0.1, "detectors": ["d"], **more}


def made(path: Path, suspects: list[dict[str, Any]], **arguments: Any) -> Any:
    given = {"rule": "remove", "label_column": "label", "id_column": "id", "max_share": 0.9, **arguments}
    return sanitize(path, suspects, **given)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "rows.csv"
    path.write_bytes(CSV)
    return path


def test_removed_records_go_with_all_their_lines(table: Path) -> None:
    done = made(table, [suspect("b", "y", "x"), suspect("e", "x", "y")])
    assert done.data == CSV.replace(b'b,"three\nlines",y\r\n', b"").replace(b"e,1.10,x\r\n", b"")
    assert (done.touched, done.rows) == (2, 4)


def test_relabelled_records_keep_the_rest(table: Path) -> None:
    done = made(table, [suspect("d", "y", "x"), suspect("f", "y", "x")], rule="relabel")
    assert done.data == CSV.replace(b'"say ""hi""",y', b'"say ""hi""",x').replace(b"f,,y", b"f,,x")
    assert json.loads(done.account) == {
        "rule": "relabel",
        "rows_before": 6,
        "touched": 2,
        "rows": [
            {"row_id": "d", "given": "y", "new": "x", "quality": 0.1, "detectors": ["d"]},
            {"row_id": "f", "given": "y", "new": "x", "quality": 0.1, "detectors": ["d"]},
        ],
    }


def test_nobody_accused_changes_no_byte(table: Path) -> None:
    assert made(table, []).data == CSV


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(min_size=0, max_size=6).filter(lambda t: "\0" not in t), min_size=4, max_size=9), st.data())
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject) -> None:
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        return  # half of a surrogate pair is no text
    path = tmp_path_factory.mktemp("any") / "rows.csv"
    frame = pd.DataFrame({"id": [f"r{n}" for n in range(len(texts))], "text": texts, "label": "x"})
    frame.loc[[0, 1], "label"] = "y"
    frame.to_csv(path, index=False, quoting=csv.QUOTE_ALL)
    gone = data.draw(st.sampled_from(["r0", "r2"]))
    done = made(path, [suspect(gone, "y" if gone == "r0" else "x", "x")])
    expected = path.parent / "expected.csv"
    frame[frame["id"] != gone].to_csv(expected, index=False, quoting=csv.QUOTE_ALL)
    assert done.data == expected.read_bytes()


@pytest.mark.parametrize("rule", ["remove", "relabel"])
def test_parquet_keeps_its_types(tmp_path: Path, rule: str) -> None:
    path = tmp_path / "rows.parquet"
    frame = pd.DataFrame({"id": range(6), "x": [0.1] * 6, "label": pd.array([3, 8, 3, 8, 3, 8], dtype="int8")})
    frame.to_parquet(path, index=False)
    done = made(path, [suspect("2", "3", "8")], rule=rule)
    (tmp_path / "made.parquet").write_bytes(done.data)
    found = pd.read_parquet(tmp_path / "made.parquet")
    assert found["label"].dtype == "int8"
    assert found["label"].tolist() == ([3, 8, 8, 3, 8] if rule == "remove" else [3, 8, 8, 8, 3, 8])


def test_rows_by_number(table: Path) -> None:
    assert made(table, [suspect("1", "y", "x")], id_column=None).data == CSV.replace(b'b,"three\nlines",y\r\n', b"")


@pytest.mark.parametrize(
    ("suspects", "arguments", "error", "message"),
    [
        ([suspect("z", "x", "y")], {}, DataError, "a suspect row isn't there"),
        ([suspect("a", "y", "x")], {}, DataError, "has another label than the one that was judged"),
        ([suspect("a", "x", "y")] * 1 + [suspect("c", "x", "y")], {"max_share": 0.2}, DataError, "2 of 6 rows are acc"),
        ([suspect(k, "x", "y") for k in "ace"], {}, DataError, "1 classes would lose all their rows"),
        ([suspect("a", "x", "y")], {"rule": "burn"}, ConfigurationError, "rule is 'burn'"),
        ([suspect("a", "x", "y")], {"max_share": 1.0}, ConfigurationError, "max_share is 1.0"),
        ([suspect("a", "x", "y")], {"detectors": ["q"]}, ConfigurationError, r"no suspect is accused by \['q'\]"),
    ],
)
def test_doubt_stops_it(table: Path, suspects: Any, arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        made(table, suspects, **arguments)
    assert caught.value.advice


def test_only_some_detectors(table: Path) -> None:
    accused = [suspect("a", "x", "y", detectors=["p", "q"]), suspect("b", "y", "x")]
    assert made(table, accused, detectors=["q"]).touched == 1


def test_folders_are_told_apart(tmp_path: Path, table: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "part.csv").write_bytes(CSV)
    with pytest.raises(ConfigurationError, match="can't be rewritten"):
        made(folder, [suspect("a", "x", "y")])


@pytest.mark.parametrize("value", [{}, [{}], [1], [{**suspect("a", "x", "y"), "row_id": 1}], [{"row_id": "a"}]])
def test_lists_that_no_detection_wrote(value: Any) -> None:
    with pytest.raises(StatementError):
        suspects_from(canonical_json(value))
