"""A partitioned folder is the table that has its folders' values as columns, by every engine; or it is refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.controls.partitions import partition_columns
from airflow_mlsecops.core.controls.parts import part_files
from airflow_mlsecops.core.controls.tables import read_arrow_table, read_table
from airflow_mlsecops.core.controls.validation import validate_data
from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.profile.compute import profile_table
from airflow_mlsecops.core.validation.quarantine import Quarantine

NOT = "expect_column_values_to_not_be"
SUITE = {
    "name": "s",
    "expectations": [
        {"type": f"{NOT}_null", "kwargs": {"column": "country"}},
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "country", "value_set": ["AT"]}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "day", "min_value": 2}},
        {"type": "expect_column_max_to_be_between", "kwargs": {"column": "day", "max_value": 10}},
        {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["day", "id"]}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "id", "max_value": 6}},
        {"type": "expect_table_columns_to_match_ordered_list", "kwargs": {"column_list": ["id", "country", "day"]}},
        {"type": "expect_column_median_to_be_between", "kwargs": {"column": "day", "min_value": 2, "max_value": 2}},
    ],
}
FOLDERS = [
    "country=AT/day=02",
    "country=AT/day=10",
    "country=__HIVE_DEFAULT_PARTITION__/day=02",
    "country=a%2Fb=%C3%BC/day=1",
]
COUNTRIES = ["AT", "AT", "AT", "AT", None, None, "a/b=ü", "a/b=ü"]
DAYS = [2, 2, 10, 10, 2, 2, 1, 1]
TABLE = pa.table({"id": range(8), "country": COUNTRIES, "day": DAYS})


@pytest.fixture(params=["parquet", "csv"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Eight rows in four partitions, below a folder whose own name looks like one."""
    root = tmp_path / "lake=1" / "orders"
    for number, name in enumerate(sorted(FOLDERS)):
        (root / name).mkdir(parents=True)
        part = TABLE.select(["id"]).slice(2 * number, 2)
        if request.param == "csv":
            part.to_pandas().to_csv(root / name / "part.csv", index=False)
        else:
            pq.write_table(part, root / name / "part.parquet")
    (root / "_SUCCESS").touch()
    return root


def flat(folder: Path) -> Path:
    pq.write_table(TABLE, folder / "flat.parquet")
    return folder / "flat.parquet"


def test_folders_are_columns_behind_the_files_own(folder: Path) -> None:
    assert read_arrow_table(folder) == TABLE
    assert read_arrow_table(folder, columns=["day", "id"]) == TABLE.select(["day", "id"])
    assert read_arrow_table(folder, columns=["country"]) == TABLE.select(["country"])
    with pytest.raises(DataError, match="no column 'gone'"):
        read_table(folder, columns=["day", "gone"])


@pytest.mark.parametrize("folder", ["parquet"], indirect=True)
def test_other_readers_see_the_same_rows(folder: Path) -> None:
    """Arrow's own reading of the names; it makes smaller whole numbers of them, and a dictionary of text."""
    theirs = pq.read_table(folder, partitioning="hive").cast(TABLE.schema)
    assert theirs.sort_by("id") == TABLE


@pytest.mark.parametrize("engine", ["fused", "gx"])
def test_it_is_judged_as_the_flat_table_is(tmp_path: Path, folder: Path, engine: str) -> None:
    def judged(path: Path, place: Path) -> tuple[Any, ...]:
        place.mkdir()

        def keep(file: Path, what: str) -> Artifact:
            return pin(str(shutil.copy(file, place / f"{what}{file.suffix}"))).artifact

        kept = Quarantine(keep, remainder=True)
        artifact = pin(str(path)).artifact
        report = validate_data(artifact, path, suite=SUITE, engine=engine, quarantine=kept, show_values=True)
        results = [{**each, "gx": None} for each in report.details["results"]]
        parted = [pq.read_table(place / f"{what}.parquet") for what in ("quarantine", "remainder")]
        page = report.blobs["report.html"].decode()
        return results, report.blobs["unexpected_rows.json"], report.metrics, parted, page.count("a/b=ü")

    partitioned = judged(folder, tmp_path / "p")
    assert partitioned == judged(flat(tmp_path), tmp_path / "f")
    assert [each["unexpected"] for each in partitioned[0][:3]] == [2, 2, 2]
    assert partitioned[4] == 2
    assert partitioned[3][0]["__row"].to_pylist() == [4, 5, 6, 7]


@pytest.mark.parametrize("odd", ["[a].parquet", "a?.parquet", "*.parquet"])
def test_a_name_that_is_a_pattern_is_read_as_a_name(tmp_path: Path, odd: str) -> None:
    """DuckDB would read ``a.parquet`` in place of ``[a].parquet``, and never the rows that are bad."""
    pq.write_table(pa.table({"id": [1, 2]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"id": [666, 667]}), tmp_path / odd)
    suite = {"name": "s", "expectations": [SUITE["expectations"][5]]}
    report = validate_data(pin(str(tmp_path)).artifact, tmp_path, suite=suite, engine="auto")
    assert report.verdict.value == "fail"
    assert report.details["results"][0]["unexpected"] == 2


def test_a_profile_knows_the_folders_columns(tmp_path: Path, folder: Path) -> None:
    assert profile_table(folder, label="country") == profile_table(flat(tmp_path), label="country")


@pytest.mark.parametrize(
    ("values", "whole", "expected"),
    [
        (["1", "-2", "0"], True, {1, -2, 0}),
        (["01", "12"], True, {1, 12}),
        (["1", "x"], False, {"1", "x"}),
        (["1", "1.0"], False, {"1", "1.0"}),
        (["1", "٣"], False, {"1", "٣"}),
        (["9" * 19, "1"], False, {"9" * 19, "1"}),
        (["2024-01-01"], False, {"2024-01-01"}),
        (["__HIVE_DEFAULT_PARTITION__"], False, {None}),
        (["a+b", "%25"], False, {"a+b", "%"}),
    ],
)
def test_types_are_whole_numbers_or_text(tmp_path: Path, values: list[str], whole: bool, expected: set[Any]) -> None:
    for value in values:
        write(tmp_path, f"k={value}/a.csv")
    (column,) = partition_columns(tmp_path, part_files(tmp_path))
    assert (column.name, column.whole, set(column.values)) == ("k", whole, expected)


def write(root: Path, *names: str, text: str = "x\n1\n") -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


BAD: dict[str, tuple[Callable[[Path], None], str]] = {
    "a-part-outside": (lambda root: write(root, "k=1/a.csv", "a.csv"), "folders of different columns"),
    "other-columns": (lambda root: write(root, "k=1/a.csv", "j=1/a.csv"), "folders of different columns"),
    "other-order": (lambda root: write(root, "k=1/j=1/a.csv", "j=1/k=1/a.csv"), "folders of different columns"),
    "deeper": (lambda root: write(root, "k=1/a.csv", "k=2/j=1/a.csv"), "folders of different columns"),
    "a-column-twice": (lambda root: write(root, "k=1/K=2/a.csv"), "names a column twice"),
    "two-spellings": (lambda root: write(root, "k=a/a.csv", "k=%61/a.csv"), "stand for one partition"),
    "two-numbers": (lambda root: write(root, "k=1/a.csv", "k=01/a.csv"), "stand for one partition"),
    "not-utf-8": (lambda root: write(root, "k=%FF/a.csv"), "not UTF-8"),
    "nul": (lambda root: write(root, "k=%00/a.csv"), "holds a NUL"),
    "no-value": (lambda root: write(root, "k=/a.csv"), "'k=', that isn't named column=value"),
    "no-partition": (lambda root: write(root, "k=1/more/a.csv"), "'more', that isn't named column=value"),
    "hidden": (lambda root: write(root, "k=1/a.csv", ".k=2/a.csv"), "'.k=2', that isn't named column=value"),
    "in-the-file-too": (lambda root: write(root, "X=1/a.csv"), "'X' stands in a.csv and in its folder's name"),
}


@pytest.mark.parametrize(("make", "culprit"), BAD.values(), ids=BAD.keys())
def test_what_two_readers_could_take_for_two_things_is_refused(
    tmp_path: Path, make: Callable[[Path], None], culprit: str
) -> None:
    make(tmp_path)
    with pytest.raises(DataError) as caught:
        read_table(tmp_path)
    assert culprit in caught.value.message
    assert caught.value.advice


def test_a_column_in_file_and_folder_is_refused_by_the_fused_engine_too(tmp_path: Path) -> None:
    (tmp_path / "t" / "ID=1").mkdir(parents=True)
    pq.write_table(pa.table({"id": [1]}), tmp_path / "t" / "ID=1" / "a.parquet")
    suite = {"name": "s", "expectations": [{"type": f"{NOT}_null", "kwargs": {"column": "id"}}]}
    artifact = pin(str(tmp_path / "t")).artifact
    with pytest.raises(DataError, match="'ID' stands in a"):
        validate_data(artifact, tmp_path / "t", suite=suite, engine="fused")
