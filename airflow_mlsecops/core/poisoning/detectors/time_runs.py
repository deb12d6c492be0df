"""Time runs: a stretch of time in which far more labels are doubted than in the rest.

Windows of 2, 4, 8 … times a base length, each half over the next one, so that any stretch is nearly one of them. For
each, Fisher's exact test against the rest, corrected (Bonferroni) for the number of windows.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.poisoning.detectors.detection import Detection
from airflow_mlsecops.core.poisoning.statistics import hypergeometric_tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALPHA = 0.01
NAME = "time-run"
_LEAST = 8
_BARS = 60


def time_runs(times: NDArray[Any], suspects: NDArray[np.bool_]) -> Detection:
    """Accuse the suspects of the window that stands out most.

    Args:
        times: (rows,) anything that sorts; equal ones are never split.
        suspects: (rows,) the rows whose label is doubted.
    """
    import numpy as np

    rows, marked = len(times), int(suspects.sum())
    order = np.argsort(times, kind="stable")
    moments, sums = times[order], np.concatenate([[0], np.cumsum(suspects[order])])
    best, windows = (1.0, 0, rows), 0
    length = _LEAST
    while length <= rows // 2:
        for begin in range(0, rows - length + 1, length // 2):
            low = int(np.searchsorted(moments, moments[begin], side="left"))
            high = int(np.searchsorted(moments, moments[begin + length - 1], side="right"))
            windows += 1
            found = int(sums[high] - sums[low])
            if found * rows > (high - low) * marked:  # fewer than expected says nothing
                p = hypergeometric_tail(found, high - low, marked, rows)
                if p < best[0]:
                    best = (p, low, high)
        length *= 2
    p = min(1.0, best[0] * max(windows, 1))
    flagged = np.zeros(rows, dtype=bool)
    message, window = "no stretch of time stands out", None
    if p < ALPHA:
        inside = order[best[1] : best[2]]
        flagged[inside] = suspects[inside]
        window = {
            "since": str(moments[best[1]])[:40],
            "until": str(moments[best[2] - 1])[:40],
            "rows": best[2] - best[1],
        }
        message = (
            f"{int(flagged.sum())} of {window['rows']} labels from {window['since']} to {window['until']} are doubted"
        )
    edges = np.linspace(0, rows, min(_BARS, rows) + 1).astype(int)
    line = [
        {"since": str(moments[a])[:40], "rows": int(b - a), "suspects": int(sums[b] - sums[a])}
        for a, b in pairwise(edges)
    ]
    return Detection(NAME, flagged, p, message, {"window": window, "time_line": line, "windows": windows})
