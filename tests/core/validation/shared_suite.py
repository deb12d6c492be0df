"""One table and one suite for GX's engines, of which each has to say what pandas says, but for what stands here."""

from __future__ import annotations

from typing import Any

from airflow_mlsecops.core.validation.outcome import Outcome

COLUMNS = {"id": "integer", "n": "integer", "x": "double precision", "t": "text", "void": "integer"}
ROWS: list[tuple[Any, ...]] = [
    *((k, k % 7, k / 4, f"name {k % 5}", None) for k in range(40)),
    (40, None, None, None, None),
    (41, -3, -0.5, "", None),
    (42, 99, 1e12, "Ünïcode ٣", None),
    (43, 5, 2.5, "line\n", None),
]


def of(kind: str, column: str, **kwargs: Any) -> dict[str, Any]:
    return {"type": kind, "kwargs": {"column": column, **kwargs}}


EXPECTATIONS: list[dict[str, Any]] = [
    *(of("expect_column_values_to_not_be_null", name) for name in COLUMNS),
    *(of("expect_column_values_to_not_be_null", name, mostly=0.9) for name in COLUMNS),
    *(of("expect_column_values_to_be_null", name) for name in COLUMNS),
    *(of("expect_column_values_to_be_unique", name) for name in COLUMNS),
    *(of("expect_column_values_to_be_between", name, min_value=0, max_value=50) for name in ("id", "n", "x", "void")),
    *(of("expect_column_values_to_be_between", "n", min_value=0, mostly=share) for share in (0.97, 0.98)),
    *(of("expect_column_values_to_be_in_set", "n", value_set=values) for values in ([0, 1], list(range(-3, 100)))),
    of("expect_column_values_to_be_in_set", "t", value_set=["name 1"], mostly=0.1),
    of("expect_column_values_to_not_be_in_set", "t", value_set=["", "name 9"]),
    of("expect_column_value_lengths_to_be_between", "t", min_value=1, max_value=9),
    of("expect_column_value_lengths_to_equal", "t", value=6, mostly=0.9),
    of("expect_column_values_to_match_regex", "t", regex="^name"),
    of("expect_column_values_to_not_match_regex", "t", regex="[0-4]"),
    of("expect_column_values_to_match_regex_list", "t", regex_list=["^name", "^$"], match_on="any"),
    *(of(f"expect_column_{what}_to_be_between", "x", min_value=0, max_value=1e12) for what in ("min", "max", "mean")),
    of("expect_column_sum_to_be_between", "n", min_value=0, max_value=10_000),
    of("expect_column_max_to_be_between", "void", max_value=1),
    of("expect_column_unique_value_count_to_be_between", "n", min_value=9, max_value=9),
    of("expect_column_proportion_of_unique_values_to_be_between", "id", min_value=1),
    of("expect_column_distinct_values_to_be_in_set", "n", value_set=list(range(-3, 6))),
    of("expect_column_distinct_values_to_contain_set", "n", value_set=[1, 99]),
    of("expect_column_to_exist", "n"),
    of("expect_column_to_exist", "gone"),
    of("expect_column_values_to_not_be_null", "gone"),
    of("expect_column_mean_to_be_between", "gone", min_value=0),
    {
        "type": "expect_column_pair_values_a_to_be_greater_than_b",
        "kwargs": {"column_A": "id", "column_B": "n", "or_equal": True},
    },
    {"type": "expect_column_pair_values_to_be_equal", "kwargs": {"column_A": "id", "column_B": "n", "mostly": 0.1}},
    {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["n", "t"]}},
    {"type": "expect_compound_columns_to_be_unique", "kwargs": {"column_list": ["n", "id"]}},
    {"type": "expect_table_row_count_to_equal", "kwargs": {"value": 44}},
    {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 45}},
    {"type": "expect_table_column_count_to_equal", "kwargs": {"value": 5}},
    {"type": "expect_table_columns_to_match_set", "kwargs": {"column_set": ["id", "n", "x", "t"]}},
    {"type": "expect_table_columns_to_match_ordered_list", "kwargs": {"column_list": list(COLUMNS)}},
    of(
        "expect_column_values_to_be_between",
        "n",
        min_value=0,
        row_condition={"type": "comparison", "column": {"name": "id"}, "operator": "<", "parameter": 40},
    ),
    of(
        "expect_column_values_to_be_between",
        "n",
        min_value=0,
        max_value=3,
        row_condition={"type": "comparison", "column": {"name": "id"}, "operator": ">", "parameter": 1000},
    ),
]
DIVERGENCES = {
    # A pair with one null: pandas counts it as unexpected, SQL and Spark as neither. Both say that they saw it.
    "expect_column_pair_values_a_to_be_greater_than_b": {"unexpected": (1, 2)},
}
"""By type: what differs, as (found, by pandas). The how-tos list the same."""
SUITE = {"name": "shared", "expectations": EXPECTATIONS}


def told(outcome: Outcome) -> dict[str, Any]:
    """Verdict and counts; numbers of rows are pandas' alone."""
    return {
        "holds": bool(outcome),
        "trouble": bool(outcome.trouble),
        "missing": outcome.missing_column,
        "saw": outcome.saw,
        "unexpected": outcome.unexpected,
        "elements": outcome.elements,
        "observed": outcome.observed,
    }


def differences(found: tuple[Outcome, ...], by_pandas: tuple[Outcome, ...]) -> dict[str, Any]:
    """What differs, by the expectation's type."""
    pairs = zip(found, by_pandas, strict=True)
    compared = [(told(one), told(other), one) for one, other in pairs]
    return {
        outcome.type: {key: (one[key], other[key]) for key in one if one[key] != other[key]}
        for one, other, outcome in compared
        if one != other
    }
