"""What the security expectations share in Great Expectations: a metric that asks the core, and its answer.

Each expectation is a class of a few lines in a module of its own name. What it looks for is in
``airflow_mlsecops.core.validation.security``, which both engines use. Cells are checked on pandas and on Spark, a whole
table on pandas. Neither is offered on SQL databases, whose dialects can't do it exactly: read the result of a query
with the fused engine or with pandas.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from great_expectations.compatibility import pydantic
from great_expectations.core.metric_domain_types import MetricDomainTypes
from great_expectations.execution_engine import PandasExecutionEngine, SparkDFExecutionEngine
from great_expectations.expectations.expectation import BatchExpectation, ColumnMapExpectation
from great_expectations.expectations.metrics.map_metric_provider import (
    ColumnMapMetricProvider,
    column_condition_partial,
)
from great_expectations.expectations.metrics.metric_provider import metric_value
from great_expectations.expectations.metrics.table_metric_provider import TableMetricProvider
from great_expectations.validator.metric_configuration import MetricConfiguration

from airflow_mlsecops.core.canonical import canonical_json, strict_json
from airflow_mlsecops.core.errors import ConfigurationError, DataError
from airflow_mlsecops.core.validation.plans import Answer
from airflow_mlsecops.core.validation.security.arguments import ARGUMENTS, check_arguments
from airflow_mlsecops.core.validation.security.cardinality import judge_cardinality
from airflow_mlsecops.core.validation.security.cell_plan import CELL_CHECKS
from airflow_mlsecops.core.validation.security.duplicates import judge_duplicates
from airflow_mlsecops.core.validation.security.overlap import judge_overlap
from airflow_mlsecops.core.validation.security.timestamps import judge_timestamps
from airflow_mlsecops.core.validation.security.tokens import judge_tokens

JUDGES: dict[str, Callable[[Any, Mapping[str, Any]], Answer]] = {
    "expect_column_categorical_cardinality_to_be_bounded": judge_cardinality,
    "expect_column_timestamps_to_be_monotone_and_not_in_the_future": judge_timestamps,
    "expect_column_tokens_not_to_predict_label": judge_tokens,
    "expect_table_near_duplicates_to_be_few": judge_duplicates,
    "expect_train_test_overlap_to_be_low": judge_overlap,
}
"""Type -> what judges a frame."""
_JUDGEMENT = "table.mlsecops_judgement"


def _checked(cls: Any, values: dict[str, Any]) -> dict[str, Any]:
    """Refuse arguments by the same table as the fused engine reads."""
    if cls.kind:
        try:
            check_arguments(cls.kind, {name: values.get(name) for name in ARGUMENTS[cls.kind]})
        except ConfigurationError as error:
            raise ValueError(error.message) from error  # what pydantic collects
    return values


def cell_metric(kind: str) -> str:
    """Register the metric of a check of one cell, and give its name."""
    name = f"column_values.mlsecops.{kind.removeprefix('expect_column_values_to_')}"
    keys = tuple(key for key in ARGUMENTS[kind] if key not in ("column", "mostly"))

    class CellMetric(ColumnMapMetricProvider):
        """Whether each value is as expected."""

        condition_metric_name = name
        condition_value_keys = keys

        @column_condition_partial(engine=PandasExecutionEngine)
        def _pandas(cls, column: Any, **given: Any) -> Any:
            broken = _broken(kind, keys, given)
            return ~column.astype(object).map(broken).astype(bool)

        @column_condition_partial(engine=SparkDFExecutionEngine)
        def _spark(cls, column: Any, **given: Any) -> Any:
            from pyspark.sql.functions import udf
            from pyspark.sql.types import BooleanType

            broken = _broken(kind, keys, given)
            return ~udf(lambda value: value is not None and broken(value), BooleanType())(column)

    return name


def _broken(kind: str, keys: tuple[str, ...], given: Mapping[str, Any]) -> Callable[[Any], bool]:
    check = CELL_CHECKS[kind]({key: given[key] for key in keys if given.get(key) is not None})

    def broken(value: Any) -> bool:
        if not isinstance(value, str):
            raise DataError(f"the column holds {type(value).__name__}, expected text", "check columns of text only")
        return check.broken(value)

    return broken


class CellExpectation(ColumnMapExpectation):
    """A check of each value of a column; nulls aren't looked at."""

    kind: ClassVar[str] = ""
    _check = pydantic.root_validator(pre=True, allow_reuse=True)(_checked)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.args_keys = tuple(ARGUMENTS[cls.kind])
        cls.success_keys = tuple(key for key in cls.args_keys if key != "column")


class _Judgement(TableMetricProvider):
    """What the core says about a table."""

    metric_name = _JUDGEMENT
    value_keys = ("kind", "arguments")

    @metric_value(engine=PandasExecutionEngine)
    def _pandas(
        cls,
        execution_engine: PandasExecutionEngine,
        metric_domain_kwargs: dict[str, Any],
        metric_value_kwargs: dict[str, Any],
        metrics: dict[str, Any],
        runtime_configuration: dict[str, Any],
    ) -> Answer:
        frame, _, _ = execution_engine.get_compute_domain(metric_domain_kwargs, domain_type=MetricDomainTypes.TABLE)
        kwargs = strict_json(metric_value_kwargs["arguments"].encode(), "arguments")
        return JUDGES[metric_value_kwargs["kind"]](frame, kwargs)


class TableExpectation(BatchExpectation):
    """A check of a table as a whole."""

    kind: ClassVar[str] = ""
    _check = pydantic.root_validator(pre=True, allow_reuse=True)(_checked)
    domain_keys: ClassVar[tuple[str, ...]] = ("batch_id",)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.args_keys = cls.success_keys = tuple(ARGUMENTS[cls.kind])

    @classmethod
    def is_abstract(cls) -> bool:
        """Whether it is no expectation itself, but a base of some."""
        return not cls.kind

    def get_validation_dependencies(self, execution_engine: Any = None, runtime_configuration: Any = None) -> Any:
        """The one metric, with the arguments as text, for a metric's id is made of them."""
        found = super().get_validation_dependencies(execution_engine, runtime_configuration)
        given = {name: getattr(self, name) for name in ARGUMENTS[self.kind] if getattr(self, name) is not None}
        value_kwargs = {"kind": self.kind, "arguments": canonical_json(given).decode()}
        found.set_metric_configuration(
            _JUDGEMENT,
            MetricConfiguration(
                _JUDGEMENT, metric_domain_kwargs={"batch_id": self.batch_id}, metric_value_kwargs=value_kwargs
            ),
        )
        return found

    def _validate(
        self, metrics: Mapping[str, Any], runtime_configuration: Any = None, execution_engine: Any = None
    ) -> Any:
        answer: Answer = metrics[_JUDGEMENT]
        missing = (answer.elements or 0) - (answer.saw or 0)
        return {
            "success": answer.held,
            "result": {
                "observed_value": answer.observed,
                "element_count": answer.elements,
                "missing_count": missing,
                "unexpected_count": answer.unexpected,
                "unexpected_index_list": list(answer.rows),
            },
        }
