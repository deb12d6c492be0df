"""Which expectation types the fused engine evaluates: one visible table from type to compiler."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from airflow_mlsecops.core.validation import plans, plans_baseline, plans_distinct, plans_table
from airflow_mlsecops.core.validation.plain import is_plain
from airflow_mlsecops.core.validation.plans import Compiler, Plan, Table
from airflow_mlsecops.core.validation.security.cardinality import plan_cardinality
from airflow_mlsecops.core.validation.security.cell_plan import CELL_CHECKS, cell_plan
from airflow_mlsecops.core.validation.security.duplicates import plan_duplicates
from airflow_mlsecops.core.validation.security.overlap import plan_overlap
from airflow_mlsecops.core.validation.security.timestamps import plan_timestamps
from airflow_mlsecops.core.validation.security.tokens import plan_tokens

COMPILERS: dict[str, Compiler] = {
    **{kind: partial(cell_plan, kind=kind) for kind in CELL_CHECKS},
    "expect_column_categorical_cardinality_to_be_bounded": plan_cardinality,
    "expect_column_distinct_values_to_be_in_set": partial(plans_distinct.distinct_set, inside=True, all_of=False),
    "expect_column_distinct_values_to_contain_set": partial(plans_distinct.distinct_set, inside=False, all_of=True),
    "expect_column_distinct_values_to_equal_set": partial(plans_distinct.distinct_set, inside=True, all_of=True),
    "expect_column_distribution_to_match_baseline": plans_baseline.distribution,
    "expect_column_labels_to_match_baseline": plans_baseline.labels,
    "expect_column_max_to_be_between": partial(plans.extreme, function="max"),
    "expect_column_mean_to_be_between": partial(plans.total, mean=True),
    "expect_column_min_to_be_between": partial(plans.extreme, function="min"),
    "expect_column_pair_values_a_to_be_greater_than_b": partial(plans_distinct.pair, greater=True),
    "expect_column_pair_values_to_be_equal": partial(plans_distinct.pair, greater=False),
    "expect_column_proportion_of_non_null_values_to_be_between": plans.non_null_share,
    "expect_column_proportion_of_unique_values_to_be_between": partial(plans_distinct.unique_count, share=True),
    "expect_column_sum_to_be_between": partial(plans.total, mean=False),
    "expect_column_timestamps_to_be_monotone_and_not_in_the_future": plan_timestamps,
    "expect_column_to_exist": plans_table.column_exists,
    "expect_column_tokens_not_to_predict_label": plan_tokens,
    "expect_column_unique_value_count_to_be_between": partial(plans_distinct.unique_count, share=False),
    "expect_column_value_lengths_to_be_between": plans.lengths,
    "expect_column_value_lengths_to_equal": plans.lengths,
    "expect_column_values_to_be_between": plans.between,
    "expect_column_values_to_be_in_set": plans.in_set,
    "expect_column_values_to_be_null": plans.null,
    "expect_column_values_to_be_unique": plans_distinct.unique,
    "expect_column_values_to_match_regex": plans.matches,
    "expect_column_values_to_match_regex_list": plans.matches,
    "expect_column_values_to_not_be_in_set": partial(plans.in_set, negated=True),
    "expect_column_values_to_not_be_null": plans.not_null,
    "expect_column_values_to_not_match_regex": partial(plans.matches, negated=True),
    "expect_column_values_to_not_match_regex_list": partial(plans.matches, negated=True),
    "expect_compound_columns_to_be_unique": plans_distinct.compound_unique,
    "expect_table_column_count_to_be_between": plans_table.column_count,
    "expect_table_column_count_to_equal": plans_table.column_count,
    "expect_table_columns_to_match_ordered_list": plans_table.columns_in_order,
    "expect_table_columns_to_match_set": plans_table.columns_as_set,
    "expect_table_near_duplicates_to_be_few": plan_duplicates,
    "expect_table_row_count_to_be_between": plans_table.row_count,
    "expect_table_row_count_to_equal": plans_table.row_count,
    "expect_table_schema_to_match_baseline": plans_baseline.schema,
    "expect_train_test_overlap_to_be_low": plan_overlap,
}


def compile_item(item: Mapping[str, Any], table: Table) -> Plan | None:
    """The plan of an expectation whose columns are all there; ``None`` if only GX can evaluate it exactly."""
    return COMPILERS[item["type"]](item["kwargs"], table) if is_plain(item) else None
