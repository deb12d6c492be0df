"""From counts to a plan: thresholds, calibrated confident joint, and how many rows each group of rows prunes.

All that is summed over rows is an integer, so that no order of summing changes a bit. What follows are a few operations
on K x K numbers, done here for every engine, in the order in which cleanlab 2.9 does them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCALE_BITS = 53
"""Probabilities are summed as whole multiples of 2**-53: exact from 0.5 up, and to 2**-53 below."""

TOLERANCE = 1e-6
"""How much nearer than this counts as equal (cleanlab's FLOATING_POINT_COMPARISON)."""

MISSING_THRESHOLD = 2.0
"""Of a class that no row has: no probability reaches it."""


@dataclass(frozen=True)
class Plan:
    """What the second sweep over the rows needs.

    Attributes:
        counts: (K,) rows of each given label.
        thresholds: (K,) mean self-confidence of each class, at least 2e-6; 2 for a class without rows.
        confident: (K, K) rows by given label and confident guess.
        joint: (K, K) the calibrated confident joint; rows sum to ``counts``.
        errors: confident rows off the diagonal whose most probable class isn't the given one.
        prune: (K * K + 2,) how many rows are taken of each group, the ones with the greatest value first.
            Group ``s * K + j``, j != s: rows labelled s, by p(j) - p(s). Group ``s * K + s``: rows labelled s, by
            -p(s). The last two: all rows, by minus self-confidence and by minus normalized margin.
        above: (levels, K, K) moved rows by given label and by other class, by how much more probable that is, as the
            compiled engine counts them: they tell where a search may begin.
    """

    counts: NDArray[np.int64]
    thresholds: NDArray[np.float64]
    confident: NDArray[np.int64]
    joint: NDArray[np.int64]
    errors: int
    prune: NDArray[np.int64]
    above: NDArray[np.int64] | None = None


def thresholds_of(sums: list[int], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Mean self-confidence of each class, from exact sums of multiples of 2**-53; correctly rounded.

    Args:
        sums: (K,) sums of ``floor(p(label) * 2**53)`` over the rows of each label.
        counts: (K,) how many rows.
    """
    import numpy as np

    means = [
        total / (int(count) << SCALE_BITS) if count else MISSING_THRESHOLD
        for total, count in zip(sums, counts, strict=True)
    ]
    return np.maximum(np.array(means, dtype=np.float64), 2 * TOLERANCE)


def plan_of(
    counts: NDArray[np.int64],
    thresholds: NDArray[np.float64],
    confident: NDArray[np.int64],
    errors: int,
    filters: tuple[str, ...],
    above: NDArray[np.int64] | None = None,
) -> Plan:
    """Calibrate the joint and say how many rows each filter takes of each group."""
    import numpy as np

    classes = len(counts)
    joint = calibrated(confident, counts)
    amounts = _keep_one_per_class(joint.T)  # (true class, given label)
    prune = np.zeros(classes * classes + 2, dtype=np.int64)
    squares = prune[: classes * classes].reshape(classes, classes)  # (given label, true class)
    alone = counts <= 1  # a class of one row isn't pruned
    if {"prune_by_noise_rate", "both"} & set(filters):
        squares[:] = amounts.T
    np.fill_diagonal(squares, 0)
    if {"prune_by_class", "both"} & set(filters):
        np.fill_diagonal(squares, counts - amounts.diagonal())
    squares[alone] = 0
    np.clip(squares, 0, counts[:, None], out=squares)
    prune[-2] = errors if "low_self_confidence" in filters else 0
    prune[-1] = errors if "low_normalized_margin" in filters else 0
    return Plan(counts, thresholds, confident, joint, errors, prune, above)


def calibrated(confident: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Scale the confident joint so that each row sums to the rows of its label (section 3.1 of the paper)."""
    import numpy as np

    joint = np.array(confident, order="F")  # as cleanlab's lies in memory: its sum is taken in that order
    np.fill_diagonal(joint, joint.diagonal().clip(min=1))
    tiny = 1e-100
    scaled = (joint.T / np.clip(joint.sum(axis=1), a_min=tiny, a_max=None) * counts).T
    scaled = scaled / np.clip(np.sum(scaled), a_min=tiny, a_max=None) * int(counts.sum())
    return np.stack([_rounded(row) for row in scaled])


def _keep_one_per_class(amounts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Leave at least one row in every class; take the rest evenly from what is pruned of it."""
    import numpy as np

    diagonal = np.maximum(amounts.diagonal(), 1)
    raised = diagonal - amounts.diagonal()
    nonzero = np.maximum(np.count_nonzero(amounts, axis=0) - 1.0, 1.0)
    kept = amounts - raised / nonzero
    kept[kept < 0] = 0
    np.fill_diagonal(kept, diagonal)
    whole: NDArray[np.int64] = kept.astype(np.int64)
    return whole


def _rounded(row: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round to whole numbers, keeping the sum: what is missing goes to where rounding took most, ties by position."""
    import numpy as np

    whole = row.round()
    target = np.sum(row).round()
    while (missing := np.round(target - np.sum(whole))) != 0:
        step = 1 if missing > 0 else -1
        order = np.argsort(row - whole, kind="stable")[::-step]
        whole[order[: min(int(abs(missing)), len(row))]] += step
    return whole.astype(np.int64)
