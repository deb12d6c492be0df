"""Distances equal those of SciPy on the same data; limits hold at zero drift; planted drift is found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from airflow_mlsecops.core.profile import statistics
from airflow_mlsecops.core.profile.compare import Seen, distribution, labels
from airflow_mlsecops.core.profile.edges import first_edges, joined
from airflow_mlsecops.core.profile.model import NUMBER, Categories, ColumnProfile, Histogram

COUNTS = st.lists(st.integers(0, 500), min_size=2, max_size=12).filter(any)


def histogram(values: Sequence[float] | np.ndarray, edges: Sequence[float]) -> tuple[int, ...]:
    return tuple(np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1).tolist())


def profiled(values: np.ndarray) -> ColumnProfile:
    edges = tuple(first_edges(float(values.min()), float(values.max()), len(values), whole=False))
    cut = joined(Histogram(edges, histogram(values, edges)))
    return ColumnProfile("x", "double", NUMBER, len(values), 0, len(values), False, histogram=cut)


def compared(column: ColumnProfile, values: np.ndarray, **kwargs: float) -> tuple[bool, dict[str, float]]:
    assert column.histogram is not None
    answer = distribution(column, Seen(len(values), histogram(values, column.histogram.edges)), kwargs)
    return answer.held, dict(answer.statistics)


@given(COUNTS, st.data())
def test_ks_of_counts_is_that_of_the_values_which_they_count(first: list[int], data: st.DataObject) -> None:
    second = data.draw(st.lists(st.integers(0, 500), min_size=len(first), max_size=len(first)).filter(any))
    values = [np.repeat(np.arange(len(first)), counts) for counts in (first, second)]
    assert statistics.ks(first, second) == pytest.approx(stats.ks_2samp(*values, method="asymp").statistic, abs=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1.05, 1.5])
def test_ks_in_bins_is_below_that_of_the_values_by_a_bin_at_most(scale: float) -> None:
    rng = np.random.default_rng(3)
    before, now = rng.lognormal(size=20_000), rng.lognormal(size=9_000) * scale
    column = profiled(before)
    assert column.histogram is not None
    _, found = compared(column, now)
    exact = stats.ks_2samp(before, now).statistic
    widest = max(max(column.histogram.counts) / 20_000, max(histogram(now, column.histogram.edges)) / 9_000)
    assert exact - widest <= found["ks"] <= exact + 1e-12


@given(st.lists(st.tuples(st.integers(0, 999), st.integers(0, 999)), min_size=2, max_size=12))
def test_psi_is_jeffreys_divergence(pairs: list[tuple[int, int]]) -> None:
    first, second = zip(*pairs, strict=True)
    p, q = np.array(first) + statistics.HALF, np.array(second) + statistics.HALF
    expected = stats.entropy(p, q) + stats.entropy(q, p)  # which makes shares of them
    assert statistics.psi(first, second) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@given(st.lists(st.tuples(st.integers(20, 999), st.integers(20, 999)), min_size=2, max_size=8))
def test_g_test_is_scipys(pairs: list[tuple[int, int]]) -> None:
    first, second = zip(*pairs, strict=True)
    if min(sum(pair) * min(sum(first), sum(second)) / (sum(first) + sum(second)) for pair in pairs) < 5:
        return
    expected = stats.chi2_contingency([first, second], correction=False, lambda_="log-likelihood").pvalue
    assert statistics.g_test(first, second) == pytest.approx(expected, rel=1e-6, abs=1e-12)


@given(COUNTS)
def test_nothing_is_as_near_to_a_distribution_as_itself(counts: list[int]) -> None:
    assert statistics.ks(counts, counts) == statistics.psi(counts, counts) == 0
    assert statistics.total_variation(counts, counts) == 0
    assert statistics.g_test(counts, counts) == pytest.approx(1)


@given(COUNTS)
def test_tenths_hold_every_bin_once(counts: list[int]) -> None:
    groups = statistics.tenths(counts)
    assert [place for group in groups for place in range(len(counts))[group]] == list(range(len(counts)))
    assert 1 <= len(groups) <= 10
    assert all(statistics.grouped(counts, groups))


@given(COUNTS, COUNTS, st.data())
def test_counts_of_parts_are_those_of_the_whole(edges: list[int], values: list[int], data: st.DataObject) -> None:
    cut, place = sorted({float(edge) for edge in edges}), data.draw(st.integers(0, len(values)))
    parts = [histogram(part, cut) for part in (values[:place], values[place:])]
    assert tuple(map(sum, zip(*parts, strict=True))) == histogram(values, cut)


@pytest.mark.parametrize("rows", [60, 400, 4000])
def test_at_zero_drift_features_seldom_alarm(rows: int) -> None:
    rng = np.random.default_rng(rows)
    column = profiled(rng.lognormal(size=20_000))
    alarms = sum(not compared(column, rng.lognormal(size=rows))[0] for _ in range(600))
    assert alarms <= 6  # two tests of one in a thousand each: more than 6 of 600 has a chance below one in a thousand


@pytest.mark.parametrize("rows", [60, 400, 4000])
def test_at_zero_drift_labels_seldom_alarm(rows: int) -> None:
    rng, shares = np.random.default_rng(rows), [0.4, 0.3, 0.2, 0.08, 0.02]
    before = Categories(dict(zip("abcde", rng.multinomial(20_000, shares).tolist(), strict=True)))
    column = ColumnProfile("y", "string", "text", 20_000, 0, 5, True, categories=before)
    now = [tuple(rng.multinomial(rows, shares).tolist()) for _ in range(600)]
    assert sum(not labels(column, Seen(rows, counts), {}).held for counts in now) <= 6


def test_ten_million_rows_do_not_alarm_about_nothing_and_ks_sees_what_psi_misses() -> None:
    """A shift that matters to nobody is significant at this size; one of 5 percent is seen by KS alone."""
    before = profiled(np.random.default_rng(1).lognormal(size=200_000))
    assert before.histogram is not None
    edges = before.histogram.edges
    many = Histogram(edges, tuple(50 * count for count in before.histogram.counts))
    column = ColumnProfile("x", "double", NUMBER, many.total, 0, 9, False, histogram=many)

    def drifted(scale: float) -> tuple[int, ...]:
        shares = np.diff(np.r_[0, stats.lognorm.cdf(np.array(edges) / scale, 1), 1])
        return tuple((shares * 10_000_000).round().astype(int).tolist())

    nothing = distribution(column, Seen(10_000_000, drifted(1.005)), {})
    assert nothing.held
    assert nothing.statistics["ks"] > statistics.ks_critical(many.total, 10_000_000, 0.001)
    real = distribution(column, Seen(10_000_000, drifted(1.06)), {})
    assert not real.held
    assert real.statistics["ks"] > real.statistics["max_ks"]
    assert real.statistics["psi"] < real.statistics["max_psi"]


@pytest.mark.parametrize(
    ("now", "held"),
    [
        ((500, 300, 200), True),
        ((520, 290, 190), True),
        ((400, 400, 200), False),
        ((1000, 0, 0), False),
    ],
)
def test_planted_label_shifts_are_found(now: tuple[int, ...], held: bool) -> None:
    column = ColumnProfile(
        "y", "string", "text", 10_000, 0, 3, True, categories=Categories({"a": 5000, "b": 3000, "c": 2000})
    )
    assert labels(column, Seen(sum(now), now), {}).held is held


def test_a_new_label_is_a_finding_unless_some_are_allowed() -> None:
    column = ColumnProfile("y", "string", "text", 1000, 0, 2, True, categories=Categories({"a": 500, "b": 500}))
    seen = Seen(1000, (500, 499), new=1)
    assert not labels(column, seen, {}).held
    assert labels(column, seen, {"max_new": 0.01}).held
    folded = ColumnProfile("y", "string", "text", 1000, 0, 9, False, categories=Categories({"a": 500, "b": 490}, 7, 10))
    assert labels(folded, seen, {}).held  # it may be one of the folded
