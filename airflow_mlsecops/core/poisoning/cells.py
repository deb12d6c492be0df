"""Rows grouped into cells round centres, so that most pairs of rows needn't be compared.

Where the centres lie decides how long a search takes, never what it finds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CELL = 400
"""Rows of a cell, about."""

BLOCK = 512
"""Rows of one cell that are compared at once with as many of another one: a megabyte, which a cache holds."""

STEPS = 3
"""Lloyd's steps: more of them make cells little better."""


@dataclass(frozen=True)
class Cells:
    """Each row is in the cell whose centre is the nearest to it.

    Attributes:
        rows: (rows, columns).
        centres: (cells, columns).
        blocks: a cell and up to ``BLOCK`` of its rows; each row once.
    """

    rows: NDArray[np.float64]
    centres: NDArray[np.float64]
    blocks: list[tuple[int, NDArray[np.int64]]]

    @cached_property
    def between(self) -> NDArray[np.float64]:
        """(cells, cells) the distances of the centres."""
        import numpy as np
        from scipy.spatial.distance import cdist

        return np.asarray(cdist(self.centres, self.centres), dtype=np.float64)

    @cached_property
    def cell_of(self) -> NDArray[np.int64]:
        """(blocks,) the cell of each."""
        import numpy as np

        return np.array([cell for cell, _ in self.blocks])

    @cached_property
    def _rounding(self) -> float:
        """More than what the squared distance of a row to a centre, as it is found here, can be wrong by."""
        import numpy as np

        largest = float(np.einsum("ij,ij->i", self.rows, self.rows).max())
        return float(16 * (self.rows.shape[1] + 4) * np.finfo(np.float64).eps) * largest

    def gaps(self, cell: int, mine: NDArray[np.int64]) -> NDArray[np.float64]:
        """At most how far each row is from other cells: from the plane halfway between their centre and its own.

        Args:
            cell: which the rows are in.
            mine: the rows.

        Returns:
            (rows, cells); 0 or less where the plane says nothing.
        """
        import numpy as np

        squares = -2 * (self.rows[mine] @ self.centres.T) + np.einsum("ij,ij->i", self.centres, self.centres)
        beyond = squares - squares[:, [cell]] - self._rounding
        apart = 2 * self.between[cell]
        gaps: NDArray[np.float64] = np.divide(beyond, apart, out=np.zeros_like(beyond), where=apart > 0)
        return gaps


def cells_of(rows: NDArray[np.float64]) -> Cells:
    """Group rows; the same rows in the same order give the same cells."""
    import numpy as np

    centres = rows[:: -(-len(rows) // -(-len(rows) // CELL))]
    for step in range(STEPS + 1):
        used, which = np.unique(_nearest_centres(rows, centres), return_inverse=True)
        sizes, order = np.bincount(which), np.argsort(which, kind="stable")
        starts = np.cumsum(sizes) - sizes
        if step < STEPS:
            centres = np.add.reduceat(rows[order], starts) / sizes[:, None]
    members = np.split(order, starts[1:])
    blocks = [(cell, part[at : at + BLOCK]) for cell, part in enumerate(members) for at in range(0, len(part), BLOCK)]
    return Cells(rows, centres[used], blocks)


def _nearest_centres(rows: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.int64]:
    import numpy as np

    half = np.einsum("ij,ij->i", centres, centres) / 2
    parts = [np.argmin(half - rows[at : at + BLOCK] @ centres.T, axis=1) for at in range(0, len(rows), BLOCK)]
    return np.concatenate(parts)
