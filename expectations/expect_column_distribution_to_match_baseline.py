"""A feature is distributed as in the baseline: Kolmogorov-Smirnov and PSI, both."""

from __future__ import annotations

from typing import Any, ClassVar

from great_expectations.compatibility import pydantic  # noqa: TID253 - imported where GX is wanted
from great_expectations.expectations.expectation import ColumnAggregateExpectation  # noqa: TID253

from airflow_mlsecops.core.profile.compare import DEFAULTS
from airflow_mlsecops.core.profile.series import compare_distribution
from airflow_mlsecops.expectations.column_metric import METRIC
from airflow_mlsecops.expectations.compared_result import compared_result


class ExpectColumnDistributionToMatchBaseline(ColumnAggregateExpectation):
    """Numbers, or lengths of texts, are distributed as in the baseline's verified profile.

    Threat: rows that shift a feature, planted or by a broken sensor (MITRE ATLAS AML.T0020, Training Data
    Poisoning; AML.T0059, Erode Dataset Integrity). PSI alone misses a scale shift of 5 percent; KS alone is blind in
    the tails.

    Args:
        column: a numeric or a text column.
        max_ks: the largest distance that doesn't matter; what chance explains at the sample's size doesn't either.
        max_psi: the largest population stability index over tenths of the baseline, likewise.
        alpha: how seldom chance may exceed a limit.

    Example::

        ExpectColumnDistributionToMatchBaseline(column="amount", max_ks=0.05)
    """

    max_ks: float = pydantic.Field(DEFAULTS["max_ks"], ge=0, lt=1)
    max_psi: float = pydantic.Field(DEFAULTS["max_psi"], ge=0, le=10)
    alpha: float = pydantic.Field(DEFAULTS["alpha"], gt=0, le=0.5)

    metric_dependencies: ClassVar[tuple[str, ...]] = (METRIC,)
    success_keys: ClassVar[tuple[str, ...]] = ("max_ks", "max_psi", "alpha")

    def _validate(self, metrics: dict[str, Any], *_: Any, **__: Any) -> dict[str, Any]:
        return compared_result(compare_distribution(self.column, metrics[METRIC], self._get_success_kwargs()))
