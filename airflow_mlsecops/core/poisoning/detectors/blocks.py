"""Spatial concentration: whole regions with one wrong label, seen by models that learned nothing from the region.

In an ordinary cross-validation the rest of a flipped region vouches for it. Here folds are blocks of space (k-means
of the features, without the labels), so that a region is judged from outside. It also doubts honest islands; it
reports on its own and has no say in the verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlsecops.core.poisoning.detectors.detection import Detection
from airflow_mlsecops.core.poisoning.ensemble import ensemble_probabilities
from airflow_mlsecops.core.poisoning.noise_model import hidden_classes, sharpened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlsecops.core.poisoning.neighbours import Neighbours

NAME = "spatial-blocks"
BLOCKS = 15
SURE = 0.9
"""How probable another class has to be; and as many of the nearest rows must be doubted too."""


def spatial_concentration(
    near: Neighbours, labels: NDArray[np.int64], classes: int, *, sharpness: float, seed: int = 0
) -> Detection:
    """Accuse rows that models from outside their block doubt together with most of their neighbours of that label."""
    import numpy as np
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    blocks = max(2, min(BLOCKS, len(labels) // 20))
    with threadpool_limits(limits=1):
        fold_of = KMeans(blocks, n_init=1, random_state=seed).fit_predict(near.scaled).astype(np.int64)
    probabilities = ensemble_probabilities(near, labels, classes, fold_of=fold_of, seed=seed)
    posterior, _ = hidden_classes(sharpened(probabilities, sharpness), labels)
    rows = np.arange(len(labels))
    doubted = (posterior.argmax(axis=1) != labels) & (posterior[rows, labels] < 1 - SURE)
    alike = (labels[near.indices[:, :10]] == labels[:, None]) & doubted[near.indices[:, :10]]
    flagged = doubted & (alike.sum(axis=1) >= 3)
    message = f"{int(flagged.sum())} rows lie in regions that the rows around them doubt"
    return Detection(NAME, flagged, None, message, {"blocks": blocks, "doubted": int(doubted.sum())})
