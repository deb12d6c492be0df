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
"""How probable other classes have to be; and three of the ten nearest rows, of the same label, be doubted too."""


def blocks_of(near: Neighbours, *, seed: int = 0) -> NDArray[np.int64]:
    """(rows,) blocks of space: k-means of the features, without the labels."""
    import numpy as np
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    blocks = max(2, min(BLOCKS, len(near.scaled) // 20))
    with threadpool_limits(limits=1):
        return np.asarray(KMeans(blocks, n_init=1, random_state=seed).fit_predict(near.scaled), dtype=np.int64)


def spatial_concentration(
    near: Neighbours,
    labels: NDArray[np.int64],
    classes: int,
    blocks: NDArray[np.int64],
    *,
    sharpness: float,
    seed: int = 0,
) -> Detection:
    """Accuse rows that models from outside their block doubt together with some of their neighbours of that label.

    Args:
        near: the neighbour graph.
        labels: (rows,) 0 … classes - 1.
        classes: how many there are.
        blocks: (rows,) of :func:`blocks_of`.
        sharpness: of the noise model.
        seed: of all that is drawn.
    """
    import numpy as np

    probabilities = ensemble_probabilities(near, labels, classes, fold_of=blocks, seed=seed)
    posterior, _ = hidden_classes(sharpened(probabilities, sharpness), labels)
    rows = np.arange(len(labels))
    doubted = (posterior.argmax(axis=1) != labels) & (posterior[rows, labels] < 1 - SURE)
    alike = (labels[near.indices[:, :10]] == labels[:, None]) & doubted[near.indices[:, :10]]
    flagged = doubted & (alike.sum(axis=1) >= 3)
    message = f"{int(flagged.sum())} rows lie in regions that the rows around them doubt"
    return Detection(NAME, flagged, None, message, {"blocks": int(blocks.max()) + 1, "doubted": int(doubted.sum())})
