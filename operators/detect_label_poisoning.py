"""Look for wrong labels that may have been planted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.operators.control import ControlOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.report import Report


class DetectLabelPoisoningOperator(ControlOperator):
    """Finds rows whose label the other rows speak against (confident learning), and fails above a budget.

    Args:
        label_column: the column with the labels.
        feature_columns: numeric columns to learn from; by default all but label and id.
        id_column: the column that names a row; by default its number.
        estimator: a scikit-learn classifier, a callable that returns one, or ``"package.module:factory"``; by default a
            small ensemble of a linear model, trees and nearest neighbours.
        folds: of the cross-validation.
        budget: share of suspect labels (0 to 1) above which the verdict is FAIL.
        warn_budget: share above which it is WARN.
        seed: of everything random.

    Example::

        DetectLabelPoisoningOperator(task_id="poisoning", artifact=validate.output, label_column="label", budget=0.02)
    """

    control_name: ClassVar[str] = "label-poisoning"
    template_fields: Sequence[str] = (
        *ControlOperator.template_fields,
        "label_column",
        "feature_columns",
        "id_column",
        "budget",
        "warn_budget",
    )

    def __init__(
        self,
        *,
        label_column: str,
        feature_columns: Sequence[str] | None = None,
        id_column: str | None = None,
        estimator: Any = None,
        folds: int = 5,
        budget: float = 0.02,
        warn_budget: float | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.label_column = label_column
        self.feature_columns = feature_columns
        self.id_column = id_column
        self.estimator = estimator
        self.folds = folds
        self.budget = budget
        self.warn_budget = warn_budget
        self.seed = seed

    def control(self, artifact: Artifact, path: Path) -> Report:
        """See :func:`airflow_mlsecops.core.controls.label_poisoning.detect_label_poisoning`."""
        from airflow_mlsecops.core.controls.label_poisoning import detect_label_poisoning

        return detect_label_poisoning(
            artifact,
            path,
            label_column=self.label_column,
            feature_columns=self.feature_columns,
            id_column=self.id_column,
            estimator=self.estimator,
            folds=self.folds,
            budget=float(self.budget),  # a template makes it text
            warn_budget=None if self.warn_budget is None else float(self.warn_budget),
            seed=self.seed,
        )
