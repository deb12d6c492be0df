"""Source concentration: a source, an annotator or a supplier whose rows are doubted far more often than the rest.

For each source, the number of its suspects given the number of all (Fisher's exact test against the rest), corrected by
Holm's method for the number of sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_mlsecops.core.poisoning.detectors.detection import Detection
from airflow_mlsecops.core.poisoning.statistics import holm, hypergeometric_tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ALPHA = 0.01
NAME = "source"
SHOWN = 200


def source_concentration(
    sources: Sequence[str], suspects: NDArray[np.bool_], by_source: NDArray[np.bool_] | None = None
) -> Detection:
    """Accuse the suspects of every source that stands out; one after the other, so that a great one hides no other.

    Args:
        sources: (rows,) the source of each row.
        suspects: (rows,) the rows whose label is doubted, whatever their source: the test counts these.
        by_source: (rows,) the rows whose label is doubted by a noise model of each source, of which those of an accused
            source are flagged; by default ``suspects``.
    """
    import numpy as np

    names, which = np.unique(np.asarray(sources, dtype=object).astype(str), return_inverse=True)
    sizes = np.bincount(which, minlength=len(names))
    doubted = np.bincount(which, weights=suspects, minlength=len(names)).astype(np.int64)
    accused: list[int] = []
    corrected = np.ones(len(names))
    while len(accused) < len(names) - 1:  # against the rest that isn't accused
        left = [index for index in range(len(names)) if index not in accused]
        total, marked = int(sizes[left].sum()), int(doubted[left].sum())
        raw = [hypergeometric_tail(int(doubted[i]), int(sizes[i]), marked, total) if doubted[i] else 1.0 for i in left]
        values = holm(raw, tests=len(names))
        worst = min(range(len(left)), key=lambda place: (values[place], left[place]))
        if not accused:
            corrected[left] = values
        corrected[left[worst]] = min(corrected[left[worst]], values[worst])
        if values[worst] >= ALPHA:
            break
        accused.append(left[worst])
    flagged = (suspects if by_source is None else by_source) & np.isin(which, accused)
    order = sorted(range(len(names)), key=lambda index: (corrected[index], -doubted[index], index))
    told = [
        {
            "source": str(names[i])[:80],
            "rows": int(sizes[i]),
            "suspects": int(doubted[i]),
            "p": float(corrected[i]),
            "accused": i in accused,
        }
        for i in order[:SHOWN]
    ]
    message = f"none of {len(names)} sources stands out"
    if accused:
        top = told[0]
        others = f", and {len(accused) - 1} more sources" if len(accused) > 1 else ""
        message = f"source {top['source']!r}: {top['suspects']} of its {top['rows']} labels are doubted{others}"
    details = {"sources": told, "sources_total": len(names), "accused": [str(names[i])[:80] for i in accused][:SHOWN]}
    return Detection(NAME, flagged, float(corrected.min(initial=1.0)), message, details)
