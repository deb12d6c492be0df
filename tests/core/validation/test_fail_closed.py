"""No vacuous pass: whatever saw nothing is a NO in both engines; each relaxation has a name that the report repeats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from airflow_mlsecops.core.controls.validation import VerdictRules, validate_data
from airflow_mlsecops.core.errors import ConfigurationError, DataError, SuiteError
from airflow_mlsecops.core.pinning.pin import pin
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.core.validation.rules import RELAXATIONS
from tests.support.labelled import write

NOTHING = pd.DataFrame(
    {
        "id": [1, 2, 3],
        "n": pd.Series([None] * 3, dtype="float64"),
        "t": pd.Series([None] * 3, dtype="str"),
        "x": [1.0, None, None],
    }
)
NO_ROW = {"type": "comparison", "column": {"name": "id"}, "operator": ">", "parameter": 99}
SET = {"value_set": ["a"]}
NUMBERS = {"value_set": [1]}
QUANTILES = {"quantiles": [0.5], "value_ranges": [[0, 1]]}
VACUOUS: dict[str, dict[str, Any]] = {
    # What GX calls a success, or can't tell, over a column that holds nothing.
    "expect_column_values_to_be_unique": {"column": "t"},
    "expect_column_values_to_be_between": {"column": "n", "min_value": 0},
    "expect_column_values_to_be_in_set": {"column": "t", **SET},
    "expect_column_values_to_not_be_in_set": {"column": "t", **SET},
    "expect_column_values_to_match_regex": {"column": "t", "regex": "a"},
    "expect_column_values_to_not_match_regex": {"column": "t", "regex": "a"},
    "expect_column_values_to_match_regex_list": {"column": "t", "regex_list": ["a"]},
    "expect_column_values_to_not_match_regex_list": {"column": "t", "regex_list": ["a"]},
    "expect_column_value_lengths_to_be_between": {"column": "t", "min_value": 1},
    "expect_column_value_lengths_to_equal": {"column": "t", "value": 1},
    "expect_column_distinct_values_to_be_in_set": {"column": "t", **SET},
    "expect_column_distinct_values_to_contain_set": {"column": "t", **SET},
    "expect_column_distinct_values_to_equal_set": {"column": "n", **NUMBERS},
    "expect_column_most_common_value_to_be_in_set": {"column": "n", **NUMBERS},
    "expect_column_unique_value_count_to_be_between": {"column": "n", "max_value": 9},
    "expect_column_proportion_of_unique_values_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_min_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_max_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_mean_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_sum_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_median_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_stdev_to_be_between": {"column": "n", "max_value": 1},
    "expect_column_quantile_values_to_be_between": {"column": "n", "quantile_ranges": QUANTILES},
    "expect_column_values_to_be_of_type": {"column": "t", "type_": "int"},
    "expect_column_values_to_be_increasing": {"column": "n"},
    "expect_column_values_to_be_decreasing": {"column": "n"},
    "expect_column_values_to_be_json_parseable": {"column": "t"},
    "expect_column_values_to_be_dateutil_parseable": {"column": "t"},
    "expect_column_values_to_match_strftime_format": {"column": "t", "strftime_format": "%d"},
    "expect_column_values_to_match_json_schema": {"column": "t", "json_schema": {"type": "object"}},
    "expect_column_value_z_scores_to_be_less_than": {"column": "n", "threshold": 3, "double_sided": True},
    "expect_column_pair_values_to_be_equal": {"column_A": "n", "column_B": "t"},
    "expect_compound_columns_to_be_unique": {"column_list": ["n", "t"]},
}
GONE: dict[str, dict[str, Any]] = {
    "expect_column_values_to_not_be_null": {"column": "gone"},
    "expect_column_values_to_be_null": {"column": "gone"},
    "expect_column_values_to_be_unique": {"column": "gone"},
    "expect_column_sum_to_be_between": {"column": "gone", "max_value": 1},
    "expect_column_values_to_be_in_set": {"column": "gone", **SET},
}
NO_ROWS: dict[str, dict[str, Any]] = {
    "expect_column_values_to_not_be_null": {"column": "id"},
    "expect_column_values_to_be_between": {"column": "id", "min_value": 2},
    "expect_column_values_to_be_unique": {"column": "id"},
    "expect_column_max_to_be_between": {"column": "id", "max_value": 9},
}
CORPUS: list[tuple[str, str, dict[str, Any]]] = [
    *((f"all-null/{kind}", kind, kwargs) for kind, kwargs in VACUOUS.items()),
    *((f"gone/{kind}", kind, kwargs) for kind, kwargs in GONE.items()),
    *((f"no-row/{kind}", kind, {**kwargs, "row_condition": NO_ROW}) for kind, kwargs in NO_ROWS.items()),
]


def judge(frame: pd.DataFrame, folder: Path, *items: tuple[str, dict[str, Any]], **given: Any) -> Report:
    path = write(frame, folder / "t.parquet")
    suite = {"name": "s", "expectations": [{"type": kind, "kwargs": kwargs} for kind, kwargs in items]}
    return validate_data(pin(str(path)).artifact, path, suite=suite, **given)


def relaxed(*names: str) -> VerdictRules:
    return VerdictRules.of(relax=names)


def test_the_corpus_is_large() -> None:
    assert len(CORPUS) >= 40


@pytest.mark.parametrize("engine", ["auto", "gx"])
@pytest.mark.filterwarnings("ignore")
def test_nothing_passes_that_saw_nothing(tmp_path: Path, engine: str) -> None:
    """All at once, because each one is a finding of its own."""
    report = judge(NOTHING, tmp_path, *((kind, kwargs) for _, kind, kwargs in CORPUS), engine=engine)
    assert report.verdict is Verdict.FAIL
    passed = [
        name
        for (name, _, _), each in zip(CORPUS, report.details["results"], strict=True)
        if each["outcome"] == "passed"
    ]
    assert passed == []
    assert report.metrics["expectations_successful"] == 0
    assert len(report.findings) == len(CORPUS)


NOT_NULL = ("expect_column_values_to_not_be_null", {"column": "id"})
BETWEEN = ("expect_column_values_to_be_between", {"column": "n", "min_value": 0})
ON_NO_ROW = ("expect_column_values_to_be_between", {"column": "id", "min_value": 0, "row_condition": NO_ROW})
ERRS = ("expect_column_values_to_match_regex", {"column": "t2", "regex": "("})
LET_PASS: dict[str, tuple[pd.DataFrame, tuple[str, dict[str, Any]]]] = {
    "all-null": (NOTHING, BETWEEN),
    "empty-condition": (NOTHING, ON_NO_ROW),
    "empty-data": (NOTHING.head(0), NOT_NULL),
    "expectation-error": (NOTHING.assign(t2="a"), ERRS),
    "missing-column": (NOTHING, ("expect_column_values_to_not_be_null", {"column": "gone"})),
    "mostly-zero": (NOTHING, ("expect_column_values_to_not_be_null", {"column": "n", "mostly": 0})),
}


@pytest.mark.parametrize("name", RELAXATIONS)
def test_each_relaxation_lets_its_own_case_pass_and_is_told(tmp_path: Path, name: str) -> None:
    frame, item = LET_PASS[name]
    others = relaxed(*(RELAXATIONS.keys() - {name}))
    try:
        refused = bool(judge(frame, tmp_path, item, rules=others))
    except (DataError, SuiteError):
        refused = False
    assert not refused
    report = judge(frame, tmp_path, item, rules=relaxed(name))
    assert report.verdict is Verdict.PASS, report.findings
    assert report.parameters["rules"] == {"min_rows": 1, "min_nonnull": 1, "relaxed": [name]}
    assert name.encode() in report.blobs["report.html"]


@pytest.mark.parametrize("engine", ["fused", "gx"])
def test_too_few_rows_and_too_few_values_fail(tmp_path: Path, engine: str) -> None:
    few = judge(NOTHING, tmp_path, NOT_NULL, engine=engine, rules=VerdictRules(min_rows=4))
    assert not few
    assert few.findings[0].message == "the table has 3 rows, fewer than min_rows=4"
    item = ("expect_column_values_to_be_between", {"column": "x", "min_value": 0})
    assert judge(NOTHING, tmp_path, item, engine=engine, rules=VerdictRules(min_nonnull=1))
    report = judge(NOTHING, tmp_path, item, engine=engine, rules=VerdictRules(min_nonnull=2))
    assert not report
    assert report.findings[0].message == "it saw 1 values, fewer than min_nonnull=2"


@pytest.mark.parametrize(
    "given", [{"min_rows": 0}, {"min_nonnull": True}, {"min_rows": 1.5}, {"relax": ["all"]}, {"relax": "all-null"}]
)
def test_rules_that_say_nothing_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        VerdictRules.of(**given)


@pytest.mark.parametrize(("severity", "verdict"), [("warning", Verdict.WARN), ("info", Verdict.PASS)])
def test_severity_decides_what_saw_too_little(tmp_path: Path, severity: str, verdict: Verdict) -> None:
    path = write(NOTHING, tmp_path / "t.parquet")
    suite = {"name": "s", "expectations": [{"type": BETWEEN[0], "kwargs": BETWEEN[1], "severity": severity}]}
    assert validate_data(pin(str(path)).artifact, path, suite=suite).verdict is verdict
