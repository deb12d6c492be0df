"""Confident learning on Spark, so that a data set on a cluster is analysed where it lies."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.poisoning.engine.filters import DEFAULT_FILTER, Issues
from airflow_mlsecops.core.poisoning.engine.sql import Columns, Dialect, find_issues_sql

if TYPE_CHECKING:
    from numpy.typing import NDArray


def find_issues_spark(
    frame: Any,
    *,
    key_column: str,
    label_column: str,
    probability_columns: Sequence[str],
    filters: Sequence[str] = (DEFAULT_FILTER,),
) -> Issues:
    """Flag rows of a Spark data frame; counts and the ids of flagged rows come to the driver, nothing else.

    The frame is read several times: cache it if it is dear to compute, and let it be deterministic.

    Args:
        frame: a ``pyspark.sql.DataFrame``.
        key_column: unique ids: integers or text.
        label_column: whole numbers 0 … classes - 1.
        probability_columns: one for each class, in the order of the labels.
        filters: some of :data:`~airflow_mlsecops.core.poisoning.engine.filters.FILTERS`.

    Raises:
        DataError: if a label, a probability or an id can't be used.
    """
    session, view = frame.sparkSession, f"mlsecops_{secrets.token_hex(8)}"
    frame.createOrReplaceTempView(view)

    def run(statement: str) -> dict[str, NDArray[Any]]:
        table = session.sql(statement).toArrow()
        return {name: table.column(name).to_numpy() for name in table.column_names}

    try:
        return find_issues_sql(
            Dialect(
                name="spark",
                quote="`",
                array=lambda items: f"array({', '.join(items)})",
                element=lambda array, index: f"({array})[{index}]",
                explode=lambda source, array: (
                    f"(SELECT *, j, v FROM {source} LATERAL VIEW posexplode({array}) e0 AS j, v)"  # noqa: S608 - names of ours
                ),
                whole="DECIMAL(38, 0)",
                run=run,
            ),
            Columns(view, key_column, label_column, probability_columns),
            filters,
        )
    finally:
        session.catalog.dropTempView(view)
