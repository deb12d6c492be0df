"""Label pair, new against trusted: one label is doubted for one other far more often among new rows than among trusted.

Trusted rows know how often each two classes are mixed up honestly. A region with one wrong label, or rows of one class
with another label, are many doubts of one pair; rows of other pairs are left alone. Of all pairs the one that stands
out most is accused. Test: each pair among new rows and trusted ones (Fisher's exact), Bonferroni over pairs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlsecops.core.poisoning.detectors.detection import Detection
from airflow_mlsecops.core.poisoning.statistics import hypergeometric_tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "new-label-pair"
DOUBT = 0.5
"""A label is doubted when it has less than this share of the most probable class's probability."""

UNUSUAL = 0.2
"""A pair that chance puts there as often as this, before any correction, isn't accused of anything."""

NONE = -1
SHOWN = 20


def doubted_pairs(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """(rows,) ``label * classes + most probable class``, or ``NONE`` where the label isn't doubted.

    Args:
        probabilities: (rows, classes).
        labels: (rows,) 0 … classes - 1; less where a row isn't judged.
    """
    import numpy as np

    given = probabilities[np.arange(len(labels)), np.maximum(labels, 0)]
    doubted = (labels >= 0) & (given < DOUBT * probabilities.max(axis=1))
    return np.where(doubted, labels * probabilities.shape[1] + probabilities.argmax(axis=1), NONE)


def new_label_pair(
    pairs: NDArray[np.int64], new: NDArray[np.bool_], trusted: NDArray[np.int64], classes: tuple[str, ...]
) -> Detection:
    """Accuse the new rows of the pair that stands out most.

    Args:
        pairs: (rows,) of :func:`doubted_pairs`.
        new: (rows,) which rows are new.
        trusted: (trusted rows,) the same of trusted rows, judged by models that didn't see them.
        classes: names of the classes.
    """
    import numpy as np

    number, rows, cells = len(classes), int(new.sum()), len(classes) ** 2
    found, before = (np.bincount(part[part != NONE], minlength=cells) for part in (pairs[new], trusted))
    values = np.ones(cells)
    for cell in np.flatnonzero(found).tolist():
        together = int(found[cell] + before[cell])
        values[cell] = hypergeometric_tail(int(found[cell]), rows, together, rows + len(trusted))
    order = np.argsort(values, kind="stable")[:SHOWN]
    least = float(values[order[0]])
    flagged = new & (pairs == order[0]) & (least < UNUSUAL)
    told = [
        {
            "given": classes[cell // number],
            "suggested": classes[cell % number],
            "new": int(found[cell]),
            "trusted": int(before[cell]),
            "p": min(1.0, float(values[cell]) * number * (number - 1)),
        }
        for cell in order.tolist()
        if found[cell]
    ]
    message = "no pair of labels is mixed up more often among new rows than among trusted ones"
    if flagged.any():
        top = told[0]
        message = (
            f"{top['new']} new labels {top['given']!r} should rather be {top['suggested']!r}; "
            f"of {len(trusted)} trusted rows, {top['trusted']}"
        )
    return Detection(NAME, flagged, min(1.0, least * number * (number - 1)), message, {"pairs": told})
