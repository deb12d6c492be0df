"""Near-duplicate floods: many copies of a few rows, with labels that all other rows speak against.

A group of near-duplicates is one witness, not many. Of groups with at least ``LEAST`` rows, those most of whose rows
are doubted are guilty. Accused are all their rows with a label that is mostly doubted there, and so not the honest row
that the copies were made of. Test: as many doubted groups among large ones as chance puts there, at the rate
at which single rows are doubted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlsecops.core.poisoning.detectors.detection import Detection
from airflow_mlsecops.core.poisoning.statistics import binomial_tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST = 4
NAME = "near-duplicate-flood"


def duplicate_floods(groups: NDArray[np.int64], labels: NDArray[np.int64], suspects: NDArray[np.bool_]) -> Detection:
    """Accuse all rows of a group that have the same doubted label.

    Args:
        groups: (rows,) the group of each row.
        labels: (rows,) as given.
        suspects: (rows,) the rows whose label is doubted.
    """
    import numpy as np

    _, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    share = _share(which, suspects)
    large = sizes >= LEAST
    guilty = large & (share > 0.5)
    alone = sizes[which] == 1
    rate = (int(suspects[alone].sum()) + 1) / (int(alone.sum()) + 2)
    p = binomial_tail(int(guilty.sum()), int(large.sum()), rate)
    alike = np.unique(which * (int(labels.max(initial=0)) + 1) + labels, return_inverse=True)[1]
    flagged = guilty[which] & (_share(alike, suspects)[alike] > 0.5)
    message = "no large group of near-duplicates is doubted"
    if guilty.any():
        message = f"{int(guilty.sum())} groups of near-duplicates, {int(flagged.sum())} rows in all, are doubted"
    details = {
        "groups": int((sizes > 1).sum()),
        "large_groups": int(large.sum()),
        "guilty_groups": int(guilty.sum()),
        "largest": int(sizes.max(initial=0)),
        "rate_of_single_rows": round(rate, 6),
    }
    return Detection(NAME, flagged, p, message, details)


def _share(which: NDArray[np.intp], suspects: NDArray[np.bool_]) -> NDArray[np.float64]:
    import numpy as np

    return np.asarray(np.bincount(which, weights=suspects) / np.bincount(which))
