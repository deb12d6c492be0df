"""Trigger enrichment: exact values that hardly occur in the trusted version, and now go with one label.

A static trigger writes the same values into the same features of each poisoned row. Such an atom (feature, value) is
counted among new rows and among trusted ones. An atom is accused when it is rarer than one in ``RARE`` among trusted
rows, stands in at least ``LEAST`` new rows, nearly all of one label, far more than chance puts there (binomial,
Bonferroni over atoms). Rows with at least two accused atoms of one label are flagged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_mlsecops.core.poisoning.dense import dense
from airflow_mlsecops.core.poisoning.detectors.detection import Detection
from airflow_mlsecops.core.poisoning.statistics import binomial_tail

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "trigger"
ALPHA = 0.01
LEAST = 5
PURE = 0.8
RARE = 100
TOGETHER = 2


def trigger_enrichment(
    features: NDArray[np.float64],
    labels: NDArray[np.int64],
    trusted: NDArray[np.float64],
    names: tuple[str, ...],
    classes: tuple[str, ...],
) -> Detection:
    """Accuse the rows that carry a trigger.

    Args:
        features: (rows, columns) of new rows.
        labels: (rows,) their labels.
        trusted: (trusted rows, columns).
        names: of the columns.
        classes: names of the classes.

    Raises:
        DataError: if either are no array of finite numbers.
    """
    import numpy as np

    features, trusted = dense(features, "features", rows=len(labels)), dense(trusted, "trusted features")
    rows, atoms, tested, least_p = len(labels), [], 0, 1.0
    hits = np.zeros((rows, len(classes)), dtype=np.int64)
    sizes = np.bincount(labels, minlength=len(classes))
    for column, name in enumerate(names):
        values, which, counts = np.unique(features[:, column], return_inverse=True, return_counts=True)
        places = np.sort(trusted[:, column])
        before = np.searchsorted(places, values, "right") - np.searchsorted(places, values, "left")
        for atom in np.flatnonzero((counts >= LEAST) & (before * RARE <= len(trusted))):
            tested += 1
            carriers = which == atom
            by_label = np.bincount(labels[carriers], minlength=len(classes))
            label, pure = int(by_label.argmax()), int(by_label.max())
            # Chance: as often as that label, and as often as the value could have been among trusted rows.
            p_label = binomial_tail(pure, int(counts[atom]), float(sizes[label]) / rows)
            p_new = binomial_tail(int(counts[atom]), rows, (int(before[atom]) + 1) / (len(trusted) + 1))
            p = max(p_label, p_new)
            if pure >= PURE * counts[atom]:
                least_p = min(least_p, p)
                atoms.append((p, column, name, float(values[atom]), label, int(counts[atom]), carriers))
    accused = [atom for atom in atoms if atom[0] * tested < ALPHA]
    for *_, label, _, carriers in accused:
        hits[carriers, label] += 1
    flagged: NDArray[np.bool_] = np.asarray((hits >= TOGETHER).any(axis=1))
    told = [
        {"feature": name[:80], "value": value, "label": classes[label], "rows": count, "p": min(1.0, p * tested)}
        for p, _, name, value, label, count, _ in sorted(accused, key=lambda atom: (atom[0], atom[1], atom[3]))[:20]
    ]
    message = "no values that are new since the trusted version go with one label"
    if flagged.any():
        message = (
            f"{int(flagged.sum())} rows carry values that are new, in {len(accused)} places, and go with one label"
        )
    p = min(1.0, least_p * max(tested, 1)) if flagged.any() or not accused else 1.0
    return Detection(NAME, flagged, p, message, {"atoms": told, "atoms_total": len(accused), "tested": tested})
