"""Difference to the last trusted version: labels changed on known rows, and new rows judged by a model of trusted ones.

Poison that vouches for itself can't: nothing of it was there when the models learned.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.poisoning.detectors.detection import Detection
from airflow_mlsecops.core.poisoning.detectors.new_pairs import doubted_pairs, new_label_pair
from airflow_mlsecops.core.poisoning.labelled_table import LabelledTable, quoted
from airflow_mlsecops.core.poisoning.statistics import detectable_share, greater_sum
from airflow_mlsecops.core.poisoning.trusted_judges import TrustedJudges

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHANGED = "changed-labels"
NEW_ROWS = "new-rows-against-trusted"
DOUBT = 0.2
"""A label is doubted when trusted rows give it less than this share of the probability of the most probable class.
Chosen, as all here, on the data sets that ``benchmarks/poisoning_data.py`` names."""


@dataclass(frozen=True)
class BaselineAnswer:
    """What the comparison says.

    Attributes:
        changed: rows whose id was trusted and whose label isn't the trusted one, whatever their features.
        new: new rows that trusted rows doubt; its p-value is that of labels less likely than those of trusted rows.
        pair: new rows of the label pair that stands out.
        known: (rows,) whether the id stands in the baseline, with these features.
        suggested: (rows,) the trusted label of known and of changed rows, else the most probable class by trusted rows.
        detectable: the least share of poison among new rows that would be seen nine times of ten.
    """

    changed: Detection
    new: Detection
    pair: Detection
    known: NDArray[np.bool_]
    suggested: NDArray[np.int64]
    detectable: float


def against_baseline(
    table: LabelledTable,
    trusted: LabelledTable,
    *,
    folds: int = 5,
    seed: int = 0,
    judges: TrustedJudges | None = None,
) -> BaselineAnswer:
    """Compare with the trusted version.

    Args:
        table: what is judged; its ids name rows as the baseline's do.
        trusted: the last trusted version.
        folds: of the cross-validation among trusted rows, whose own rate of doubt is the null.
        seed: of all that is drawn.
        judges: models of the trusted rows, where they are at hand already.

    Raises:
        DataError: if the two don't have the same features.
    """
    import numpy as np

    if trusted.feature_names != table.feature_names:
        odd = sorted(set(trusted.feature_names) ^ set(table.feature_names)) or list(table.feature_names)
        raise DataError(
            f"the baseline has other features: {quoted(odd)}", "compare with a version that has the same columns"
        )
    label_of = dict(zip(trusted.row_ids, (trusted.classes[k] for k in trusted.labels), strict=True))
    number = {name: k for k, name in enumerate(table.classes)}
    given = [table.classes[k] for k in table.labels]
    known = _known(table, trusted)
    changed = np.array([label_of.get(i, own) != own for i, own in zip(table.row_ids, given, strict=True)], dtype=bool)
    suggested = np.array([number.get(label_of.get(i, ""), -1) for i in table.row_ids], dtype=np.int64)
    suggested[~known & ~changed] = -1  # an id that was trusted, with other features: another row
    message = f"{int(changed.sum())} of {int(known.sum())} known rows have another label than in the trusted version"
    unknown = sorted(set(table.classes) - set(trusted.classes))
    details: dict[str, Any] = {"known": int(known.sum()), "new": int((~known).sum()), "new_classes": unknown[:20]}
    first = Detection(CHANGED, changed, None, message, details)
    if judges is None:
        judges = TrustedJudges(trusted.features, trusted.labels, len(trusted.classes), folds=folds, seed=seed)
    judged = _judged(table, trusted, ~known, judges)
    suggested = np.where(suggested < 0, judged.suggested, suggested)
    new, rows = int((~known).sum()), len(trusted.labels)
    message = f"{int(judged.doubted.sum())} of {new} new labels are doubted by trusted rows"
    told = {
        "new": new,
        "trusted": rows,
        "mean_log_ratio_new": round(float(judged.new.mean()), 6) if new else None,
        "mean_log_ratio_trusted": round(float(judged.trusted.mean()), 6),
    }
    second = Detection(NEW_ROWS, judged.doubted, greater_sum(judged.new, judged.trusted), message, told)
    least = detectable_share(judged.trusted, judged.flipped, new)
    third = new_label_pair(judged.pairs, ~known, judged.trusted_pairs, trusted.classes)
    return BaselineAnswer(first, second, third, known, suggested, least)


def _known(table: LabelledTable, trusted: LabelledTable) -> NDArray[np.bool_]:
    """(rows,) whether a row of this id and these features was trusted: an id alone vouches for nothing."""
    import numpy as np

    place = {row_id: k for k, row_id in enumerate(trusted.row_ids)}
    at = np.array([place.get(row_id, -1) for row_id in table.row_ids], dtype=np.int64)
    known: NDArray[np.bool_] = at >= 0
    known[known] = (table.features[known] == trusted.features[at[known]]).all(axis=1)
    return known


@dataclass(frozen=True)
class _Judged:
    """What trusted rows say.

    Attributes:
        doubted: (rows,) new rows whose label they doubt.
        suggested: (rows,) the most probable class.
        new: log-ratios of new rows.
        trusted: log-ratios of trusted rows, each by models that didn't see it.
        flipped: what those would be with any other label.
        pairs: (rows,) of :func:`~airflow_mlsecops.core.poisoning.detectors.new_pairs.doubted_pairs`.
        trusted_pairs: (trusted rows,) the same.
    """

    doubted: NDArray[np.bool_]
    suggested: NDArray[np.int64]
    new: NDArray[np.float64]
    trusted: NDArray[np.float64]
    flipped: NDArray[np.float64]
    pairs: NDArray[np.int64]
    trusted_pairs: NDArray[np.int64]


def _judged(table: LabelledTable, trusted: LabelledTable, new: NDArray[np.bool_], judges: TrustedJudges) -> _Judged:
    import numpy as np

    probabilities = judges(table.features)
    place = {name: k for k, name in enumerate(trusted.classes)}
    labels = np.array([place.get(table.classes[k], -1) for k in table.labels])
    seen = labels >= 0  # a class that no trusted row has can't be judged by them: each such row is doubted
    ratios = judges.log_ratios(probabilities)
    of_rows = np.where(seen, ratios[np.arange(len(labels)), labels], ratios.max(initial=0.0))
    given = probabilities[np.arange(len(labels)), labels]
    doubted = new & (~seen | (given < DOUBT * probabilities.max(axis=1)))
    translate = {name: k for k, name in enumerate(table.classes)}
    best = np.array([translate.get(trusted.classes[k], -1) for k in probabilities.argmax(axis=1)])
    own = judges.log_ratios(judges.own)
    is_given = np.eye(len(trusted.classes), dtype=bool)[trusted.labels]
    return _Judged(
        doubted=doubted,
        suggested=np.where(best < 0, table.labels, best),
        new=of_rows[new],
        trusted=own[is_given],
        flipped=own[~is_given],
        pairs=doubted_pairs(probabilities, labels),
        trusted_pairs=doubted_pairs(judges.own, trusted.labels),
    )
