"""Confident learning in DuckDB, over anything that it can read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.errors import MissingExtraError
from airflow_mlsecops.core.footers import distrust_footers
from airflow_mlsecops.core.poisoning.engine.filters import DEFAULT_FILTER, Issues
from airflow_mlsecops.core.poisoning.engine.sql import Columns, Dialect, find_issues_sql

if TYPE_CHECKING:
    from numpy.typing import NDArray


def find_issues_duckdb(
    table: str,
    *,
    key_column: str,
    label_column: str,
    probability_columns: Sequence[str],
    filters: Sequence[str] = (DEFAULT_FILTER,),
    connection: Any = None,
) -> Issues:
    """Flag rows of a table, a view, a subquery in parentheses or a call such as ``read_parquet('part-*.parquet')``.

    Args:
        table: SQL; whoever writes it can do whatever the connection may do.
        key_column: unique ids: integers or text.
        label_column: whole numbers 0 … classes - 1.
        probability_columns: one for each class, in the order of the labels.
        filters: some of :data:`~airflow_mlsecops.core.poisoning.engine.filters.FILTERS`.
        connection: of DuckDB, as it is set; by default a new one in memory, which believes no footer's statistics.

    Raises:
        DataError: if a label, a probability or an id can't be used.
        MissingExtraError: if duckdb isn't installed.
    """
    try:
        import duckdb
    except ImportError as error:
        raise MissingExtraError(
            f"duckdb can't be imported: {error}", "install airflow-mlsecops[duckdb], or use find_issues on arrays"
        ) from error
    opened = duckdb.connect() if connection is None else connection
    if connection is None:
        distrust_footers(opened)

    def run(statement: str) -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = opened.execute(statement).fetchnumpy()
        return found

    try:
        return find_issues_sql(
            Dialect(
                name="duckdb",
                quote='"',
                array=lambda items: f"[{', '.join(items)}]",
                element=lambda array, index: f"({array})[{index} + 1]",
                explode=_explode,
                whole="HUGEINT",
                run=run,
            ),
            Columns(table, key_column, label_column, probability_columns),
            filters,
        )
    finally:
        if connection is None:
            opened.close()


def _explode(source: str, array: str) -> str:
    return f"(SELECT * EXCLUDE (a), generate_subscripts(a, 1) - 1 AS j, unnest(a) AS v FROM (SELECT *, {array} AS a FROM {source}) e0) e1"  # noqa: S608, E501
