"""The table has the schema that it is pinned to."""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.compatibility import pydantic  # noqa: TID253 - imported where GX is wanted
from great_expectations.core.domain import MetricDomainTypes  # noqa: TID253
from great_expectations.execution_engine import PandasExecutionEngine  # noqa: TID253
from great_expectations.expectations.expectation import BatchExpectation  # noqa: TID253
from great_expectations.expectations.metrics.metric_provider import metric_value  # noqa: TID253
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider  # noqa: TID253

from airflow_mlsecops.core.profile.baseline import current
from airflow_mlsecops.core.profile.pinned_schema import judge_schema
from airflow_mlsecops.core.profile.table_schema import Schema, schema_of
from airflow_mlsecops.expectations.compared_result import result

METRIC = "table.mlsecops_schema"


class TableSchema(TableMetricProvider):
    """Names and Arrow types: those of the file if they are known, else those of the frame."""

    metric_name = METRIC

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(  # GX makes a class method of it
        cls,  # noqa: N805
        execution_engine: PandasExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        **_: Any,
    ) -> Schema:
        import pyarrow as pa

        known = current().schema
        if known is not None:
            return known
        frame, _, _ = execution_engine.get_compute_domain(metric_domain_kwargs, MetricDomainTypes.TABLE)
        return schema_of(pa.Schema.from_pandas(frame, preserve_index=False))


class ExpectTableSchemaToMatchBaseline(BatchExpectation):
    """Names and types of columns, in order, are those of the baseline, or have a digest that the suite names.

    Threat: a column that comes, goes or changes its type unnoticed (MITRE ATLAS AML.T0059, Erode Dataset Integrity).

    Args:
        sha256: the schema's digest, as ``ProfileDatasetOperator`` signs it; by default the baseline's.

    Example::

        ExpectTableSchemaToMatchBaseline()
    """

    sha256: str | None = pydantic.Field(None, regex="^[0-9a-f]{64}$")

    metric_dependencies: ClassVar[tuple[str, ...]] = (METRIC,)
    success_keys: ClassVar[tuple[str, ...]] = ("sha256",)

    def _validate(self, metrics: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        judged = judge_schema(metrics[METRIC], self.sha256, current().baseline)
        return result(held=judged.held, observed=judged.observed, trouble=judged.trouble)
