"""Validation fails closed: whatever wasn't checked counts as NO, and no report holds a cell's value."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import great_expectations as gx
import great_expectations.expectations as gxe
import pandas as pd
import pytest
from great_expectations.expectations.metadata_types import FailureSeverity
from great_expectations.expectations.row_conditions import Column
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.controls import validation
from airflow_mlsecops.core.controls.gx_pandas import run_suite
from airflow_mlsecops.core.controls.made_suite import made_by
from airflow_mlsecops.core.controls.validation import load_suite, validate_data
from airflow_mlsecops.core.errors import DataError, SuiteError
from airflow_mlsecops.core.findings import Severity
from airflow_mlsecops.core.pinning.pin import pin
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.expectations.suites import resolve_suite
from tests.support.labelled import write

NOT_NULL = "expect_column_values_to_not_be_null"
BETWEEN = "expect_column_values_to_be_between"
CANARY = "secret-4711"


def suite(*expectations: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": "s", "expectations": [dict(item) for item in expectations]}


def expect(kind: str, severity: str | None = None, /, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": kwargs} | ({"severity": severity} if severity else {})


def judge(frame: pd.DataFrame, judged_by: Any, folder: Path) -> Report:
    path = write(frame, folder / "t.parquet")
    return validate_data(pin(str(path)).artifact, path, suite=judged_by)


@pytest.fixture(scope="module")
def digits() -> pd.DataFrame:
    frame: pd.DataFrame = load_digits(as_frame=True).frame.rename(columns={"target": "label"})
    frame.insert(0, "row_id", range(len(frame)))
    frame["source"] = "s1"
    return frame


# --- real data ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["digits.csv", "digits.csv.gz", "digits.parquet"])
def test_real_digits_pass_the_shipped_suite(digits: pd.DataFrame, tmp_path: Path, name: str) -> None:
    path = write(digits, tmp_path / name)
    artifact = pin(str(path)).artifact
    report = validate_data(artifact, path, suite=resolve_suite("digits"))
    assert report
    assert report.verdict is Verdict.PASS
    assert (report.subject, report.control, report.findings) == (artifact, "data-validation", ())
    assert list(report.blobs) == ["report.html"]
    total = len(resolve_suite("digits")["expectations"])
    assert report.metrics == {
        "rows": 1797,
        "columns": 67,
        "expectations": total,
        "expectations_evaluated": total,
        "expectations_successful": total,
        "expectations_failed": 0,
        "expectations_that_saw_nothing": 0,
        "expectations_not_evaluated": 0,
        "expectations_evaluated_by_gx": report.metrics["expectations_evaluated_by_gx"],
    }
    assert report.parameters["suite_sha256"] == load_suite(resolve_suite("digits")).digest
    assert report.tools["great-expectations"] == gx.__version__
    assert "1797 rows" in report.summary
    canonical_json(report.to_dict())  # what the operator stores


Change = Callable[[pd.DataFrame], pd.DataFrame]
BAD_DIGITS: dict[str, tuple[Change, str, str]] = {
    "label-nan": (lambda f: f.assign(label=f["label"].where(f["row_id"] != 7)), NOT_NULL, "label"),
    "labels-as-text": (
        lambda f: f.assign(label=f["label"].astype(str)),
        "expect_column_values_to_be_in_type_list",
        "label",
    ),
    "label-10": (
        lambda f: f.assign(label=f["label"].mask(f["row_id"] == 7, 10)),
        "expect_column_values_to_be_in_set",
        "label",
    ),
    "one-class": (lambda f: f.assign(label=1), "expect_column_distinct_values_to_contain_set", "label"),
    "pixel-out-of-range": (
        lambda f: f.assign(pixel_3_4=f["pixel_3_4"].mask(f["row_id"] == 7, 17)),
        BETWEEN,
        "pixel_3_4",
    ),
    "pixel-negative": (
        lambda f: f.assign(pixel_3_4=f["pixel_3_4"].mask(f["row_id"] == 7, -1)),
        BETWEEN,
        "pixel_3_4",
    ),
    "row-twice": (lambda f: pd.concat([f, f.iloc[[7]]]), "expect_column_values_to_be_unique", "row_id"),
    "column-gone": (lambda f: f.drop(columns="pixel_3_4"), NOT_NULL, "pixel_3_4"),
    "column-more": (lambda f: f.assign(trigger=1), "expect_table_columns_to_match_set", ""),
    "too-few-rows": (lambda f: f.head(50), "expect_table_row_count_to_be_between", ""),
}


@pytest.mark.parametrize(("change", "kind", "where"), BAD_DIGITS.values(), ids=BAD_DIGITS.keys())
def test_bad_digits_fail(digits: pd.DataFrame, tmp_path: Path, change: Change, kind: str, where: str) -> None:
    report = judge(change(digits), resolve_suite("digits"), tmp_path)
    assert not report
    assert (f"data-validation/{kind}", where) in {(finding.rule, finding.where) for finding in report.findings}
    assert "don't hold" in report.summary
    canonical_json(report.to_dict())


def test_a_finding_tells_counts_and_the_blob_which_rows(digits: pd.DataFrame, tmp_path: Path) -> None:
    frame = digits.assign(pixel_0_3=digits["pixel_0_3"].mask(digits["row_id"].isin([5, 90]), 99))
    report = judge(frame, resolve_suite("digits"), tmp_path)
    (finding,) = report.findings
    assert finding.message == '2 of 1797 (0.11 %) are not as expected; expected {"max_value":16,"min_value":0}'
    assert finding.techniques == ("AML.T0020", "ML02:2023")
    blob = json.loads(report.blobs["unexpected_rows.json"])
    (listed,) = blob["expectations"]
    assert (listed["columns"], listed["total"], listed["rows"]) == (["pixel_0_3"], 2, [5, 90])
    assert "0-based" in blob["numbering"]


# --- ways in which GX fails open ----------------------------------------------------------------------------------

HOLES = pd.DataFrame(
    {
        "row_id": [1, 2, 3, 4],
        "nothing": [None] * 4,
        "nans": [float("nan")] * 4,
        "x": [1.0, 2.0, None, 4.0],
        "text": ["a", "b", None, CANARY],
    }
)
NO_ROW = {"type": "comparison", "column": {"name": "row_id"}, "operator": ">", "parameter": 99}
SAW_NOTHING = {
    "between": expect(BETWEEN, column="nans", max_value=1),
    "in-set": expect("expect_column_values_to_be_in_set", column="nothing", value_set=[1]),
    "regex": expect("expect_column_values_to_match_regex", column="nothing", regex="^a"),
    "unique": expect("expect_column_values_to_be_unique", column="nothing"),
    "type": expect("expect_column_values_to_be_of_type", column="nothing", type_="int"),
    "distinct": expect("expect_column_distinct_values_to_be_in_set", column="nans", value_set=[1]),
    "unique-count": expect("expect_column_unique_value_count_to_be_between", column="nans", max_value=5),
    "sum": expect("expect_column_sum_to_be_between", column="nans", min_value=0, max_value=1),
    "proportion": expect("expect_column_proportion_of_unique_values_to_be_between", column="nans", max_value=1),
    "pair": expect("expect_column_pair_values_to_be_equal", column_A="nothing", column_B="nans"),
    "compound": expect("expect_compound_columns_to_be_unique", column_list=["nothing", "nans"]),
    "condition-map": expect(BETWEEN, column="x", max_value=1, row_condition=NO_ROW),
    "condition-null": expect(NOT_NULL, column="x", row_condition=NO_ROW),
    "condition-sum": expect("expect_column_sum_to_be_between", column="x", max_value=1, row_condition=NO_ROW),
    "condition-proportion": expect(
        "expect_column_proportion_of_non_null_values_to_be_between", column="x", max_value=1, row_condition=NO_ROW
    ),
}


@pytest.mark.parametrize("item", SAW_NOTHING.values(), ids=SAW_NOTHING.keys())
def test_what_saw_nothing_did_not_pass(tmp_path: Path, item: dict[str, Any]) -> None:
    report = judge(HOLES, suite(item), tmp_path)
    assert report.verdict is Verdict.FAIL
    (finding,) = report.findings
    assert finding.rule == f"data-validation/{item['type']}"
    assert "saw no value" in finding.message
    assert report.metrics["expectations_that_saw_nothing"] == 1
    assert report.metrics["expectations_successful"] == 0


@pytest.mark.parametrize(
    "item",
    [
        expect("expect_column_values_to_be_null", column="nothing"),
        expect("expect_column_proportion_of_non_null_values_to_be_between", column="nans", max_value=0.1),
        expect("expect_table_row_count_to_equal", value=0, row_condition=NO_ROW),
        expect("expect_column_values_to_be_in_set", column="text", value_set=["a", "b", CANARY]),
        expect("expect_column_quantile_values_to_be_between", column="x", quantile_ranges={
            "quantiles": [0.5], "value_ranges": [[1, 3]]}),
        expect(BETWEEN, column="x", max_value=2,
               row_condition={**NO_ROW, "operator": "<=", "parameter": 2}),
        expect(NOT_NULL, column="x", mostly=0.75),
    ],
    ids=lambda item: item["type"],
)  # fmt: skip
def test_what_held_passes(tmp_path: Path, item: dict[str, Any]) -> None:
    """Also where the result is numpy.bool, or nulls and no rows are what was asked for."""
    report = judge(HOLES, suite(item), tmp_path)
    assert report.verdict is Verdict.PASS, report.findings


TROUBLE = {
    "column": (expect(NOT_NULL, column="agee"), "no column 'agee'; it has 'row_id', 'nothing'"),
    "pair": (expect("expect_column_pair_values_to_be_equal", column_A="x", column_B="yy"), "no column 'yy'"),
    "list": (expect("expect_compound_columns_to_be_unique", column_list=["x", "zz"]), "no column 'zz'"),
    "condition": (
        expect(NOT_NULL, column="row_id", row_condition={**NO_ROW, "column": {"name": "index"}}),
        "no column 'index'",
    ),
    "numbers-of-text": (expect(BETWEEN, column="text", min_value=0), "could not be evaluated (TypeError)"),
    "mean-of-text": (expect("expect_column_mean_to_be_between", column="text", min_value=0), "could not be evaluated"),
    "sql-only": (
        expect("unexpected_rows_expectation", unexpected_rows_query="SELECT * FROM {batch}"),
        "could not be evaluated",
    ),
    "bad-regex": (expect("expect_column_values_to_match_regex", column="text", regex="("), "could not be evaluated"),
}


@pytest.mark.parametrize("severity", ["critical", "warning", "info"])
@pytest.mark.parametrize(("item", "reason"), TROUBLE.values(), ids=TROUBLE.keys())
def test_what_could_not_be_evaluated_fails_whatever_its_severity(
    tmp_path: Path, item: dict[str, Any], reason: str, severity: str
) -> None:
    good = expect("expect_column_values_to_be_unique", column="row_id")
    report = judge(HOLES, suite({**item, "severity": severity}, good), tmp_path)
    assert report.verdict is Verdict.FAIL
    (finding,) = report.findings
    assert reason in finding.message
    assert finding.severity is Severity.CRITICAL
    assert report.metrics["expectations_not_evaluated"] == 1
    assert report.metrics["expectations_successful"] == 1


def test_an_expectation_that_gx_returns_no_result_for_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Should a release of GX drop one on the way, as it does with unknown types."""
    monkeypatch.setattr("airflow_mlsecops.core.controls.gx_pandas._validate", lambda frame, expectations: {})
    (outcome,) = run_suite(HOLES, load_suite(suite(expect(NOT_NULL, column="row_id"))).document)
    assert not outcome
    assert "no result" in outcome.trouble


@pytest.mark.parametrize(
    ("severity", "verdict"),
    [(None, Verdict.FAIL), ("critical", Verdict.FAIL), ("warning", Verdict.WARN), ("info", Verdict.PASS)],
)
def test_the_worst_severity_decides(tmp_path: Path, severity: str | None, verdict: Verdict) -> None:
    report = judge(HOLES, suite(expect(NOT_NULL, severity, column="x"), expect(NOT_NULL, column="row_id")), tmp_path)
    assert report.verdict is verdict
    assert [finding.message for finding in report.findings] == ["1 of 4 (25.00 %) are not as expected"]


def test_the_worst_finding_comes_first(tmp_path: Path) -> None:
    items = [expect(NOT_NULL, severity, column=name) for severity, name in (("info", "x"), ("warning", "text"))]
    report = judge(HOLES, suite(*items, expect(NOT_NULL, column="nothing")), tmp_path)
    assert [finding.where for finding in report.findings] == ["nothing", "text", "x"]


@pytest.mark.parametrize(
    ("name", "data"), [("t.csv", b"x\n"), ("t.csv", b""), ("t.parquet", b"PAR1\x00\x00PAR1"), ("t.xlsx", b"x")]
)
def test_data_that_cannot_be_read_is_no_report(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(DataError) as caught:
        validate_data(pin(str(path)).artifact, path, suite=suite(expect(NOT_NULL, column="x")))
    assert caught.value.code == "data"
    assert name in caught.value.message


# --- strict suites ------------------------------------------------------------------------------------------------

COMPARISON = {"type": "comparison", "column": {"name": "x"}, "operator": ">", "parameter": 1}
BAD_SUITES: dict[str, tuple[Any, str]] = {
    "no-expectations": ({"name": "s", "expectations": []}, "'s' holds no expectations"),
    "expectations-missing": ({"name": "s"}, "'s' holds no expectations"),
    "empty-object": (gx.ExpectationSuite(name="s"), "'s' holds no expectations"),
    "no-name": ({"expectations": [expect(NOT_NULL, column="x")]}, "no name"),
    "not-a-suite": (7, "int"),
    "a-list": ([expect(NOT_NULL, column="x")], "list"),
    "unknown-key": (suite(expect(NOT_NULL, column="x")) | {"expectation": []}, "unknown expectation in the suite"),
    "gx-0-suite": ({"expectation_suite_name": "s", "expectations": []}, "GX 0.x"),
    "gx-0-item": (suite({"expectation_type": NOT_NULL, "kwargs": {"column": "x"}}), "expectation 0 has the form"),
    "suite-parameters": (suite(expect(NOT_NULL, column="x")) | {"suite_parameters": {"a": 1}}, "suite_parameters"),
    "item-is-text": ({"name": "s", "expectations": ["x"]}, "expectation 0 is str"),
    "no-kwargs": ({"name": "s", "expectations": [{"type": NOT_NULL}]}, f"expectation 0 ({NOT_NULL})"),
    "unknown-type": (
        suite(expect(NOT_NULL, column="x"), expect("expect_column_values_to_be_fine", column="x")),
        "expectation 1 (expect_column_values_to_be_fine of 'x'): Great Expectations knows no such type",
    ),
    "unknown-argument": (suite(expect(NOT_NULL, column="x", colour="red")), "'colour'"),
    "missing-argument": (suite(expect(NOT_NULL)), "'column'"),
    "wrong-argument": (suite(expect(NOT_NULL, column="x", mostly=2)), "'mostly'"),
    "unknown-item-key": (suite({**expect(NOT_NULL, column="x"), "mostly": 1}), "unknown mostly in expectation 0"),
    "unknown-severity": (suite(expect(NOT_NULL, "fatal", column="x")), "unknown severity 'fatal'"),
    "twice": (
        suite(expect(NOT_NULL, column="x"), expect(NOT_NULL, "info", column="x")),
        "expectation 1 (expect_column_values_to_not_be_null of 'x') repeats expectation 0",
    ),
    "not-a-number": (suite(expect(BETWEEN, column="x", max_value=float("nan"))), "isn't JSON"),
    "batch-id": (suite(expect(NOT_NULL, column="x", batch_id="b")), "'batch_id'"),
    "parameter": (suite(expect(BETWEEN, column="x", max_value={"$PARAMETER": "top"})), "$PARAMETER"),
    "mostly-0": (suite(expect(NOT_NULL, column="x", mostly=0)), "says nothing: mostly=0"),
    "no-bounds": (suite(expect("expect_table_row_count_to_be_between")), "neither min_value nor max_value"),
    "empty-set": (suite(expect("expect_column_values_to_not_be_in_set", column="x", value_set=[])), "'value_set'"),
    "no-quantiles": (
        suite(
            expect(
                "expect_column_quantile_values_to_be_between",
                column="x",
                quantile_ranges={"quantiles": [], "value_ranges": []},
            )
        ),
        "argument 'value_ranges' is empty",
    ),
    "unbounded-quantile": (
        suite(
            expect(
                "expect_column_quantile_values_to_be_between",
                column="x",
                quantile_ranges={"quantiles": [0.5], "value_ranges": [[None, None]]},
            )
        ),
        "argument 'value_ranges' is empty, or has an empty range",
    ),
    "condition-pandas": (
        suite(expect(NOT_NULL, column="x", row_condition="x > 1", condition_parser="pandas")),
        "row_condition is code",
    ),
    "condition-text": (suite(expect(NOT_NULL, column="x", row_condition="x > 1")), "row_condition is code"),
    "condition-pass-through": (
        suite(expect(NOT_NULL, column="x", row_condition={"type": "pass_through", "pass_through_filter": "x > 1"})),
        "row_condition is code",
    ),
    "condition-pass-through-within": (
        suite(
            expect(
                NOT_NULL,
                column="x",
                row_condition={
                    "type": "and",
                    "conditions": [COMPARISON, {"type": "pass_through", "pass_through_filter": "x > 1"}],
                },
            )
        ),
        "row_condition is code",
    ),
    "condition-backtick": (
        suite(expect(NOT_NULL, column="x", row_condition={**COMPARISON, "column": {"name": "x` or `x"}})),
        "column name 'x` or `x'",
    ),
    "condition-unknown": (suite(expect(NOT_NULL, column="x", row_condition={"type": "magic"})), "expectation 0"),
}


@pytest.mark.parametrize(("value", "culprit"), BAD_SUITES.values(), ids=BAD_SUITES.keys())
def test_a_suite_is_read_strictly(value: Any, culprit: str) -> None:
    with pytest.raises(SuiteError) as caught:
        load_suite(value)
    assert caught.value.code == "suite"
    assert culprit in caught.value.message


def test_the_suite_is_refused_before_the_data_are_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x\n1\n")
    with pytest.raises(SuiteError):
        validate_data(pin(str(path)).artifact, tmp_path / "gone.csv", suite=suite())


def test_a_row_condition_never_runs_code(tmp_path: Path) -> None:
    target = tmp_path / "owned"
    attack = f'@pd.io.common.os.mkdir("{target}") == 0'
    for condition in (
        {"row_condition": attack, "condition_parser": "pandas"},
        {"row_condition": attack},
        {"row_condition": {**COMPARISON, "column": {"name": attack}}},
        {"row_condition": {**COMPARISON, "column": {"name": f"x` == 1 and {attack} and `x"}}},
        {"row_condition": {**COMPARISON, "operator": "==", "parameter": f"' or {attack} or '"}},
    ):
        try:
            report = judge(HOLES, suite(expect(NOT_NULL, column="x", **condition)), tmp_path)
        except SuiteError:
            pass
        else:
            assert not report
        assert not target.exists(), condition


def test_equal_suites_have_equal_digests_however_they_come() -> None:
    """As a mapping, as an object, as what GX saves, and with arguments that only shape what is shown."""
    document = suite(
        expect(BETWEEN, column="x", min_value=0, row_condition=COMPARISON), expect(NOT_NULL, "warning", column="x")
    )
    made = gx.ExpectationSuite(
        name="s",
        expectations=[
            gxe.ExpectColumnValuesToBeBetween(
                column="x", min_value=0, row_condition=Column("x") > 1, result_format="BOOLEAN_ONLY"
            ),
            gxe.ExpectColumnValuesToNotBeNull(column="x", severity=FailureSeverity.WARNING),
        ],
    )  # fmt: skip
    saved = json.loads(json.dumps(made.to_json_dict()))
    loaded = load_suite(document)
    assert loaded.expectations == 2
    assert loaded.name == "s"
    assert {load_suite(value).digest for value in (document, made, saved, loaded.document)} == {loaded.digest}
    stricter = suite(
        expect(BETWEEN, column="x", min_value=1, row_condition=COMPARISON), expect(NOT_NULL, "warning", column="x")
    )
    assert load_suite(stricter).digest != loaded.digest
    document["expectations"].append(expect(NOT_NULL, column="y"))
    assert load_suite(document).digest != loaded.digest


def test_dates_in_an_object_still_compare(tmp_path: Path) -> None:
    frame = pd.DataFrame({"day": pd.to_datetime(["2024-01-01", "2024-06-01", "2025-01-01"])})
    made = gx.ExpectationSuite(
        name="s", expectations=[gxe.ExpectColumnValuesToBeBetween(column="day", max_value=datetime(2024, 12, 31))]
    )
    report = judge(frame, made, tmp_path)
    assert report.findings[0].message.startswith("1 of 3 (33.33 %)")


# --- invariants ---------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(values=st.lists(st.none() | st.integers(-3, 12), min_size=1, max_size=30))
def test_agrees_with_the_definition_row_by_row(
    tmp_path_factory: pytest.TempPathFactory, values: list[int | None]
) -> None:
    """A null always fails not-null, a number out of range always fails between, and the rows are exactly those."""
    frame = pd.DataFrame({"x": pd.Series(values, dtype="float64")})
    items = [expect(NOT_NULL, column="x"), expect(BETWEEN, column="x", min_value=0, max_value=9)]
    report = judge(frame, suite(*items), tmp_path_factory.mktemp("t"))
    nulls = [row for row, value in enumerate(values) if value is None]
    out = [row for row, value in enumerate(values) if value is not None and not 0 <= value <= 9]
    assert bool(report) is (not nulls and not out)
    listed = json.loads(report.blobs.get("unexpected_rows.json", b'{"expectations": []}'))["expectations"]
    assert {item["index"]: item["rows"] for item in listed} == {
        index: rows for index, rows in enumerate((nulls, out)) if rows
    }
    if len(nulls) == len(values):
        assert report.metrics["expectations_that_saw_nothing"] == 1


def test_no_cell_value_leaves_the_control(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the report, its blobs or the log: not where an expectation fails, and not where it errs."""
    caplog.set_level(logging.DEBUG)
    kinds: list[Any] = [
        expect("expect_column_values_to_be_in_set", column="text", value_set=["a"]),
        expect("expect_column_distinct_values_to_be_in_set", column="text", value_set=["a"]),
        expect("expect_column_distinct_values_to_equal_set", column="text", value_set=["a"]),
        expect("expect_column_most_common_value_to_be_in_set", column="text", value_set=["zz"]),
        expect("expect_column_max_to_be_between", column="text", max_value="2020-01-01"),
        expect("expect_column_values_to_match_regex", column="text", regex="^[ab]$"),
        expect("expect_column_values_to_be_of_type", column="text", type_="int64"),
        expect("expect_column_values_to_be_dateutil_parseable", column="text"),
        expect("expect_column_values_to_be_json_parseable", column="text"),
        expect("expect_column_values_to_match_json_schema", column="text", json_schema={"type": "object"}),
        expect("expect_column_sum_to_be_between", column="text", max_value=1),
        expect("expect_column_stdev_to_be_between", column="text", max_value=1),
        expect("expect_column_pair_values_to_be_equal", column_A="text", column_B="row_id"),
        expect("expect_column_kl_divergence_to_be_less_than", column="text", threshold=0.1, partition_object={
            "values": ["a", "b"], "weights": [0.5, 0.5]}),
    ]  # fmt: skip
    report = judge(HOLES, suite(*kinds), tmp_path)
    assert len(report.findings) == len(kinds)
    assert {"failed", "not-evaluated"} <= {result["outcome"] for result in report.details["results"]}
    told = canonical_json(report.to_dict()) + b"".join(report.blobs.values()) + caplog.text.encode()
    assert CANARY.encode() not in told


def test_row_lists_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "MAX_ROWS", 30)
    monkeypatch.setattr(validation, "MAX_ROWS_IN_ALL", 50)
    frame = pd.DataFrame({name: [None] * 100 for name in "ab"})
    report = judge(frame, suite(*(expect(NOT_NULL, column=name) for name in "ab")), tmp_path)
    listed = json.loads(report.blobs["unexpected_rows.json"])["expectations"]
    assert [(item["total"], item["rows"]) for item in listed] == [(100, list(range(30))), (100, list(range(20)))]


def test_parts_are_numbered_through(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,1\n2,2\n")
    (tmp_path / "b.csv").write_text("x,y\n,3\n4,4\n")
    report = validate_data(pin(str(tmp_path)).artifact, tmp_path, suite=suite(expect(NOT_NULL, column="x")))
    assert json.loads(report.blobs["unexpected_rows.json"])["expectations"][0]["rows"] == [2]


def test_a_column_name_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    name = "x\x1b[2J"
    report = judge(pd.DataFrame({name: [None]}), suite(expect(NOT_NULL, column=name)), tmp_path)
    assert "\x1b" not in report.summary + "".join(f.where + f.message for f in report.findings)


OFFLINE = """
import json, socket, sys
def refuse(*args, **kwargs):
    raise AssertionError("a socket was opened")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from pathlib import Path
from airflow_mlsecops.core.controls.validation import validate_data
from airflow_mlsecops.core.pinning.pin import pin
path = Path(sys.argv[1])
suite = {"name": "s", "expectations": [
    {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": name}} for name in ("row_id", "x")]}
report = validate_data(pin(str(path)).artifact, path, suite=suite)
assert not any(name == "airflow" or name.startswith("airflow.") for name in sys.modules)
print(json.dumps([report.verdict, report.findings[0].where]))
"""


def test_runs_in_parallel_processes_offline_and_leaves_no_file(tmp_path: Path) -> None:
    path = write(HOLES, tmp_path / "t.parquet")
    home, cwd = tmp_path / "home", tmp_path / "cwd"
    home.mkdir()
    cwd.mkdir()
    environment = {**os.environ, "HOME": str(home), "PYTHONPATH": str(Path(__file__).parents[2])}
    # With these GX would talk to its cloud, did the control not ask for an ephemeral context.
    environment |= {"GX_CLOUD_ACCESS_TOKEN": "t", "GX_CLOUD_ORGANIZATION_ID": "o", "GX_CLOUD_BASE_URL": "http://x"}
    running = [
        subprocess.Popen(
            [sys.executable, "-B", "-c", OFFLINE, str(path)],
            cwd=cwd,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in running:
        out, err = process.communicate()
        assert out.splitlines()[-1:] == ['["fail", "x"]'], err
    assert list(home.iterdir()) == list(cwd.iterdir()) == []


def test_a_suite_as_great_expectations_own_provider_has_it_made() -> None:
    """It hands a context over, and takes a suite or a single expectation."""

    def a_suite(context: Any) -> Any:
        added = context.suites.add(gx.ExpectationSuite(name="kept"))
        added.add_expectation(gxe.ExpectColumnValuesToNotBeNull(column="x"))
        return added

    def an_expectation(context: Any) -> Any:
        assert context.suites.all() == []
        return gxe.ExpectColumnValuesToNotBeNull(column="x")

    plain = suite(expect(NOT_NULL, column="x"))
    by_suite, by_one = (load_suite(made_by(make)) for make in (a_suite, an_expectation))
    assert (by_suite.name, by_one.name) == ("kept", "an_expectation")
    assert by_suite.document["expectations"] == by_one.document["expectations"]
    assert by_one.document["expectations"] == load_suite(plain).document["expectations"]
    assert made_by(lambda: plain) is plain
    assert made_by(lambda given=plain: given) is plain
    with pytest.raises(SuiteError):
        load_suite(made_by(lambda context: None))
