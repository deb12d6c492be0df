"""Which labels the other rows speak against: confident learning over out-of-sample probabilities.

Northcutt, Jiang, Chuang: "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70 (2021); see
:mod:`airflow_mlsecops.core.poisoning.engine`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.poisoning.engine import DEFAULT_FILTER, find_issues, quality_scores
from airflow_mlsecops.core.poisoning.estimators import DECIMALS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlsecops.core.poisoning.detectors.detection import Detection
    from airflow_mlsecops.core.poisoning.labelled_table import LabelledTable

CONFIDENT_LEARNING = f"confident-learning/{DEFAULT_FILTER}"
NOISE_MODEL = "noise-model"


@dataclass(frozen=True)
class Suspects:
    """What one detector says about every row.

    Attributes:
        flagged: (rows,) bool: which labels are suspect.
        suggested: (rows,) the most probable class other than the given one.
        quality: (rows,) 0 to 1, the out-of-sample probability of the given label (self-confidence).
    """

    flagged: NDArray[np.bool_]
    suggested: NDArray[np.int64]
    quality: NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Suspects that were given one label where another one is more probable.

    Attributes:
        given: the label that stands in the data.
        suggested: the label that the other rows speak for.
        rows: how many suspects.
        share: of all rows with the given label.
    """

    given: str
    suggested: str
    rows: int
    share: float


def confident_learning(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> Suspects:
    """The default filter of confident learning; ties go by the order of the rows.

    Args:
        labels: (rows,), encoded 0 … classes - 1.
        probabilities: (rows, classes), out of sample.

    Raises:
        DataError: if the probabilities are none.
    """
    import numpy as np

    flagged = find_issues(labels, probabilities).mask()
    others = probabilities.copy()
    others[np.arange(len(labels)), labels] = -1.0
    quality = quality_scores(labels, probabilities)
    return Suspects(flagged, others.argmax(axis=1), np.round(quality, DECIMALS))


def mean_auc(labels: NDArray[np.int64], probabilities: NDArray[np.float64]) -> float:
    """Mean over classes of the area under the ROC curve, one class against the rest: 0.5 is chance, 1 is perfect."""
    import numpy as np
    from sklearn.metrics import roc_auc_score

    each = [roc_auc_score(labels == k, probabilities[:, k]) for k in range(probabilities.shape[1])]
    return round(float(np.mean(each)), DECIMALS)


def class_pairs(table: LabelledTable, suspects: Suspects) -> list[Pair]:
    """All (given, suggested) pairs among the suspects, the most rows first."""
    flagged = suspects.flagged
    counts = Counter(zip(table.labels[flagged].tolist(), suspects.suggested[flagged].tolist(), strict=True))
    sizes = Counter(table.labels.tolist())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], -item[1] / sizes[item[0][0]], item[0]))
    return [Pair(table.classes[g], table.classes[s], n, round(n / sizes[g], DECIMALS)) for (g, s), n in ordered]


def suspect_rows(
    table: LabelledTable, suspects: Suspects, accused: NDArray[np.bool_], detections: Sequence[Detection]
) -> list[dict[str, Any]]:
    """The accused rows, the least believable label first, ties by row id; each with the detectors that accuse it."""
    rows = []
    for index in accused.nonzero()[0].tolist():
        row = {
            "row_id": table.row_ids[index],
            "given": table.classes[table.labels[index]],
            "suggested": table.classes[suspects.suggested[index]],
            "quality": float(suspects.quality[index]),
            "detectors": [item.detector for item in detections if item.flagged[index]],
        }
        if table.extras.sources is not None:
            row["source"] = table.extras.sources[index]
        rows.append(row)
    return sorted(rows, key=lambda row: (row["quality"], row["row_id"]))
