"""The exact nearest rows of each row, without comparing all with all where the data has structure.

1. Rows are grouped into cells round centres.
2. The plane halfway between two centres parts their cells: rows beyond it that lies farther off than the neighbours
   found so far can't be nearer than these, so that most cells are never looked at.
3. What remains is compared in single precision, as products of matrices. What comes out only decides which rows are
   looked at again, with a margin for all that rounding can do.
4. Those are measured from the differences, in double precision, and rounded.

Ties go by row, so threads, processors and the cells change nothing.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from airflow_mlsecops.core.poisoning.candidates import Candidates
from airflow_mlsecops.core.poisoning.cells import Cells, cells_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def nearest(rows: NDArray[np.float64], width: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distances and indices of the nearest other rows, nearest first, ties by row; each (rows, width).

    Args:
        rows: (rows, columns), finite, of a scale near 1.
        width: how many neighbours; fewer than there are rows.
    """
    import numpy as np

    rows = np.ascontiguousarray(rows)
    _, which = np.unique(rows, axis=0, return_inverse=True)
    which = which.ravel()
    order, counts = np.argsort(which, kind="stable"), np.bincount(which)
    starts = np.cumsum(counts) - counts
    spare = order[np.arange(len(rows)) - np.repeat(starts, counts) > width]
    if not len(spare):
        return _search(rows, width)
    # So many copies of a spare row come before it that it is nobody's neighbour; its own are those of the first copy.
    kept = np.delete(np.arange(len(rows)), spare)
    distances, indices = np.empty((len(rows), width)), np.empty((len(rows), width), dtype=np.int64)
    distances[kept], found = _search(rows[kept], width)
    indices[kept] = kept[found]
    first = order[starts[which[spare]]]
    far, near = np.c_[distances[first], np.zeros(len(first))], np.c_[indices[first], first]
    best = np.lexsort((near, far), axis=1)[:, :width]
    distances[spare], indices[spare] = np.take_along_axis(far, best, axis=1), np.take_along_axis(near, best, axis=1)
    return distances, indices


def _search(rows: NDArray[np.float64], width: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    import numpy as np
    from threadpoolctl import threadpool_info, threadpool_limits

    threads = max((library["num_threads"] for library in threadpool_info()), default=1)
    distances, indices = np.empty((len(rows), width)), np.empty((len(rows), width), dtype=np.int64)
    with threadpool_limits(limits=1), ThreadPoolExecutor(threads) as pool:  # products are too small to be shared out
        cells = cells_of(rows)
        found = pool.map(lambda block: _search_block(cells, block[0], block[1], width).best(), cells.blocks)
        for (_, mine), best in zip(cells.blocks, found, strict=True):
            distances[mine], indices[mine] = best
    return distances, indices


def _search_block(cells: Cells, cell: int, mine: NDArray[np.int64], width: int) -> Candidates:
    """Compare the rows of a block with those of all cells that may hold a neighbour, the nearest cells first."""
    import numpy as np

    candidates = Candidates(cells.rows, mine, cells.centres[cell], width)
    order = np.argsort(cells.between[cell, cells.cell_of], kind="stable")
    reached = np.cumsum([len(cells.blocks[at][1]) for at in order[: width + 1]])
    first = int(np.searchsorted(reached, width + 1)) + 1
    candidates.compare(np.arange(len(mine)), np.concatenate([cells.blocks[at][1] for at in order[:first]]))
    gaps = cells.gaps(cell, mine)
    within = np.flatnonzero(np.any(gaps <= candidates.reach[:, None], axis=0))
    for at in order[first:][np.isin(cells.cell_of[order[first:]], within)]:
        other, theirs = cells.blocks[at]
        who = np.flatnonzero(gaps[:, other] <= candidates.reach)
        if len(who):
            candidates.compare(who, theirs)
    return candidates
