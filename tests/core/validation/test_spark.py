"""GX on Spark says what its pandas engine says, refuses what Spark would mend, and leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.controls.suite import load_suite
from airflow_mlsecops.core.controls.validation import validate_data
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import ConfigurationError, DataError
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.validation.engines import evaluate
from airflow_mlsecops.core.validation.gx_spark import SparkSettings, evaluate_on_spark
from airflow_mlsecops.expectations.suites import resolve_suite
from tests.core.validation.shared_suite import COLUMNS, DIVERGENCES, EXPECTATIONS, ROWS, differences

pytestmark = pytest.mark.filterwarnings("ignore")  # pandas and Spark talk about the column of nulls

SETTINGS = SparkSettings(
    "local[2]",
    config={
        "spark.sql.shuffle.partitions": "2",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        "spark.sql.adaptive.enabled": "false",  # for tables this small, planning is all the time
        "spark.sql.codegen.wholeStage": "false",
    },
)
# The first of some types: each costs Spark some jobs.
TYPES = {
    "expect_column_values_to_not_be_null",
    "expect_column_values_to_be_unique",
    "expect_column_values_to_be_between",
    "expect_column_values_to_be_in_set",
    "expect_column_values_to_match_regex",
    "expect_column_value_lengths_to_be_between",
    "expect_column_max_to_be_between",
    "expect_column_mean_to_be_between",
    "expect_column_unique_value_count_to_be_between",
    "expect_column_distinct_values_to_be_in_set",
    "expect_column_pair_values_a_to_be_greater_than_b",
    "expect_compound_columns_to_be_unique",
    "expect_table_row_count_to_equal",
    "expect_table_columns_to_match_set",
}
FIRST = {item["type"]: item for item in reversed(EXPECTATIONS) if item["type"] in TYPES}
VOID = next(item for item in EXPECTATIONS if item["kwargs"].get("column") == "void" and "max" in item["type"])
FEWER = {"name": "fewer", "expectations": [*FIRST.values(), VOID, EXPECTATIONS[-1], EXPECTATIONS[-2]]}
ID = {"name": "s", "expectations": [{"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}}]}


@pytest.fixture(autouse=True)
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        pytest.skip("no Java for Spark: scripts/system-packages installs it (apt-get install default-jre-headless)")
    monkeypatch.chdir(tmp_path)  # Spark makes a warehouse where it is started
    yield


def parts(folder: Path, *tables: Any) -> Path:
    folder.mkdir()
    for number, table in enumerate(tables):
        pq.write_table(table, folder / f"part-{number}.parquet")
    return folder


def judge(path: Path, suite: dict[str, Any], **kwargs: Any) -> Any:
    document = load_suite(suite).document
    return evaluate_on_spark(path, document, settings=SETTINGS, why="asked for", **kwargs)


def test_verdicts_and_counts_are_those_of_pandas(tmp_path: Path) -> None:
    types = {"integer": pa.int64(), "double precision": pa.float64(), "text": pa.string()}
    schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    table = pa.Table.from_arrays([pa.array(column) for column in zip(*ROWS, strict=True)], names=list(COLUMNS)).cast(
        schema
    )
    path = parts(tmp_path / "t", table.slice(0, 20), table.slice(20))
    interrupt = signal.getsignal(signal.SIGINT)
    found = judge(path, FEWER)
    assert signal.getsignal(signal.SIGINT) is interrupt
    document = load_suite(FEWER).document
    by_pandas = evaluate(path, document, engine="gx")
    assert differences(found.outcomes, by_pandas.outcomes) == DIVERGENCES
    assert 4 < sum(map(bool, found.outcomes)) < len(found.outcomes) - 4
    assert (found.engine, found.rows, found.columns) == ("gx-spark", len(ROWS), tuple(COLUMNS))
    from pyspark.sql import SparkSession

    assert SparkSession.getActiveSession() is None


def test_the_report_is_made_by_the_same_rules(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pq.write_table(pa.table({"id": [1, 1, None]}), path)
    data = path.read_bytes()
    artifact = Artifact("t", path.as_uri(), Kind.DATASET, Form.FILE, sha256_bytes(data), len(data), 1)
    report = validate_data(artifact, path, suite=ID, engine="spark", spark=SETTINGS)
    assert report.verdict is Verdict.FAIL
    assert report.parameters["engine"] == "gx-spark"
    assert "pyspark" in report.tools
    assert [finding.message for finding in report.findings] == ["2 of 2 (100.00 %) are not as expected"]


def test_selectors_and_checks_of_cells_run_there_too(tmp_path: Path) -> None:
    table = pa.table({"n": [1, 2, 3], "t": ["=1", "fine", None], "u": ["a", "b", "<script>"], "x": [b"=1", b"", None]})
    path = parts(tmp_path / "t", table.slice(0, 1), table.slice(1))
    document = load_suite(resolve_suite("tabular_security")).document
    found = evaluate_on_spark(path, document, settings=SETTINGS, why="asked for")
    by_pandas = evaluate(path, document, engine="gx")
    assert (found.items, found.selected) == (by_pandas.items, by_pandas.selected)
    told = [(each.type, each.columns, bool(each), each.saw, each.unexpected, each.trouble) for each in found.outcomes]
    assert told == [
        (each.type, each.columns, bool(each), each.saw, each.unexpected, each.trouble) for each in by_pandas.outcomes
    ]
    accused = {(each.type.rpartition("contain_")[2], *each.columns) for each in found.outcomes if each.unexpected}
    assert accused == {("formula_injection", "t"), ("script_or_control_characters", "u")}
    assert sum("can hold text" in each.trouble for each in found.outcomes) == 5


@pytest.mark.parametrize(
    ("tables", "why"),
    [
        ((pa.table({"id": [1]}), pa.table({"other": [1]})), "different columns"),
        ((pa.table({"id": [1]}), pa.table({"id": ["a"]})), "different columns"),
        ((pa.table({"id": [1], "ID": [1]}),), "upper and lower case"),
        ((pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["id", "id"]),), "twice"),
    ],
)
def test_what_spark_would_mend_is_refused_without_starting_it(tmp_path: Path, tables: Any, why: str) -> None:
    with pytest.raises(DataError, match=why):
        judge(parts(tmp_path / "t", *tables), ID)


def test_no_rows_damaged_pages_and_other_formats_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows"):
        judge(parts(tmp_path / "empty", pa.table({"id": pa.array([], pa.int64())})), ID)
    damaged = tmp_path / "t.parquet"
    pq.write_table(
        pa.table({"id": list(range(1000))}), damaged, compression="none", use_dictionary=False, write_page_checksum=True
    )
    data = bytearray(damaged.read_bytes())
    data[len(data) // 4] ^= 0xFF
    damaged.write_bytes(bytes(data))
    (outcome,) = judge(damaged, ID).outcomes
    assert outcome.trouble.startswith("it could not be evaluated")
    csv = tmp_path / "t.csv"
    csv.write_text("id\n1\n")
    with pytest.raises(DataError, match="Parquet alone"):
        judge(csv, ID)


def test_a_cluster_needs_a_folder_that_it_sees() -> None:
    with pytest.raises(ConfigurationError, match="scratch"):
        SparkSettings("spark://host:7077")
    with pytest.raises(ConfigurationError, match="master"):
        SparkSettings("")
    assert "hush" not in repr(SparkSettings("local", config={"spark.hadoop.fs.s3a.secret.key": "hush"}))


def test_a_session_of_somebody_elses_is_not_taken_over(tmp_path: Path) -> None:
    from pyspark.sql import SparkSession

    from airflow_mlsecops.core.validation.gx_spark import _session

    pq.write_table(pa.table({"id": [1]}), tmp_path / "t.parquet")
    with _session(SETTINGS):
        assert SparkSession.getActiveSession() is not None
        with pytest.raises(ConfigurationError, match="a Spark session is open"):
            judge(tmp_path / "t.parquet", ID)


@pytest.mark.parametrize(
    ("setting", "variable", "python"),
    [("", "", sys.executable), ("", "python-of-all", "python-of-all"), ("named", "python-of-all", "named")],
)
def test_cells_are_checked_in_the_tasks_python_or_in_the_one_that_is_named(
    setting: str, variable: str, python: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_mlsecops.core.validation.gx_spark import _session

    if variable:
        monkeypatch.setenv("PYSPARK_PYTHON", variable)
    else:
        monkeypatch.delenv("PYSPARK_PYTHON", raising=False)
    config = {**SETTINGS.config, **({"spark.pyspark.python": setting} if setting else {})}
    with _session(SparkSettings(SETTINGS.master, config=config)) as session:
        assert session.sparkContext.pythonExec == python
    assert os.environ.get("PYSPARK_PYTHON", "") == variable


def test_columns_that_folders_name_are_typed_as_everywhere(tmp_path: Path) -> None:
    for name, ids in (("k=02/w=a%2Fb", [1, 2]), ("k=10/w=c d{e}[f]*", [3]), ("k=__HIVE_DEFAULT_PARTITION__/w=c", [4])):
        (tmp_path / "t=1" / name).mkdir(parents=True)
        pq.write_table(pa.table({"id": ids}), tmp_path / "t=1" / name / "p.parquet")
    items = [
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "k", "min_value": 3}},
        {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "w", "value_set": ["a/b"]}},
    ]
    document = {"name": "s", "expectations": items}
    found, by_pandas = judge(tmp_path / "t=1", document), evaluate(tmp_path / "t=1", load_suite(document).document)
    assert [(each.saw, each.unexpected) for each in found.outcomes] == [(3, 2), (4, 2)]
    assert [(each.saw, each.unexpected) for each in by_pandas.outcomes] == [(3, 2), (4, 2)]
    assert found.columns == by_pandas.columns == ("id", "k", "w")
