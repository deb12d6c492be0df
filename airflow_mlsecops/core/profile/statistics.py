"""How far two distributions are apart, from counts, and how far chance alone would move them.

Each limit is the larger of two: what chance seldom exceeds at these sizes, and the least difference that matters. The
first keeps small samples from false alarms, the second keeps ten million rows from alarms about nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate

HALF = 0.5
"""What PSI adds to each count: an empty bin would make it infinite, and a small sample has empty bins by chance."""
LEAST_EXPECTED = 5
"""Categories that are expected less often are taken together in the G-test (Cochran 1954)."""


def shares(counts: Sequence[float]) -> list[float]:
    """Counts as shares of their sum, which isn't zero."""
    total = sum(counts)
    return [count / total for count in counts]


def ks(first: Sequence[int], second: Sequence[int]) -> float:
    """The Kolmogorov-Smirnov distance at the edges of common bins; never more than that of the values themselves."""
    totals = sum(first), sum(second)
    running = zip(accumulate(first), accumulate(second), strict=True)
    return max(abs(one / totals[0] - two / totals[1]) for one, two in running)


def ks_critical(n: int, m: int, alpha: float) -> float:
    """What the distance of two samples of one distribution exceeds with a probability of at most about ``alpha``.

    Source: Smirnov (1948), Table for estimating the goodness of fit; c(alpha) = sqrt(-ln(alpha / 2) / 2).
    """
    return math.sqrt(-math.log(alpha / 2) / 2) * math.sqrt((n + m) / (n * m))


def psi(first: Sequence[int], second: Sequence[int]) -> float:
    """The population stability index: the sum of (q - p) ln(q / p), which is Jeffreys' divergence.

    Source: Siddiqi, Credit Risk Scorecards (2006), ch. 10; the usual reading there: below .1 stable, above .25 changed.
    """
    smoothed = [shares([count + HALF for count in counts]) for counts in (first, second)]
    pairs = zip(smoothed[0], smoothed[1], strict=True)
    return sum((q - p) * math.log(q / p) for p, q in pairs)


def psi_critical(n: int, m: int, bins: int, alpha: float) -> float:
    """What PSI exceeds by chance with a probability of about ``alpha``: (1/n + 1/m) times a chi-square quantile.

    Source: Yurdakul and Naranjo, Statistical properties of the population stability index, J. Risk Model Validation 14
    (2020), theorem 1.
    """
    from scipy.special import chdtri

    return (1 / n + 1 / m) * float(chdtri(max(bins - 1, 1), alpha))


def total_variation(first: Sequence[int], second: Sequence[int]) -> float:
    """Half the sum of the differences of shares: the share of rows that would have to change their category."""
    return sum(abs(p - q) for p, q in zip(shares(first), shares(second), strict=True)) / 2


def g_test(first: Sequence[int], second: Sequence[int]) -> float:
    """The p-value of a likelihood-ratio test that both come from one distribution; rare categories taken together.

    Source: Sokal and Rohlf, Biometry (4th ed. 2012), ch. 17.
    """
    from scipy.special import chdtrc

    table = _merged(first, second)
    if len(table) < 2:
        return 1.0
    totals = sum(one for one, _ in table), sum(two for _, two in table)
    g = 0.0
    for row in table:
        for count, total in zip(row, totals, strict=True):
            if count:
                g += 2 * count * math.log(count * sum(totals) / (total * sum(row)))
    return float(chdtrc(len(table) - 1, max(g, 0.0)))


def tenths(baseline: Sequence[int]) -> list[slice]:
    """The bins taken together to at most ten groups, of about a tenth of the baseline each, more where one bin is."""
    total, start, passed = sum(baseline), 0, 0
    groups: list[slice] = []
    for end, running in enumerate(accumulate(baseline), start=1):
        if running * 10 // total > passed:
            passed = running * 10 // total
            groups.append(slice(start, end))
            start = end
    return [*groups[:-1], slice(groups[-1].start, len(baseline))]  # what lies above all that was seen joins the last


def grouped(counts: Sequence[int], groups: Sequence[slice]) -> list[int]:
    """Counts by group."""
    return [sum(counts[group]) for group in groups]


def _merged(first: Sequence[int], second: Sequence[int]) -> list[tuple[int, int]]:
    n, m = sum(first), sum(second)
    kept: list[tuple[int, int]] = []
    rare = (0, 0)
    for one, two in zip(first, second, strict=True):
        least = (one + two) * min(n, m) / (n + m)
        if least >= LEAST_EXPECTED:
            kept.append((one, two))
        else:
            rare = (rare[0] + one, rare[1] + two)
    return [*kept, rare] if sum(rare) else kept
