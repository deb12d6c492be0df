"""Models that learned from trusted rows alone: what they say about each other, and about rows that are new."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.poisoning.dense import dense
from airflow_mlsecops.core.poisoning.estimators import default_estimator, out_of_sample_probabilities
from airflow_mlsecops.core.poisoning.kernel_view import held_out_probabilities, kernel_probabilities
from airflow_mlsecops.core.poisoning.neighbours import Neighbours, neighbours, standardised
from airflow_mlsecops.core.poisoning.noise_model import hidden_classes, sharpened, sharpness_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

VOTES = 3
"""Views in the default estimator, beside which the kernel is a fourth."""

SUPPOSED = 0.02
"""The share of poison that the test is made for."""


class TrustedJudges:
    """The default estimator and the kernel's view, learned from trusted rows.

    Args:
        features: (rows, columns) of trusted rows.
        labels: (rows,) 0 … classes - 1.
        classes: how many there are.
        folds: of the cross-validation among trusted rows.
        seed: of all that is drawn.
    """

    def __init__(
        self, features: NDArray[np.float64], labels: NDArray[np.int64], classes: int, *, folds: int = 5, seed: int = 0
    ) -> None:
        self._features, self._labels, self._classes = features, labels, classes
        self._folds, self._seed = folds, seed

    def __call__(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows, classes) probabilities of rows that are not among the trusted ones.

        Raises:
            DataError: if features are no array of finite numbers.
        """
        from threadpoolctl import threadpool_limits

        scaled = standardised(dense(features, "features"), self._features)
        with threadpool_limits(limits=1):
            smooth = kernel_probabilities(self._near.smooth, self._labels, self._near.kernel(scaled), self._classes)
            return _averaged(self._model.predict_proba(scaled), smooth)

    def log_ratios(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """(rows, classes) how much more likely each label is in poisoned data than in honest ones; for small shares.

        Honest labels are noisy reports of the class, as among trusted rows; of poisoned data, a share of ``SUPPOSED``
        has any other label. The sum over rows is the most powerful test of one against the other (Neyman, Pearson).

        Args:
            probabilities: (rows, classes).
        """
        import numpy as np

        sharp = sharpened(probabilities, self._sharpness)
        wrong = (1 - sharp) / (self._classes - 1)
        return np.asarray(np.log1p(SUPPOSED * (wrong / np.maximum(sharp @ self._noise, 1e-9) - 1)))

    @cached_property
    def _sharpness(self) -> float:
        return sharpness_of(self.own, self._labels)

    @cached_property
    def _noise(self) -> NDArray[np.float64]:
        return hidden_classes(sharpened(self.own, self._sharpness), self._labels)[1]

    @cached_property
    def own(self) -> NDArray[np.float64]:
        """(trusted rows, classes) probabilities, each by models that didn't see the row."""
        import numpy as np
        from threadpoolctl import threadpool_limits

        scaled, labels, classes = self._near.scaled, self._labels, self._classes
        views = out_of_sample_probabilities(scaled, labels, classes=classes, folds=self._folds, seed=self._seed)
        everyone = np.ones(len(labels), dtype=bool)
        with threadpool_limits(limits=1):
            smooth = held_out_probabilities(self._near.smooth, labels, classes, everyone, views.fold_of)
        return _averaged(views.probabilities, smooth)

    @cached_property
    def _near(self) -> Neighbours:
        return neighbours(self._features)

    @cached_property
    def _model(self) -> Any:
        return default_estimator(seed=self._seed).fit(self._near.scaled, self._labels)


def _averaged(views: NDArray[np.float64], smooth: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    return np.asarray(np.round((VOTES * views + smooth) / (VOTES + 1), 6))
