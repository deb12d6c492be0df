"""Run a suite with Great Expectations' pandas engine, and close the ways in which it fails open.

GX calls an expectation a success when it saw nothing: a column of nulls, a row condition that matches no row. And it
loses the reason when a column is missing. So each outcome says here how many values it rests on, and why it isn't one.
Nothing is written to disk and nothing is sent: the context is ephemeral, and lives for one call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.controls.suite import build_expectations, conditions, named_columns
from airflow_mlsecops.core.findings import Severity
from airflow_mlsecops.core.validation.custom import MODULES as OURS
from airflow_mlsecops.core.validation.engines import missing_columns
from airflow_mlsecops.core.validation.outcome import Outcome

if TYPE_CHECKING:
    import pandas

_RESULT_FORMAT = {"result_format": "COMPLETE", "exclude_unexpected_values": True, "partial_unexpected_count": 0}
_ABOUT_NULLS = {
    "expect_column_values_to_be_null",
    "expect_column_values_to_not_be_null",
    "expect_column_proportion_of_non_null_values_to_be_between",
}
_COUNTS = {
    "expect_table_row_count_to_be_between",
    "expect_table_row_count_to_equal",
    "expect_table_column_count_to_be_between",
    "expect_table_column_count_to_equal",
    "expect_column_unique_value_count_to_be_between",
    "expect_column_proportion_of_unique_values_to_be_between",
    "expect_column_proportion_of_non_null_values_to_be_between",
    "expect_column_values_to_be_of_type",
    "expect_column_values_to_be_in_type_list",
    "expect_column_type_to_be",
}
"""Types whose observed value is a count, a share or a type; any other (a minimum, a mean of one row) may be a cell."""


def run_suite(frame: pandas.DataFrame, document: Mapping[str, Any]) -> list[Outcome]:
    """One outcome for each expectation, in the suite's order.

    Args:
        frame: the table, of shape (rows, columns), with a 0-based index.
        document: of a suite that :func:`~airflow_mlsecops.core.controls.suite.load_suite` read.
    """
    items = document["expectations"]
    built = build_expectations(document)
    missing = {index: _missing(frame, items[index], built[index]) for index in range(len(items))}
    runnable = [expectation for index, expectation in enumerate(built) if not missing[index]]
    counters = _counters(runnable)
    results = _validate(frame, [*runnable, *counters.values()])
    outcomes = []
    for index, item in enumerate(items):
        outcome = {
            "index": index,
            "type": item["type"],
            "columns": tuple(named_columns(item)),
            "severity": Severity(item["severity"]),
            "conditional": "row_condition" in item["kwargs"],
        }
        if missing[index]:
            outcomes.append(Outcome(**outcome, held=False, trouble=missing[index], missing_column=True))
            continue
        read = _read(item["type"], results.get(index))
        if index in counters and not read["trouble"]:
            read["saw"] = _non_null(item["type"], results.get(_counter_id(index)))
        outcomes.append(Outcome(**outcome, **read))
    return outcomes


def _missing(frame: pandas.DataFrame, item: Mapping[str, Any], expectation: Any) -> str:
    if item["type"] == "expect_column_to_exist":
        return ""
    wanted = [*named_columns(item), *(condition.column.name for condition in conditions(expectation))]
    absent = sorted({name for name in wanted if name not in frame.columns})
    if not absent:
        return ""
    return missing_columns(absent, list(frame.columns))


def _counters(expectations: list[Any]) -> dict[int, Any]:
    """For each aggregate of a column a not-null expectation beside it, whose counts tell what the aggregate saw."""
    from great_expectations.expectations import ExpectColumnValuesToNotBeNull
    from great_expectations.expectations.expectation import ColumnAggregateExpectation

    return {
        expectation.meta["index"]: ExpectColumnValuesToNotBeNull(
            column=expectation.column,
            row_condition=expectation.row_condition,
            meta={"index": _counter_id(expectation.meta["index"])},
        )
        for expectation in expectations
        if isinstance(expectation, ColumnAggregateExpectation)
    }


def _counter_id(index: int) -> int:
    return -index - 1


def _validate(frame: pandas.DataFrame, expectations: list[Any]) -> dict[int, Any]:
    """GX's results by the index that stands in each expectation's meta; GX itself doesn't keep their order."""
    import great_expectations as gx

    if not expectations:
        return {}
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    asset = context.data_sources.add_pandas("pinned").add_dataframe_asset("table")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    suite = gx.ExpectationSuite(name="run", expectations=expectations)
    validated = batch.validate(suite, result_format=_RESULT_FORMAT)
    return {result.expectation_config.meta["index"]: result for result in validated.results}


def _read(kind: str, result: Any) -> dict[str, Any]:
    """What of a result may be kept: counts, shares, types, names of columns, numbers of rows."""
    if result is None:
        return {"held": False, "trouble": "Great Expectations returned no result for it"}
    trouble = _trouble(result.exception_info)
    values = result.result or {}
    counted = values.get("element_count")
    return {
        # bool(): GX returns numpy.bool for some, and `is True` would be wrong for it.
        "held": bool(result.success) and not trouble,
        "trouble": trouble,
        "saw": None if counted is None else int(counted) - int(values.get("missing_count") or 0),
        "unexpected": None if counted is None else int(values.get("unexpected_count") or 0),
        "observed": _observed(kind, values),
        "elements": None if counted is None else int(counted),
        "rows": tuple(int(row) for row in values.get("unexpected_index_list") or ()),
    }


def _observed(kind: str, values: Mapping[str, Any]) -> Any:
    if kind in _COUNTS or kind in OURS:
        return values.get("observed_value")
    mismatched = (values.get("details") or {}).get("mismatched")
    if kind == "expect_table_columns_to_match_set" and isinstance(mismatched, Mapping):
        return {key: [str(name) for name in names[:20]] for key, names in mismatched.items()}
    return None


def _non_null(kind: str, result: Any) -> int:
    """How many values an aggregate saw. What is said about nulls saw the nulls too."""
    values = getattr(result, "result", None) or {}
    rows = int(values.get("element_count") or 0)
    return rows if kind in _ABOUT_NULLS else rows - int(values.get("unexpected_count") or 0)


def _trouble(info: Any) -> str:
    """The kind of exception that stopped an expectation. Not its message, which may quote cells."""
    details = list(info.values()) if info and "raised_exception" not in info else [info or {}]
    raised = [each for each in details if str(each.get("raised_exception")) == "True"]
    if not raised:
        return ""
    text = str(raised[0].get("exception_traceback") or "")
    first = re.search(r"^(?:\w+\.)*(\w*(?:Error|Exception|Warning))\b", text, re.MULTILINE)
    return f"it could not be evaluated ({first.group(1) if first else 'unknown error'})"
