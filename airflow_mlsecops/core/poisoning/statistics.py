"""Exact tails and corrections, a few lines each, so that a report can be recomputed by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def binomial_tail(successes: int, trials: int, share: float) -> float:
    """P(X >= successes) of Binomial(trials, share)."""
    from scipy.stats import binom

    return 1.0 if successes <= 0 else float(binom.sf(successes - 1, trials, share))


def hypergeometric_tail(successes: int, drawn: int, marked: int, total: int) -> float:
    """P(X >= successes) marked ones among ``drawn`` of ``total`` with ``marked`` marked ones (Fisher's exact test)."""
    from scipy.stats import hypergeom

    return 1.0 if successes <= 0 else float(hypergeom.sf(successes - 1, total, marked, drawn))


def holm(values: Sequence[float], *, tests: int | None = None) -> list[float]:
    """P-values corrected for the number of tests (Holm, Scandinavian Journal of Statistics 6, 1979), in their order.

    Args:
        values: raw p-values.
        tests: how many tests there were; at least as many as values. Those left out had nothing to show (p = 1).
    """
    number = max(len(values), tests or 0)
    order = sorted(range(len(values)), key=lambda index: values[index])
    corrected, largest = [1.0] * len(values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, values[index] * (number - rank)))
        corrected[index] = largest
    return corrected


def greater_sum(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """One-sided p-value that the first scores are the greater ones: the permutation test of their sum.

    The tail of its distribution by the first three moments, which are exact (Mielke, Berry: "Permutation Methods", 2nd
    edition, Springer 2007, section 2.3: Pearson type III).

    Args:
        first: (n,) scores.
        second: (m,) scores.
    """
    import numpy as np
    from scipy.stats import pearson3

    pooled, drawn = np.concatenate([first, second]), len(first)
    size, off = len(pooled), pooled - pooled.mean()
    if min(drawn, len(second)) < 1 or size < 3 or pooled.min() == pooled.max():
        return 1.0
    rest = size - drawn
    variance = drawn * rest / (size - 1) * float((off**2).mean())
    third = drawn * rest * (rest - drawn) / ((size - 1) * (size - 2)) * float((off**3).mean())
    return float(pearson3.sf(float(off[:drawn].sum()) / math.sqrt(variance), third / variance**1.5))


def detectable_share(
    scores: NDArray[np.float64],
    poison: NDArray[np.float64],
    rows: int,
    *,
    alpha: float = 0.001,
    power: float = 0.9,
) -> float:
    """The least share of poison among new rows that :func:`greater_sum` sees with this power; 1 if none.

    By the normal distribution, with the spread that poison itself adds. ``alpha`` leaves room for Holm's method over
    ten detectors.

    Args:
        scores: of trusted rows.
        poison: scores of rows with a wrong label.
        rows: how many new ones there are.
        alpha: level of the test.
        power: how often poison is to be seen.
    """
    import numpy as np
    from scipy.stats import norm

    if not rows or not len(scores) or not len(poison):
        return 1.0
    honest, lift = (float(scores.mean()), float(scores.var())), float(poison.mean() - scores.mean())
    share = np.arange(1, 10_001) / 10_000
    apart = share * (1 - share) * lift**2
    of_new = (1 - share) * honest[1] + share * float(poison.var()) + apart
    of_all = share * rows / (rows + len(scores))
    pooled = (1 - of_all) * honest[1] + of_all * float(poison.var()) + of_all * (1 - of_all) * lift**2
    needed = norm.isf(alpha) * np.sqrt(pooled * (1 / rows + 1 / len(scores)))
    needed += norm.isf(1 - power) * np.sqrt(of_new / rows + honest[1] / len(scores))
    seen = np.flatnonzero(share * lift >= needed)
    return float(share[seen[0]]) if len(seen) else 1.0
