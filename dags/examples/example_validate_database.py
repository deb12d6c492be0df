"""Validate a table of a database, and a frame that a task holds; what is signed about is a file with the rows."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param, dag, task

from airflow_mlsecops.frames import validate_frame
from airflow_mlsecops.operators.validate_data import ValidateDataOperator

SUITE = {
    "name": "orders",
    "expectations": [
        {"type": "expect_column_values_to_be_unique", "kwargs": {"column": "id"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "price", "min_value": 0}},
    ],
}


@dag(
    schedule=None,
    catchup=False,
    tags=["mlsecops", "docs"],
    doc_md=__doc__,
    params={"conn_id": Param("warehouse", type="string"), "lake": Param("/tmp/lake", type="string")},  # noqa: S108
)
def example_validate_database() -> None:
    """Two tasks: the rows of a table, and those that a task computed."""
    # [START validate_database]
    orders = ValidateDataOperator(
        task_id="orders",
        source={
            "conn_id": "{{ params.conn_id }}",
            "table": "orders",
            "snapshot_uri": "{{ params.lake }}/{{ run_id }}/orders.parquet",
        },
        suite=SUITE,
    )
    # [END validate_database]

    # [START validate_frame]
    @task
    def expensive(orders: Any, **context: Any) -> Any:
        """The dear ones: written to a file of their own, pinned, judged."""
        import polars as pl

        from airflow_mlsecops.taskflow import verified_copy

        with verified_copy(orders) as path:
            frame = pl.read_parquet(path).filter(pl.col("price") > 100)
        target = f"{context['params']['lake']}/{context['run_id']}/expensive.parquet"
        return validate_frame(frame, target, name="expensive-orders", suite=SUITE)

    expensive(orders.output)
    # [END validate_frame]


example_validate_database()
