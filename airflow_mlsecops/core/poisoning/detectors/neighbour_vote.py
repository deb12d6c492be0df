"""Neighbour vote: rows most of whose neighbours carry one other label.

It is crude, and doubts many honest rows where classes overlap. But flips near a boundary, which models take for honest
doubt, it sees better than any model. It reports on its own and has no say in the verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlsecops.core.poisoning.detectors.detection import Detection

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlsecops.core.poisoning.neighbours import Neighbours

NAME = "neighbour-vote"
VOTERS = 25


def neighbour_vote(near: Neighbours, labels: NDArray[np.int64], classes: int) -> Detection:
    """Accuse rows that are outvoted; copies of a row have no vote, and a tie is no accusation.

    Args:
        near: the neighbour graph.
        labels: (rows,) 0 … classes - 1.
        classes: how many there are.
    """
    import numpy as np

    votes = np.zeros((len(labels), classes), dtype=np.int64)
    rows, voters = near.nearest(VOTERS)
    np.add.at(votes, (rows, labels[voters]), 1)
    flagged = votes.max(axis=1) > votes[np.arange(len(labels)), labels]
    message = f"{int(flagged.sum())} rows are outvoted by their {VOTERS} nearest neighbours"
    return Detection(NAME, flagged, None, message)
