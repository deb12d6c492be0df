"""Which rows lie close to which, and which are near-duplicates of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WIDTH = 60
"""Neighbours that are kept of each row."""

DUPLICATE_SHARE = 0.05
"""Two rows nearer than this share of the median distance to the nearest neighbour are near-duplicates."""


@dataclass(frozen=True)
class Neighbours:
    """The exact neighbour graph of standardised features.

    Attributes:
        scaled: (rows, columns) features with mean 0 and deviation 1; constant ones are 0.
        indices: (rows, width) the nearest other rows, nearest first, ties by row.
        distances: (rows, width).
        groups: (rows,) the first row of the group of near-duplicates that a row belongs to; its own number if to none.
    """

    scaled: NDArray[np.float64]
    indices: NDArray[np.int64]
    distances: NDArray[np.float64]
    groups: NDArray[np.int64]


def neighbours(features: NDArray[np.float64]) -> Neighbours:
    """Compare every row with every other; the time grows with the square of the rows.

    Args:
        features: (rows, columns), finite; at least two rows.
    """
    import numpy as np
    from sklearn.neighbors import NearestNeighbors

    scaled = standardised(features, features)
    width = min(WIDTH, len(scaled) - 1)
    found = NearestNeighbors(n_neighbors=width, n_jobs=1).fit(scaled)
    distances, indices = found.kneighbors()
    distances = np.round(distances, 9)  # ties stay ties on every processor
    order = np.lexsort((indices, distances), axis=1)
    distances, indices = np.take_along_axis(distances, order, 1), np.take_along_axis(indices, order, 1)
    limit = DUPLICATE_SHARE * float(np.median(distances[:, 0]))
    return Neighbours(scaled, indices, distances, _groups(indices, distances <= limit))


def standardised(features: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    """Features minus the mean of the reference, by its deviation."""
    import numpy as np

    deviation = reference.std(axis=0)
    scaled: NDArray[np.float64] = (features - reference.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0)
    return scaled


def _groups(indices: NDArray[np.int64], near: NDArray[np.bool_]) -> NDArray[np.int64]:
    import numpy as np
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows, columns = np.nonzero(near)
    size = len(indices)
    graph = coo_matrix((np.ones(len(rows), dtype=np.int8), (rows, indices[rows, columns])), shape=(size, size))
    _, parts = connected_components(graph, directed=False)
    _, first, which = np.unique(parts, return_index=True, return_inverse=True)
    return np.asarray(first[which], dtype=np.int64)
