"""A noise matrix for each source: a careless or hostile one mislabels in its own way, and its rows are judged by it.

Sources are those of the source column; where only a time column is named, ten stretches of time with as many rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.poisoning.detectors.detection import Detection
from airflow_mlsecops.core.poisoning.noise_model import NoiseModel, hidden_classes_by_source, sharpened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME = "noise-model-by-source"
STRETCHES = 10
LARGEST = 20_000_000
"""Cells of all noise matrices together: 160 MB."""

SHOWN = 20


def doubted_by_source(
    model: NoiseModel, labels: NDArray[np.int64], sources: Sequence[str], classes: Sequence[str]
) -> Detection:
    """Doubt labels by the noise of their source; it reports on its own and has no say in the verdict.

    Args:
        model: the noise model of all rows.
        labels: (rows,) 0 … classes - 1.
        sources: (rows,) the source of each row.
        classes: names of the classes.
    """
    import numpy as np

    names, which = np.unique(np.asarray(sources, dtype=object).astype(str), return_inverse=True)
    if len(names) * model.noise.size > LARGEST:
        message = f"{len(names)} sources of {len(model.noise)} classes are too many for a noise matrix each"
        return Detection(NAME, model.flagged, None, message, {"sources": []})
    posterior, noise = hidden_classes_by_source(
        sharpened(model.second, model.sharpness), labels, model.noise, which.astype(np.int64)
    )
    flagged = posterior.argmax(axis=1) != labels
    sizes = np.bincount(which)
    wrong = 1 - np.bincount(which, weights=posterior[np.arange(len(labels)), labels]) / sizes
    told = []
    for source in np.argsort(-wrong, kind="stable")[:SHOWN].tolist():
        off = noise[source] * (1 - np.eye(len(model.noise)))
        true, given = divmod(int(off.argmax()), len(off))
        told.append(
            {
                "source": str(names[source])[:80],
                "rows": int(sizes[source]),
                "wrong_share": round(float(wrong[source]), 6),
                "flips": {"class": classes[true], "label": classes[given], "share": round(float(off.max()), 6)},
            }
        )
    message = f"{int(flagged.sum())} labels are doubted by the noise models of {len(names)} sources"
    return Detection(NAME, flagged, None, message, {"sources": told})


def stretches(times: NDArray[Any]) -> list[str]:
    """(rows,) the stretch of time that a row belongs to; rows of one moment belong together."""
    import numpy as np

    moments, which = np.unique(times, return_inverse=True)
    first = np.concatenate([[0], np.cumsum(np.bincount(which, minlength=len(moments)))[:-1]])
    number = first * STRETCHES // len(times)
    since = {int(k): str(moments[np.flatnonzero(number == k)[0]])[:40] for k in np.unique(number)}
    return [f"since {since[int(number[place])]}" for place in which]
