"""A metric of Great Expectations that hands a whole column to code of ours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from great_expectations.execution_engine import PandasExecutionEngine  # noqa: TID253 - imported where GX is wanted
from great_expectations.expectations.metrics.column_aggregate_metric_provider import (  # noqa: TID253
    ColumnAggregateMetricProvider,
    column_aggregate_value,
)

if TYPE_CHECKING:
    import pandas

METRIC = "column.mlsecops_values"


class ColumnValues(ColumnAggregateMetricProvider):
    """The column's values that aren't null, where the row condition holds."""

    metric_name = METRIC

    @column_aggregate_value(engine=PandasExecutionEngine)
    def _pandas(cls, column: pandas.Series, **_: Any) -> pandas.Series:  # noqa: N805 - GX makes a class method of it
        return column
