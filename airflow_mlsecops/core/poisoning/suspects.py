"""Which labels the other rows speak against: confident learning over out-of-sample probabilities.

Northcutt, Jiang, Chuang: "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 70 (2021), through
cleanlab; here without its dependence on how a processor sorts ties.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.poisoning.estimators import DECIMALS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlsecops.core.poisoning.labelled_table import LabelledTable

DETECTOR = "confident-learning/prune_by_noise_rate"


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
    """Cleanlab's default filter, without its dependence on how a processor sorts ties.

    Args:
        labels: (rows,), encoded 0 … classes - 1.
        probabilities: (rows, classes), out of sample, rounded to :data:`DECIMALS`.
    """
    import numpy as np
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    rows = np.arange(len(labels))
    # Pruning takes the n largest margins by an unstable argsort. A nudge far below the rounding lets no two rows of a
    # class tie: the earlier one, by id, goes first. Only a probability of 1 can't be nudged; its row is never suspect.
    untied = probabilities.copy()
    nudge = rows / max(len(rows), 1) * 10.0 ** -(DECIMALS + 2)
    untied[rows, labels] = np.minimum(untied[rows, labels] + nudge, 1.0)
    flagged = find_label_issues(labels, untied, filter_by="prune_by_noise_rate", n_jobs=1)
    others = probabilities.copy()
    others[rows, labels] = -1.0
    quality = get_label_quality_scores(labels, probabilities, method="self_confidence")
    return Suspects(np.asarray(flagged, dtype=bool), others.argmax(axis=1), np.round(quality, DECIMALS))


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


def suspects_json(table: LabelledTable, suspects: Suspects) -> bytes:
    """The suspects as canonical JSON, the least believable label first, ties by row id."""
    rows = [
        {
            "row_id": table.row_ids[index],
            "given": table.classes[table.labels[index]],
            "suggested": table.classes[suspects.suggested[index]],
            "quality": float(suspects.quality[index]),
        }
        for index in suspects.flagged.nonzero()[0]
    ]
    return canonical_json(sorted(rows, key=lambda row: (row["quality"], row["row_id"])))
