"""Expectations that are right beyond doubt, so that reading their suite needs no import of Great Expectations.

GX costs seconds and hundreds of megabytes to import. An expectation is *plain* when its type, the names of its
arguments and the type and range of each value stand in the table below, which accepts a strict part of what GX accepts
(a test builds one of each with GX). Anything else isn't refused here: GX is asked, and says what's wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from airflow_mlsecops.core.validation.security.arguments import ARGUMENTS, REQUIRED, conflict

_EXACT = 2**53
"""Whole numbers up to this are exact as floats, into which GX turns bounds."""


def is_plain(item: Mapping[str, Any]) -> bool:
    """Whether the expectation is right beyond doubt: known type, known arguments, values of the right kind."""
    arguments = PLAIN.get(item["type"])
    kwargs = item["kwargs"]
    if arguments is None or not kwargs.keys() <= arguments.keys():
        return False
    required, low, high = _REQUIRED.get(item["type"], ("column",)), kwargs.get("min_value"), kwargs.get("max_value")
    if not all(name in kwargs for name in required) or not all(arguments[name](kwargs[name]) for name in kwargs):
        return False
    if "min_value" in arguments and low is None and high is None:
        return False
    if conflict(item["type"], kwargs):
        return False
    return low is None or high is None or bool(low <= high)


def is_number(value: Any) -> bool:
    """A finite number that a float holds exactly; no boolean."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return abs(value) <= _EXACT if isinstance(value, int) else math.isfinite(value)


def _text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(_text(each) for each in value)


def _names(value: Any) -> bool:
    return _texts(value) and len(set(value)) == len(value)


def _values(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(each, str) for each in value) or all(is_number(each) for each in value)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _EXACT


def _share(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 1


def _mostly(value: Any) -> bool:
    return _share(value) and value > 0


def _below_one(value: Any) -> bool:
    return _share(value) and value < 1


def _level(value: Any) -> bool:
    return _mostly(value) and value <= 0.5


def _index(value: Any) -> bool:
    return is_number(value) and 0 <= value <= 10


def _digest(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _flag(value: Any) -> bool:
    return isinstance(value, bool)


_Check = Callable[[Any], bool]


def _bounds(check: _Check, *, strict: bool = True) -> dict[str, _Check]:
    both: dict[str, _Check] = {"min_value": check, "max_value": check}
    return both | ({"strict_min": _flag, "strict_max": _flag} if strict else {})


_COLUMN: dict[str, _Check] = {"column": _text}
_MAP: dict[str, _Check] = {"column": _text, "mostly": _mostly}
_PAIR: dict[str, _Check] = {"column_A": _text, "column_B": _text, "mostly": _mostly}

PLAIN: dict[str, dict[str, _Check]] = {
    "expect_column_distinct_values_to_be_in_set": {**_COLUMN, "value_set": _values},
    "expect_column_distinct_values_to_contain_set": {**_COLUMN, "value_set": _values},
    "expect_column_distinct_values_to_equal_set": {**_COLUMN, "value_set": _values},
    "expect_column_distribution_to_match_baseline": {
        **_COLUMN,
        "alpha": _level,
        "max_ks": _below_one,
        "max_psi": _index,
    },
    "expect_column_labels_to_match_baseline": {
        **_COLUMN,
        "alpha": _level,
        "max_new": _below_one,
        "max_psi": _index,
        "max_total_variation": _below_one,
    },
    "expect_column_max_to_be_between": {**_COLUMN, **_bounds(is_number)},
    "expect_column_mean_to_be_between": {**_COLUMN, **_bounds(is_number)},
    "expect_column_min_to_be_between": {**_COLUMN, **_bounds(is_number)},
    "expect_column_pair_values_a_to_be_greater_than_b": {**_PAIR, "or_equal": _flag},
    "expect_column_pair_values_to_be_equal": _PAIR,
    "expect_column_proportion_of_non_null_values_to_be_between": {**_COLUMN, **_bounds(_share)},
    "expect_column_proportion_of_unique_values_to_be_between": {**_COLUMN, **_bounds(_share)},
    "expect_column_sum_to_be_between": {**_COLUMN, **_bounds(is_number)},
    "expect_column_to_exist": _COLUMN,
    "expect_column_unique_value_count_to_be_between": {**_COLUMN, **_bounds(_count)},
    "expect_column_value_lengths_to_be_between": {**_MAP, **_bounds(_count)},
    "expect_column_value_lengths_to_equal": {**_MAP, "value": _count},
    "expect_column_values_to_be_between": {**_MAP, **_bounds(is_number)},
    "expect_column_values_to_be_in_set": {**_MAP, "value_set": _values},
    "expect_column_values_to_be_null": _MAP,
    "expect_column_values_to_be_unique": _MAP,
    "expect_column_values_to_match_regex": {**_MAP, "regex": _text},
    "expect_column_values_to_match_regex_list": {**_MAP, "regex_list": _texts, "match_on": ("any", "all").__contains__},
    "expect_column_values_to_not_be_in_set": {**_MAP, "value_set": _values},
    "expect_column_values_to_not_be_null": _MAP,
    "expect_column_values_to_not_match_regex": {**_MAP, "regex": _text},
    "expect_column_values_to_not_match_regex_list": {**_MAP, "regex_list": _texts},
    "expect_compound_columns_to_be_unique": {"column_list": _names, "mostly": _mostly},
    "expect_table_column_count_to_be_between": _bounds(_count, strict=False),
    "expect_table_column_count_to_equal": {"value": _count},
    "expect_table_columns_to_match_ordered_list": {"column_list": _names},
    "expect_table_columns_to_match_set": {"column_set": _names, "exact_match": _flag},
    "expect_table_row_count_to_be_between": _bounds(_count),
    "expect_table_row_count_to_equal": {"value": _count},
    "expect_table_schema_to_match_baseline": {"sha256": _digest},
    **ARGUMENTS,
}
"""Type -> its arguments, and what their values must be to be right beyond doubt."""

_REQUIRED: dict[str, tuple[str, ...]] = {
    **{kind: ("column", "value_set") for kind, arguments in PLAIN.items() if "value_set" in arguments},
    **{kind: ("column", "regex") for kind, arguments in PLAIN.items() if "regex" in arguments},
    **{kind: ("column", "regex_list") for kind, arguments in PLAIN.items() if "regex_list" in arguments},
    **{kind: ("column_A", "column_B") for kind, arguments in PLAIN.items() if "column_A" in arguments},
    "expect_column_value_lengths_to_equal": ("column", "value"),
    "expect_compound_columns_to_be_unique": ("column_list",),
    "expect_table_column_count_to_be_between": (),
    "expect_table_column_count_to_equal": ("value",),
    "expect_table_columns_to_match_ordered_list": ("column_list",),
    "expect_table_columns_to_match_set": ("column_set",),
    "expect_table_row_count_to_be_between": (),
    "expect_table_row_count_to_equal": ("value",),
    "expect_table_schema_to_match_baseline": (),
    **REQUIRED,
}
