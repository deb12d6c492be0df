"""Contiguous regions: a part of a class that lies in the midst of another one, found by a minimum cut.

Each row is tied to its nearest rows. Relabelling a region saves the ties to the class around it, costs the ties to the
rest of its own class, and ``PRICE`` a row. For each class, the set of rows that gains most by joining it is a minimum
cut (Greig, Porteous, Seheult: "Exact Maximum A Posteriori Estimation for Binary Images", JRSS B 51, 1989; the step of
Boykov, Veksler, Zabih: "Fast Approximate Energy Minimization via Graph Cuts", PAMI 23, 2001). A flipped region touches
its true class all along its border and its new class hardly, whatever the rows inside it say about each other. Of all
regions the one that stands out most is accused. An honest island of a class looks the same; so this detector reports on
its own and has no say in the verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.poisoning.detectors.detection import Detection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlsecops.core.poisoning.neighbours import Neighbours

NAME = "contiguous-region"
TIES = 10
PRICE = 1
"""Ties that a relabelled row has to save."""

LEAST = 3
MOST = 0.55
"""A region is at most this share of the class that it is labelled as: the greater part is the class."""

LARGEST = 20_000
"""Rows up to which cuts are made; beyond, they take minutes."""


@dataclass(frozen=True)
class Region:
    """A part of one class that would rather be of another.

    Attributes:
        rows: ascending.
        given: their label.
        around: the label of the rows around them.
        saved: ties to the rows around them.
        lost: ties to other rows of their label.
        distinctness: ``(saved - lost) / sqrt(ties to the outside + 1)``.
    """

    rows: NDArray[np.int64]
    given: int
    around: int
    saved: int
    lost: int
    distinctness: float


def contiguous_regions(near: Neighbours, labels: NDArray[np.int64], classes: tuple[str, ...]) -> Detection:
    """Accuse the region that stands out most.

    Args:
        near: the neighbour graph.
        labels: (rows,) 0 … classes - 1.
        classes: names of the classes.
    """
    import numpy as np

    flagged = np.zeros(len(labels), dtype=bool)
    if len(labels) > LARGEST:
        return Detection(NAME, flagged, None, f"not looked for among more than {LARGEST} rows")
    ties = _ties(near)
    found = [region for k in range(len(classes)) for region in _regions(ties, labels, k, len(classes))]
    found.sort(key=lambda region: (-region.distinctness, region.given, region.around, int(region.rows[0])))
    if not found:
        return Detection(NAME, flagged, None, "no part of a class lies in the midst of another", {"regions": []})
    top = found[0]
    flagged[top.rows] = True
    told = [
        {
            "given": classes[item.given],
            "around": classes[item.around],
            "rows": len(item.rows),
            "ties_around": item.saved,
            "ties_to_own_label": item.lost,
        }
        for item in found[:20]
    ]
    message = (
        f"{len(top.rows)} rows labelled {classes[top.given]!r} lie together in the midst of {classes[top.around]!r}: "
        f"{top.saved} ties to it, {top.lost} to the rest of their label"
    )
    return Detection(NAME, flagged, None, message, {"regions": told, "regions_total": len(found)})


def _ties(near: Neighbours) -> NDArray[np.int64]:
    """(ties, 2) pairs of rows, one of which is among the nearest of the other; copies of a row aren't."""
    import numpy as np

    pairs = np.sort(np.stack(near.nearest(TIES), axis=1), axis=1)
    return np.asarray(np.unique(pairs, axis=0))


def _regions(ties: NDArray[np.int64], labels: NDArray[np.int64], around: int, classes: int) -> list[Region]:
    import numpy as np
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    moved, size = _moved(ties, labels, around), len(labels)
    first, second = ties.T
    within = moved[first] & moved[second] & (labels[first] == labels[second])
    graph = csr_matrix((np.ones(int(within.sum()), np.int8), (first[within], second[within])), shape=(size, size))
    parts = connected_components(graph, directed=False)[1]
    of_class, found = np.bincount(labels, minlength=classes), []
    for part in np.unique(parts[moved]):
        inside = parts == part
        rows = np.flatnonzero(inside)
        given = int(labels[rows[0]])
        if not LEAST <= len(rows) <= MOST * of_class[given]:
            continue
        border = inside[first] != inside[second]
        outside = np.where(inside[first], second, first)[border]
        to = np.bincount(labels[outside], minlength=classes)
        saved, lost = int(to[around]), int(to[given])
        found.append(Region(rows, given, around, saved, lost, (saved - lost) / float(np.sqrt(len(outside) + 1))))
    return found


def _moved(ties: NDArray[np.int64], labels: NDArray[np.int64], around: int) -> NDArray[np.bool_]:
    """(rows,) the rows that join the class in the best set; of equally good sets the smallest.

    With x = 1 for a row that joins, a tie costs ``a + (b - a) x_i - b x_j + (c + b - a) (1 - x_i) x_j``, where a, c and
    b are 1 if the labels differ now, if i doesn't have that of the class, and if j doesn't. The last term is an arc.
    """
    import numpy as np
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import breadth_first_order, maximum_flow

    rows, (first, second) = len(labels), ties.T
    differ = (labels[first] != labels[second]).astype(np.int64)
    apart_first, apart_second = ((labels[side] != around).astype(np.int64) for side in (first, second))
    cost = np.where(labels == around, 0, PRICE)
    np.add.at(cost, first, apart_second - differ)
    np.add.at(cost, second, -apart_second)
    arcs = apart_first + apart_second - differ
    stays, joins, kept = cost > 0, cost < 0, arcs > 0
    source, sink = rows, rows + 1
    tails: Any = [np.full(int(stays.sum()), source), np.flatnonzero(joins), first[kept]]
    heads: Any = [np.flatnonzero(stays), np.full(int(joins.sum()), sink), second[kept]]
    capacity = np.concatenate([cost[stays], -cost[joins], arcs[kept]]).astype(np.int32)
    shape = (rows + 2, rows + 2)
    graph = csr_matrix((capacity, (np.concatenate(tails), np.concatenate(heads))), shape=shape)
    left = graph - maximum_flow(graph, source, sink).flow
    left.data = np.maximum(left.data, 0)
    left.eliminate_zeros()
    # What the sink can be reached from joins: the smallest of equally good sets.
    reaching = breadth_first_order(left.T.tocsr(), sink, return_predecessors=False)
    moved = np.zeros(rows + 2, dtype=bool)
    moved[reaching] = True
    return np.asarray(moved[:rows] & (labels != around))
