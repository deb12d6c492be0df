"""What the accused rows touch: classes, sources, parts of the data, and how right models are about the rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlsecops.core.poisoning.analysis import Analysis
    from airflow_mlsecops.core.poisoning.labelled_table import LabelledTable
    from airflow_mlsecops.core.poisoning.noise_model import NoiseModel

MOST_CLASSES = 100
UNLIKE = 3


@dataclass(frozen=True)
class Figures:
    """How right models are about rows that aren't suspect, each judged by models that didn't see it.

    Attributes:
        accuracy: share of rows whose label is the most probable class.
        log_loss: mean of minus the logarithm of the label's probability.
        recall: (classes,) the accuracy of each class; None where all its rows are suspect.
    """

    accuracy: float
    log_loss: float
    recall: tuple[float | None, ...]


def with_and_without(model: NoiseModel, labels: NDArray[np.int64]) -> tuple[Figures, Figures]:
    """Figures of models that learned from all rows, and of models that learned without the suspects.

    Args:
        model: both.
        labels: (rows,) 0 … classes - 1.
    """
    rest = ~model.flagged
    return _figures(model.first[rest], labels[rest]), _figures(model.second[rest], labels[rest])


def _figures(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Figures:
    import numpy as np

    right = probabilities.argmax(axis=1) == labels
    loss = -np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-6))
    recall = []
    for k in range(probabilities.shape[1]):
        of_class = right[labels == k]
        recall.append(round(float(of_class.mean()), 6) if len(of_class) else None)
    return Figures(round(float(right.mean()), 6), round(float(loss.mean()), 6), tuple(recall))


def blast_radius(table: LabelledTable, found: Analysis) -> dict[str, Any]:
    """Which classes, which sources and which parts of the data the accused rows touch."""
    accused = found.accused
    sizes, touched = Counter(table.labels.tolist()), Counter(table.labels[accused].tolist())
    radius: dict[str, Any] = {
        "classes": [
            {"label": name, "rows": sizes[k], "accused": touched[k]}
            for k, name in enumerate(table.classes)
            if touched[k]
        ][:MOST_CLASSES],
        "parts": _parts(table, found),
    }
    if table.extras.sources is not None:
        radius["sources_touched"] = len({table.extras.sources[index] for index in accused.nonzero()[0]})
    return radius


def _parts(table: LabelledTable, found: Analysis) -> list[dict[str, Any]]:
    """The blocks of space that accused rows lie in, the most accused first, and what is unlike the rest in each."""
    import numpy as np

    if found.near is None or found.blocks is None:
        return []
    parts, accused = [], found.accused
    of_block = np.bincount(found.blocks[accused], minlength=int(found.blocks.max()) + 1)
    for block in np.argsort(-of_block, kind="stable")[: int((of_block > 0).sum())].tolist():
        inside = found.blocks == block
        middle = np.round(found.near.scaled[inside].mean(axis=0), 3)
        unlike = np.argsort(-np.abs(middle), kind="stable")[:UNLIKE].tolist()
        features = [{"feature": table.feature_names[k][:80], "deviations": float(middle[k])} for k in unlike]
        parts.append({"rows": int(inside.sum()), "accused": int(of_block[block]), "unlike": features})
    return parts


def models_on_the_rest(table: LabelledTable, found: Analysis) -> dict[str, Any]:
    """How the models' figures on the rows that aren't suspect change without the suspects."""
    before, after = found.with_and_without or (None, None)
    told: dict[str, Any] = {}
    for figures, when in ((before, ""), (after, "_without_suspects")):
        told[f"accuracy_on_the_rest{when}"] = None if figures is None else figures.accuracy
        told[f"log_loss_on_the_rest{when}"] = None if figures is None else figures.log_loss
    recall = [] if before is None or after is None else zip(table.classes, before.recall, after.recall, strict=True)
    told["recall_on_the_rest"] = [
        {"label": name, "with_suspects": one, "without_suspects": other}
        for name, one, other in recall
        if one is not None
    ][:MOST_CLASSES]
    return told
