"""The rows that may be among the nearest of those of one block, found in single precision, measured in double.

A pair's squared distance, less the square of the first row's distance to the centre, is one product of matrices. Its
error in single precision is at most ``error * (8 * norm + 2 * square)``, where ``norm`` is that square and ``square``
the pair's: by the usual bound of a sum of ``columns + 1`` products (Higham, Accuracy and Stability of Numerical
Algorithms, 2nd ed., section 3.1) and since a row is no farther from the centre than the other one plus their distance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DECIMALS = 9
"""Of a distance: ties stay ties on every processor."""

ROUNDING = 2.0**-24
"""The largest relative error of one operation in single precision."""

CROWD = 16
"""So many times as many candidates as are looked for are ties, and would fill the memory. They are measured at once,
which is slow where nearly all rows are equally far from each other."""


class Candidates:
    """Of a block of rows; the farthest that still counts comes nearer as more are compared.

    Attributes:
        reach: (block,) no row farther than this one can be among the nearest.
    """

    reach: NDArray[np.float64]

    def __init__(
        self, rows: NDArray[np.float64], mine: NDArray[np.int64], centre: NDArray[np.float64], width: int
    ) -> None:
        """Begin without any.

        Args:
            rows: all, (rows, columns).
            mine: the rows of the block.
            centre: a point near them; differences from it lose less to rounding.
            width: how many are looked for.
        """
        import numpy as np

        self._rows, self._mine, self._centre, self._width = rows, mine, centre, width
        shifted = rows[mine] - centre
        self._norms = np.einsum("ij,ij->i", shifted, shifted)
        self._left = np.hstack([-2 * shifted, np.ones((len(mine), 1))]).astype(np.float32)
        self._error = (rows.shape[1] + 8) * ROUNDING
        self._limits = np.full(len(mine), np.inf, dtype=np.float32)
        self._parts: list[tuple[NDArray[np.uint16], NDArray[np.int64], NDArray[np.float32]]] = []
        self._held, self._allowed = 0, 0

    def compare(self, who: NDArray[np.intp], theirs: NDArray[np.int64]) -> None:
        """Take in those of other rows that are near enough.

        Args:
            who: which rows of the block to compare.
            theirs: the other rows; the first time more than are looked for, the rows of the block among them.
        """
        import numpy as np

        shifted = self._rows[theirs] - self._centre
        right = np.empty((len(theirs), self._left.shape[1]), dtype=np.float32)
        right[:, :-1], right[:, -1] = shifted, np.einsum("ij,ij->i", shifted, shifted)
        values = self._left[who] @ right.T
        if not self._parts:
            self._tighten(np.partition(values, self._width, axis=1)[:, self._width])
        hits = np.flatnonzero(values <= self._limits[who, None])
        row = hits // len(theirs)
        self._parts.append((who[row].astype(np.uint16), theirs[hits - row * len(theirs)], values.ravel()[hits]))
        self._held += len(hits)
        if self._held > self._allowed:
            self._forget()

    def best(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Distances and indices of the nearest, nearest first, ties by row; each (block, width)."""
        import numpy as np

        self._forget()
        row, other, _ = self._parts[0]
        keep = self._mine[row] != other
        distances, indices, _ = self._measured(row[keep], other[keep])
        best = np.lexsort((indices, distances), axis=1)[:, : self._width]
        return np.take_along_axis(distances, best, axis=1), np.take_along_axis(indices, best, axis=1)

    def _forget(self) -> None:
        """Drop candidates that are too far, given the others."""
        import numpy as np

        row, other, value = (np.concatenate(part) for part in zip(*self._parts, strict=True))
        order = np.argsort(row, kind="stable")
        row, other, value = row[order], other[order], value[order]
        table = _table(row, value, len(self._mine), np.float32(np.inf))
        table.partition(self._width, axis=1)
        self._tighten(table[:, self._width])
        near = value <= self._limits[row]
        row, other, value = row[near], other[near], value[near]
        if len(row) > CROWD * (self._width + 1) * len(self._mine):
            row, other, value = self._first_of_ties(row, other, value)
        self._parts = [(row, other, value)]
        self._held, self._allowed = len(row), 2 * len(row)

    def _tighten(self, values: NDArray[np.float32]) -> None:
        """Given the value of the farthest row that counts now, the row itself being the nearest."""
        import numpy as np

        squares = (np.maximum(values + self._norms, 0) + 8 * self._error * self._norms) / (1 - 2 * self._error)
        self.reach = np.sqrt(squares) + 2 * 10.0**-DECIMALS
        limits = self.reach**2 * (1 + 2 * self._error) - self._norms * (1 - 8 * self._error)
        self._limits = limits.astype(np.float32)

    def _first_of_ties(
        self, row: NDArray[np.uint16], other: NDArray[np.int64], value: NDArray[np.float32]
    ) -> tuple[NDArray[np.uint16], NDArray[np.int64], NDArray[np.float32]]:
        """The nearest only, with the row itself."""
        import numpy as np

        distances, indices, filled = self._measured(row, other)
        best = np.lexsort((indices, distances), axis=1)[:, : self._width + 1]
        values = _table(row, value, len(self._mine), np.float32(np.inf))
        rows = np.broadcast_to(np.arange(len(best), dtype=np.uint16)[:, None], best.shape)
        kept = np.take_along_axis(filled, best, axis=1)
        return (
            rows[kept],
            np.take_along_axis(indices, best, axis=1)[kept],
            np.take_along_axis(values, best, axis=1)[kept],
        )

    def _measured(
        self, row: NDArray[np.uint16], other: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
        """Tables of distances and indices, with a row for each one of the block, and where they are filled."""
        import numpy as np

        measured = np.empty(len(row))
        stops = np.cumsum(np.bincount(row, minlength=len(self._mine)))
        for me, start, stop in zip(self._mine, [0, *stops], stops, strict=False):
            differences = self._rows[other[start:stop]]
            differences -= self._rows[me]
            measured[start:stop] = np.einsum("ij,ij->i", differences, differences)
        np.sqrt(measured, out=measured)
        distances = _table(row, measured.round(DECIMALS), len(self._mine), np.inf)
        return distances, _table(row, other, len(self._mine), np.int64(-1)), np.isfinite(distances)


def _table(row: NDArray[np.uint16], values: NDArray[Any], size: int, empty: Any) -> NDArray[Any]:
    """Values side by side, by row, which are in order; the rest is filled."""
    import numpy as np

    counts = np.bincount(row, minlength=size)
    table = np.full((size, int(counts.max(initial=0))), empty, dtype=values.dtype)
    table[row, np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)] = values
    return table
