"""Labels have the shares that they have in the baseline, and none is new."""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.compatibility import pydantic  # noqa: TID253 - imported where GX is wanted
from great_expectations.expectations.expectation import ColumnAggregateExpectation  # noqa: TID253

from airflow_mlsecops.core.profile.compare import DEFAULTS
from airflow_mlsecops.core.profile.series import compare_labels
from airflow_mlsecops.expectations.column_metric import METRIC
from airflow_mlsecops.expectations.compared_result import compared_result


class ExpectColumnLabelsToMatchBaseline(ColumnAggregateExpectation):
    """Shares of categories are those of the baseline's verified profile: G-test with total variation, and PSI.

    Threat: labels that were flipped, rows that were added for one class (MITRE ATLAS AML.T0020, Training Data
    Poisoning).

    Args:
        column: a column of text, whole numbers or booleans.
        max_total_variation: the largest share of rows that may have changed their category; beyond it, and if a G-test
            says that it's no chance, the labels have shifted.
        max_psi: the largest population stability index, or what chance explains at the sample's size.
        max_new: the largest share of rows with a value that the baseline doesn't have; none by default.
        alpha: how seldom chance may exceed a limit.

    Example::

        ExpectColumnLabelsToMatchBaseline(column="label")
    """

    max_total_variation: float = pydantic.Field(DEFAULTS["max_total_variation"], ge=0, lt=1)
    max_psi: float = pydantic.Field(DEFAULTS["max_psi"], ge=0, le=10)
    max_new: float = pydantic.Field(DEFAULTS["max_new"], ge=0, lt=1)
    alpha: float = pydantic.Field(DEFAULTS["alpha"], gt=0, le=0.5)

    metric_dependencies: ClassVar[tuple[str, ...]] = (METRIC,)
    success_keys: ClassVar[tuple[str, ...]] = ("max_total_variation", "max_psi", "max_new", "alpha")

    def _validate(self, metrics: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        return compared_result(compare_labels(self.column, metrics[METRIC], self._get_success_kwargs()))
