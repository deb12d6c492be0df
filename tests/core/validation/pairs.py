"""Generated (expectation, data) pairs: small tables full of what engines disagree about, and suites over them."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa

from airflow_mlsecops.core.validation.security.cell_plan import CELL_CHECKS

INTS = [0, 1, 2, 3, 5, 7, -1, -4, 100]
BIG = [2**53, 2**53 + 1, 2**53 + 2, -(2**53) - 1, 2**62]
FLOATS = [0.0, -0.0, 0.1, 0.2, 0.30000000000000004, 1.0, 2.5, -3.0, 1e300, 5e-324]
ODD_FLOATS = [*FLOATS, float("nan"), float("inf"), float("-inf")]
TEXTS = ["a", "b", "ab", "abc", "A1", "x@y.com", "", " ", "a b"]
ODD_TEXTS = [*TEXTS, "a\n", "a\nb", "é", "e\u0301", "日本", "\u202ea", "٣", "12", "\x1c", "'", '"; --', "a\u00a0", "🙂"]
MIXED = [
    "1",
    "2.5",
    "-0",
    "1e3",
    "nan",
    "NaN",
    "inf",
    "",
    "null",
    "None",
    "true",
    "2024-01-02",
    "a",
    "é",
    "0x1",
    "1,5",
    "\u202ea",
]
"""Cells of one column of a CSV file, of which each looks like another type."""
ZONE = dt.timezone(dt.timedelta(hours=2))
DAYS = [dt.datetime(2024, 1, day, 3, 4, 5) for day in (1, 2, 3, 31)]
REGEXES = [
    "^a", "b$", "^[a-z]+$", r"\d", r"^\w+$", r"\s", "a|b", "(ab)+", "^.{2}$", ".", "^$", "[^a]", r"x@y\.com", "é",
    r"^[A-Z]\d$", "(?i)A", r"\bab", "a{1,3}b?", "(?=a)", "^(a|b)$", "[é-日]", r"\Aab\Z", "a.b", "(", r"\S",
]  # fmt: skip


def table(seed: int) -> pa.Table:
    """One table; which seeds have nulls, only nulls, or nothing odd differs."""
    rng = random.Random(seed)
    rows = rng.choice([1, 2, 5, 9, 14])
    share = rng.choice([0.0, 0.0, 0.3, 1.0]) if seed % 3 else 0.2

    def pick(values: list[Any], nulls: bool = True) -> list[Any]:
        return [None if nulls and rng.random() < share else rng.choice(values) for _ in range(rows)]

    odd = seed % 2 == 0
    return pa.table(
        {
            "id": pa.array(range(rows) if rng.random() < 0.5 else pick(INTS, False), pa.int64()),
            "i": pa.array(pick(INTS), pa.int64()),
            "i32": pa.array(pick(INTS), pa.int32()),
            "u8": pa.array(pick([0, 1, 255]), pa.uint8()),
            "big": pa.array(pick(BIG if odd else INTS), pa.int64()),
            "f": pa.array(pick(ODD_FLOATS if odd else FLOATS), pa.float64()),
            "f32": pa.array(pick([0.1, 0.5, 2.0]), pa.float32()),
            "t": pa.array(pick(ODD_TEXTS if odd else TEXTS), pa.string()),
            "t2": pa.array(pick(["a", "b"]), pa.string()),
            "b": pa.array(pick([True, False]), pa.bool_()),
            "d": pa.array(pick([Decimal("1.10"), Decimal("2.20")]), pa.decimal128(5, 2)),
            "when": pa.array(pick(DAYS), pa.timestamp("us")),
            "zoned": pa.array([v and v.replace(tzinfo=ZONE) for v in pick(DAYS)], pa.timestamp("us", "UTC")),
            "day": pa.array([v and v.date() for v in pick(DAYS)], pa.date32()),
        }
    )  # fmt: skip


def mixed(seed: int) -> pd.DataFrame:
    """A table as text for a CSV file: numbers and texts mixed in its columns of texts, and in some of numbers."""
    rng = random.Random(seed)
    cells = frame(table(seed)).astype(object)
    for column in ("t", "t2", *rng.sample(["i", "f", "f32", "b", "when"], 2)):
        cells[column] = [rng.choice(MIXED) for _ in range(len(cells))]
    return cells


def frame(of: pa.Table) -> pd.DataFrame:
    """As the strict reader gives it to GX."""
    read: pd.DataFrame = of.to_pandas(ignore_metadata=True)
    return read


def suite(seed: int, of: pa.Table, size: int) -> dict[str, Any]:
    """A suite of ``size`` different expectations."""
    rng = random.Random(seed)
    items: dict[str, dict[str, Any]] = {}
    while len(items) < size:
        kind, kwargs = next(_expectations(rng, of))
        items[f"{kind}{kwargs}"] = {"type": kind, "kwargs": kwargs, "severity": "critical"}
    return {"name": "generated", "expectations": list(items.values())}


def _bounds(rng: random.Random, values: list[Any]) -> dict[str, Any]:
    low, high = sorted(rng.choice(values) for _ in range(2))
    given: dict[str, Any] = rng.choice([{"min_value": low}, {"max_value": high}, {"min_value": low, "max_value": high}])
    for name in ("min", "max"):
        if f"{name}_value" in given and rng.random() < 0.3:
            given[f"strict_{name}"] = True
    return given


def _expectations(rng: random.Random, of: pa.Table) -> Iterator[tuple[str, dict[str, Any]]]:
    numbers = ["id", "i", "i32", "u8", "big", "f", "f32"]
    texts = ["t", "t2"]
    column = rng.choice(of.column_names)
    number, text = rng.choice(numbers), rng.choice(texts)
    mostly = {} if rng.random() < 0.5 else {"mostly": rng.choice([0.25, 0.5, 2 / 3, 0.9, 1])}
    bounds = _bounds(rng, [*INTS, *FLOATS, 2**53, 0.5])
    counts = _bounds(rng, [0, 1, 2, 3, 5, 9])
    shares = _bounds(rng, [0, 0.25, 1 / 3, 0.5, 0.7, 1])
    chosen = rng.choice([number, text])
    values = rng.sample(TEXTS if chosen in texts else [*INTS, 2.5, 0.1, 2**53], rng.randint(1, 4))
    in_set = {"column": chosen, "value_set": values}
    regex = {"column": text, "regex": rng.choice(REGEXES)}
    regexes = {"column": text, "regex_list": rng.sample(REGEXES, 2)}
    pair = dict(
        zip(("column_A", "column_B"), rng.sample(numbers if rng.random() < 0.7 else of.column_names, 2), strict=True)
    )
    several = {"column_list": rng.sample(of.column_names, 2)}
    names = list(of.column_names)
    pool: list[tuple[str, dict[str, Any]]] = [
        ("expect_column_values_to_not_be_null", {"column": column, **mostly}),
        ("expect_column_values_to_be_null", {"column": column, **mostly}),
        ("expect_column_values_to_be_unique", {"column": column, **mostly}),
        ("expect_column_values_to_be_between", {"column": number, **bounds, **mostly}),
        ("expect_column_values_to_be_between", {"column": number, **bounds}),
        ("expect_column_values_to_be_in_set", {**in_set, **mostly}),
        ("expect_column_values_to_not_be_in_set", {**in_set, **mostly}),
        ("expect_column_distinct_values_to_be_in_set", in_set),
        ("expect_column_distinct_values_to_contain_set", in_set),
        ("expect_column_distinct_values_to_equal_set", in_set),
        ("expect_column_most_common_value_to_be_in_set", in_set),
        ("expect_column_values_to_match_regex", {**regex, **mostly}),
        ("expect_column_values_to_not_match_regex", {**regex, **mostly}),
        ("expect_column_values_to_match_regex_list", {**regexes, "match_on": rng.choice(["any", "all"])}),
        ("expect_column_values_to_not_match_regex_list", regexes),
        ("expect_column_value_lengths_to_be_between", {"column": text, **counts, **mostly}),
        ("expect_column_value_lengths_to_equal", {"column": text, "value": rng.randint(0, 3), **mostly}),
        ("expect_column_min_to_be_between", {"column": number, **bounds}),
        ("expect_column_max_to_be_between", {"column": number, **bounds}),
        ("expect_column_mean_to_be_between", {"column": number, **bounds}),
        ("expect_column_sum_to_be_between", {"column": number, **bounds}),
        ("expect_column_median_to_be_between", {"column": number, **bounds}),
        ("expect_column_stdev_to_be_between", {"column": number, **bounds}),
        ("expect_column_quantile_values_to_be_between", {"column": number, "quantile_ranges": {
            "quantiles": [0.5], "value_ranges": [[0, 5]]}}),
        ("expect_column_unique_value_count_to_be_between", {"column": column, **counts}),
        ("expect_column_proportion_of_unique_values_to_be_between", {"column": column, **shares}),
        ("expect_column_proportion_of_non_null_values_to_be_between", {"column": column, **shares}),
        ("expect_column_values_to_be_increasing", {"column": number}),
        ("expect_column_values_to_be_decreasing", {"column": number}),
        ("expect_column_value_z_scores_to_be_less_than", {"column": number, "threshold": 1, "double_sided": True}),
        ("expect_column_values_to_be_of_type", {"column": column, "type_": rng.choice(["int64", "float64", "str"])}),
        ("expect_column_values_to_be_in_type_list", {"column": column, "type_list": ["int64", "object"]}),
        ("expect_column_values_to_be_dateutil_parseable", {"column": text}),
        ("expect_column_values_to_be_json_parseable", {"column": text}),
        ("expect_column_values_to_match_json_schema", {"column": text, "json_schema": {"type": "integer"}}),
        ("expect_column_values_to_match_strftime_format", {"column": text, "strftime_format": "%d"}),
        ("expect_column_pair_values_a_to_be_greater_than_b", {**pair, "or_equal": rng.random() < 0.5}),
        ("expect_column_pair_values_to_be_equal", pair),
        ("expect_column_pair_values_to_be_in_set", {**pair, "value_pairs_set": [[1, 1], [0, 2]]}),
        ("expect_compound_columns_to_be_unique", several),
        ("expect_select_column_values_to_be_unique_within_record", several),
        ("expect_multicolumn_sum_to_equal", {"column_list": ["id", "i"], "sum_total": 3}),
        ("expect_table_row_count_to_be_between", counts),
        ("expect_table_row_count_to_equal", {"value": rng.choice([1, 2, 5, 9])}),
        ("expect_table_column_count_to_equal", {"value": rng.choice([len(names), 3])}),
        ("expect_table_column_count_to_be_between", {"min_value": rng.choice([1, 30])}),
        ("expect_table_columns_to_match_ordered_list", {"column_list": rng.choice([names, names[::-1]])}),
        ("expect_table_columns_to_match_set", {"column_set": rng.choice([names[::-1], names[1:]]),
            "exact_match": rng.random() < 0.5}),
        ("expect_column_to_exist", {"column": rng.choice([*names, "nobody"])}),
        ("expect_column_kl_divergence_to_be_less_than", {"column": "t2", "threshold": 0.5, "partition_object": {
            "values": ["a", "b"], "weights": [0.5, 0.5]}}),
        *((kind, {"column": rng.choice([text, text, column]), **mostly}) for kind in CELL_CHECKS),
        ("expect_table_near_duplicates_to_be_few", {"column": text, "min_group": 2, "max_group": rng.choice([0, 0.3])}),
        ("expect_column_tokens_not_to_predict_label", {"column": text, "label_column": rng.choice(["t2", "i", "b"]),
            "min_count": 2, "min_share": 0.6, "alpha": 0.5}),
        ("expect_column_tokens_not_to_predict_label", {"column": rng.choice([text, "i"]), "label_column": "t2",
            "min_count": 2, "min_share": 0.6, "alpha": 0.5, "unit": "value"}),
        ("expect_train_test_overlap_to_be_low", {"column": text, "split_column": "t2", "train": "a", "test": "b",
            "max_share": rng.choice([0, 0.5])}),
        ("expect_column_timestamps_to_be_monotone_and_not_in_the_future", {
            "column": rng.choice(["when", "zoned", "day"]), "strictly": rng.random() < 0.5,
            "now": rng.choice(["2024-01-02T03:04:05Z", "2025-01-01T00:00:00Z"])}),
        ("expect_column_categorical_cardinality_to_be_bounded", {"column": chosen, "max_distinct": rng.randint(1, 5),
            "max_length": rng.randint(1, 4)}),
    ]  # fmt: skip
    yield rng.choice(pool)
