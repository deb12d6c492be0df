"""Near-duplicate floods: many copies of a few rows, with labels that all other rows speak against.

A group of near-duplicates is one witness, not many. Of groups with at least ``LEAST`` rows, those most of whose rows
are doubted are accused as a whole. Test: as many doubted groups among large ones as chance puts there, at the rate
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


def duplicate_floods(groups: NDArray[np.int64], suspects: NDArray[np.bool_]) -> Detection:
    """Accuse whole groups.

    Args:
        groups: (rows,) the group of each row.
        suspects: (rows,) the rows whose label is doubted.
    """
    import numpy as np

    heads, which, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    share = np.bincount(which, weights=suspects, minlength=len(heads)) / sizes
    large = sizes >= LEAST
    guilty = large & (share > 0.5)
    alone = sizes[which] == 1
    rate = (int(suspects[alone].sum()) + 1) / (int(alone.sum()) + 2)
    p = binomial_tail(int(guilty.sum()), int(large.sum()), rate)
    flagged = guilty[which]
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
