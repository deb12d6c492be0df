"""Validate a bucket of Parquet files, and keep the rows that fail beside them."""

from __future__ import annotations

from airflow.sdk import Param, dag

from airflow_mlsecops.operators.validate_data import ValidateDataOperator


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    params={"bucket": Param("lake", type="string"), "prefix": Param("events", type="string")},
)
def example_validate_bucket() -> None:
    """One task: every part of the prefix, read once."""
    # [START validate_bucket]
    filled = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "user"}}
    positive = {"type": "expect_column_values_to_be_between", "kwargs": {"column": "amount", "min_value": 0}}
    ValidateDataOperator(
        task_id="validate",
        artifact="s3://{{ params.bucket }}/{{ params.prefix }}/",
        suite={"name": "events", "expectations": [filled, positive]},
        quarantine_uri="s3://{{ params.bucket }}/{{ params.prefix }}-quarantine",
    )
    # [END validate_bucket]


example_validate_bucket()
