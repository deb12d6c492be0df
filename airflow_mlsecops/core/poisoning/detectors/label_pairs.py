"""Label-pair excess: flips from one class to another that the way back doesn't explain.

Classes that are hard to tell apart are confused both ways. Under this null, of the suspects between classes a and b a
share of at most ``NATURAL`` (more if b has more rows) is labelled a. The test is binomial, corrected by Holm's
method for all ordered pairs that have suspects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlsecops.core.poisoning.detectors.detection import Detection
from airflow_mlsecops.core.poisoning.statistics import binomial_tail, holm

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NATURAL = 0.6
ALPHA = 0.01
NAME = "label-pair"


def label_pair_excess(
    labels: NDArray[np.int64], suggested: NDArray[np.int64], suspects: NDArray[np.bool_], classes: tuple[str, ...]
) -> Detection:
    """Accuse the suspects of every pair with an excess.

    Args:
        labels: (rows,) given labels.
        suggested: (rows,) what the other rows say.
        suspects: (rows,) the rows whose label is doubted.
        classes: names of the classes.
    """
    import numpy as np

    k = len(classes)
    counts = np.zeros((k, k), dtype=np.int64)
    np.add.at(counts, (labels[suspects], suggested[suspects]), 1)
    sizes = np.bincount(labels, minlength=k)
    pairs = [(int(a), int(b)) for a, b in zip(*np.nonzero(counts), strict=True) if a != b]
    raw = []
    for a, b in pairs:
        natural = max(NATURAL, float(sizes[b]) / float(sizes[a] + sizes[b]))
        raw.append(binomial_tail(int(counts[a, b]), int(counts[a, b] + counts[b, a]), natural))
    corrected = holm(raw, tests=k * (k - 1))
    found = sorted(
        ((p, a, b) for p, (a, b) in zip(corrected, pairs, strict=True) if p < ALPHA),
        key=lambda item: (item[0], -counts[item[1], item[2]], item[1:]),
    )
    flagged = np.zeros(len(labels), dtype=bool)
    for _, a, b in found:
        flagged |= suspects & (labels == a) & (suggested == b)
    told = [
        {"given": classes[a], "suggested": classes[b], "rows": int(counts[a, b]), "back": int(counts[b, a]), "p": p}
        for p, a, b in found[:20]
    ]
    message = "no pair of labels has more flips one way than the way back explains"
    if told:
        top = told[0]
        message = (
            f"{top['rows']} rows of {top['suggested']!r} are labelled {top['given']!r}, {top['back']} the other way"
        )
    return Detection(NAME, flagged, min(corrected, default=1.0), message, {"pairs": told, "pairs_total": len(found)})
