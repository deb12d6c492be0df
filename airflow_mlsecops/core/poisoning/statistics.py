"""Exact tails and corrections, a few lines each, so that a report can be recomputed by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence


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


def two_proportions(first: int, of_first: int, second: int, of_second: int) -> float:
    """One-sided p-value that the first share is greater: pooled z-test, exact (Fisher) where counts are small."""
    if not of_first or not of_second:
        return 1.0
    if min(first, second, of_first - first, of_second - second) < 10:
        return hypergeometric_tail(first, of_first, first + second, of_first + of_second)
    pooled = (first + second) / (of_first + of_second)
    deviation = math.sqrt(pooled * (1 - pooled) * (1 / of_first + 1 / of_second))
    return 0.5 * math.erfc((first / of_first - second / of_second) / deviation / math.sqrt(2))


def detectable_share(base: float, of_first: int, of_second: int, *, alpha: float = 0.01, power: float = 0.9) -> float:
    """The least additional share that :func:`two_proportions` sees with this power; 1 if none."""
    from scipy.stats import norm

    if not of_first or not of_second:
        return 1.0
    needed = float(norm.isf(alpha) + norm.isf(1 - power))
    for step in range(1, 10_001):
        extra = step / 10_000
        high = min(base + extra, 1.0)
        deviation = math.sqrt(high * (1 - high) / of_first + max(base, 1 / of_second) * (1 - base) / of_second)
        if extra >= needed * deviation:
            return extra
    return 1.0
