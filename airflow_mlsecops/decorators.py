"""``@task.validate_data`` and its like: a function says where the data or the model lies, and the control looks at it.

Example::

    @task.validate_data(suite="digits")
    def arrived() -> str:
        return f"s3://lake/{latest_partition()}/"

What the function returns is the control's ``artifact``: a path, a URI, or the reference of a task that pinned it. It is
never rendered as a template. The task's own output is that of the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.bases.decorator import DecoratedOperator, determine_kwargs, task_decorator_factory
from airflow.sdk.definitions._internal.types import SET_DURING_EXECUTION
from airflow.sdk.definitions.context import context_merge

from airflow_mlsecops.operators.base import permanent_errors_fail, require_text
from airflow_mlsecops.operators.detect_label_poisoning import DetectLabelPoisoningOperator
from airflow_mlsecops.operators.scan_model import ScanModelOperator
from airflow_mlsecops.operators.validate_data import ValidateDataOperator

if TYPE_CHECKING:
    from airflow.sdk.bases.decorator import TaskDecorator


class _ArtifactFromFunction(DecoratedOperator):
    """Calls the function before the control, whose artifact it returns."""

    custom_operator_name: str = ""

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if "artifact" in kwargs:
            raise TypeError("artifact can't be given: it is what the function returns")
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            artifact=SET_DURING_EXECUTION,
            **kwargs,
        )

    def execute(self, context: Any) -> Any:
        """Ask the function, then be the control."""
        context_merge(context, self.op_kwargs)
        kwargs = determine_kwargs(self.python_callable, self.op_args, context)
        found = self.python_callable(*self.op_args, **kwargs)
        if not isinstance(found, Mapping):
            with permanent_errors_fail():
                require_text("what the function returned", found)
        self.artifact = found
        return super().execute(context)


def _fields(operator: Any) -> Sequence[str]:
    return (*DecoratedOperator.template_fields, *operator.template_fields)


class _ValidateDataDecorated(_ArtifactFromFunction, ValidateDataOperator):
    template_fields: Sequence[str] = _fields(ValidateDataOperator)
    custom_operator_name: str = "@task.validate_data"


class _DetectLabelPoisoningDecorated(_ArtifactFromFunction, DetectLabelPoisoningOperator):
    template_fields: Sequence[str] = _fields(DetectLabelPoisoningOperator)
    custom_operator_name: str = "@task.detect_label_poisoning"


class _ScanModelDecorated(_ArtifactFromFunction, ScanModelOperator):
    template_fields: Sequence[str] = _fields(ScanModelOperator)
    custom_operator_name: str = "@task.scan_model"


_DECORATED = (_ValidateDataDecorated, _DetectLabelPoisoningDecorated, _ScanModelDecorated)


def validate_data_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """``@task.validate_data``: see :class:`~airflow_mlsecops.operators.validate_data.ValidateDataOperator`."""
    return _decorator(_ValidateDataDecorated, python_callable, kwargs)


def detect_label_poisoning_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """``@task.detect_label_poisoning``: see the operator of that name."""
    return _decorator(_DetectLabelPoisoningDecorated, python_callable, kwargs)


def scan_model_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """``@task.scan_model``: see :class:`~airflow_mlsecops.operators.scan_model.ScanModelOperator`."""
    return _decorator(_ScanModelDecorated, python_callable, kwargs)


def _decorator(operator: Any, python_callable: Callable[..., Any] | None, kwargs: Mapping[str, Any]) -> TaskDecorator:
    return task_decorator_factory(python_callable=python_callable, decorated_operator_class=operator, **kwargs)
