"""Which rows lie close to which, and which are near-duplicates of each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.poisoning.dense import dense
from airflow_mlsecops.core.poisoning.kernel_view import KernelMap, kernel_map
from airflow_mlsecops.core.poisoning.nearest import nearest

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

    @cached_property
    def kernel(self) -> KernelMap:
        """The map of the kernel's view, for these rows and others."""
        return kernel_map(self.scaled, self.distances)

    @cached_property
    def smooth(self) -> NDArray[np.float64]:
        """(rows, features) for the kernel's view."""
        return self.kernel(self.scaled)

    def nearest(
        self, most: int, *, apart: NDArray[np.int64] | None = None, among: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(pairs,) rows and (pairs,) the nearest rows of each, nearest first; copies of a row aren't among them.

        Args:
            most: how many of each row.
            apart: (rows,) folds, of which a row's own doesn't count; by default the groups of near-duplicates.
            among: (rows,) the rows that count; by default all.
        """
        import numpy as np

        own = self.groups if apart is None else apart
        allowed = own[self.indices] != own[:, None]
        if among is not None:
            allowed &= among[self.indices]
        allowed &= np.cumsum(allowed, axis=1) <= most
        rows, places = np.nonzero(allowed)
        return rows, self.indices[rows, places]


def neighbours(features: NDArray[np.float64]) -> Neighbours:
    """Find the nearest rows of each; where all lie alike, the time grows with the square of the rows.

    Args:
        features: (rows, columns), finite; at least two rows.

    Raises:
        DataError: if features are anything else.
    """
    import numpy as np

    features = dense(features, "features")
    if len(features) < 2:
        raise DataError(f"{len(features)} rows have no neighbours", "expected at least 2 rows")
    scaled = standardised(features, features)
    width = min(WIDTH, len(scaled) - 1)
    distances, indices = nearest(scaled, width)
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
