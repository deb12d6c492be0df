"""The two counting sweeps in NumPy, for where numba isn't installed; same arguments, same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STEP_CELLS = 1 << 21
"""Cells that are worked on at a time: copies of 16 MB."""


def gather(
    probabilities: NDArray[Any],
    labels: NDArray[Any],
    high: NDArray[np.int64],
    low: NDArray[np.int64],
    counts: NDArray[np.int64],
) -> None:
    """See :func:`airflow_mlsecops.core.poisoning.engine.kernels.gather`."""
    import numpy as np

    counts += np.bincount(labels, minlength=len(counts))
    given = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    whole = np.floor(given * 2.0**53).astype(np.int64)
    for label in np.unique(labels):
        part = whole[labels == label]
        high[label] += int((part >> 26).sum())
        low[label] += int((part & 0x3FFFFFF).sum())


def sweep(
    probabilities: NDArray[Any],
    labels: NDArray[Any],
    thresholds: NDArray[np.float64],
    confident: NDArray[np.int64],
    above: NDArray[np.int64],
    flags: NDArray[np.uint8],
    nearness: NDArray[np.uint8],
) -> tuple[int, int]:
    """See :func:`airflow_mlsecops.core.poisoning.engine.kernels.sweep`; needs no ``above`` and ``nearness``."""
    bad, errors, step = 0, 0, max(STEP_CELLS // probabilities.shape[1], 1)
    for begin in range(0, len(labels), step):
        part = slice(begin, begin + step)
        found = _sweep_part(probabilities[part], labels[part], thresholds, confident, flags[part])
        bad, errors = bad + found[0], errors + found[1]
    return bad, errors


def _sweep_part(
    probabilities: NDArray[Any],
    labels: NDArray[Any],
    thresholds: NDArray[np.float64],
    confident: NDArray[np.int64],
    flags: NDArray[np.uint8],
) -> tuple[int, int]:
    import numpy as np

    matrix = probabilities.astype(np.float64, copy=False)
    rows = np.arange(len(labels))
    with np.errstate(invalid="ignore"):
        good = np.abs(matrix.sum(axis=1) - 1.0) <= 1e-4
        good &= (matrix >= -1e-6).all(axis=1) & (matrix <= 1.000001).all(axis=1)
    if not good.all():
        return int((~good).sum()), 0
    top = matrix.argmax(axis=1)
    best, given = matrix[rows, top], matrix[rows, labels] + 1e-6
    moved = (top != labels) & ((best > given) | ((best == given) & (top < labels)))
    reached = matrix >= thresholds
    number = reached.sum(axis=1)
    guess = np.where(number == 1, reached.argmax(axis=1), top)
    np.add.at(confident, (labels[number > 0], guess[number > 0]), 1)
    off = moved & (number > 0) & (guess != labels)
    flags[moved] = 128 | 16
    flags[off] |= 8
    return 0, int(off.sum())
