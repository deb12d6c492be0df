"""Compare a column with its baseline: pure functions of counts, so that every engine comes to the same answer.

An engine counts (:class:`Seen`); :func:`labels` and :func:`distribution` decide. Whatever can't be compared has a
``trouble``, which is a NO.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_mlsecops.core.profile import statistics
from airflow_mlsecops.core.profile.model import BOOL, NUMBER, TEXT, ColumnProfile

SHOWN = 20
"""How many categories a comparison keeps for a plot; the rest is taken together."""
DEFAULTS: dict[str, float] = {
    "alpha": 0.001,
    "max_ks": 0.02,
    "max_psi": 0.1,
    "max_total_variation": 0.02,
    "max_new": 0.0,
}
"""What expectations ask for unless they say otherwise."""
CATEGORIES = "categories"
"""What a drawing compares whose parts have no order."""
_NAMES = {NUMBER: "numbers", TEXT: "text", BOOL: "booleans"}


@dataclass(frozen=True)
class Seen:
    """What an engine counted of a column.

    Attributes:
        saw: how many values there are.
        counts: by the baseline's bins, or by its categories in their order.
        new: how many values are in none of the categories.
        trouble: why it couldn't count.
    """

    saw: int
    counts: tuple[int, ...] = ()
    new: int = 0
    trouble: str = ""


@dataclass(frozen=True)
class Drawing:
    """Two distributions side by side, small enough for a plot.

    Attributes:
        column: the column's name.
        what: what is compared, for the heading.
        labels: of the bars; they may quote values.
        masked: the same without values.
        baseline, now: shares.
    """

    column: str
    what: str
    labels: tuple[str, ...]
    masked: tuple[str, ...]
    baseline: tuple[float, ...]
    now: tuple[float, ...]


@dataclass(frozen=True)
class Compared:
    """The answer about a column.

    Attributes:
        held: whether it is stable.
        saw: how many values it rests on.
        statistics: the numbers and their limits, by name.
        drawing: for the report; ``None`` if nothing could be compared.
        trouble: why it couldn't be compared; empty if it could.
    """

    held: bool
    saw: int
    statistics: Mapping[str, float]
    drawing: Drawing | None = None
    trouble: str = ""


def why_not_labels(column: ColumnProfile | None, name: str, family: str) -> str:
    """Why a column's categories can't be compared; empty if they can."""
    if column is None:
        return f"the baseline has no column {name!r}"
    if column.categories is None:
        return f"the baseline counts no categories of {name!r}: it holds {column.distinct} values of {column.family}"
    return _other_family(column, family)


def why_not_distribution(column: ColumnProfile | None, name: str, family: str) -> str:
    """Why a column's distribution can't be compared; empty if it can."""
    if column is None:
        return f"the baseline has no column {name!r}"
    if column.histogram is None:
        return f"the baseline has no histogram of {name!r}, which is {column.family}"
    return _other_family(column, family)


def labels(column: ColumnProfile, seen: Seen, kwargs: Mapping[str, Any]) -> Compared:
    """Whether the shares of categories are stable: no new ones, G-test with total variation, and PSI."""
    told = column.categories
    if seen.trouble or told is None or not seen.saw:
        return Compared(False, seen.saw, {}, trouble=seen.trouble)
    before, now = [*told.counts.values(), told.other_rows], [*seen.counts, seen.new]
    asked = {**DEFAULTS, **kwargs}
    n, m = sum(before), seen.saw
    new = 0.0 if told.other_rows else seen.new / m  # among folded values a new one can't be told from a rare one
    found = {
        "total_variation": statistics.total_variation(before, now),
        "max_total_variation": float(asked["max_total_variation"]),
        "p_value": statistics.g_test(before, now),
        "alpha": float(asked["alpha"]),
        "psi": statistics.psi(before, now),
        "max_psi": max(float(asked["max_psi"]), statistics.psi_critical(n, m, len(before), float(asked["alpha"]))),
        "new_share": new,
        "max_new": float(asked["max_new"]),
    }
    shifted = found["p_value"] < found["alpha"] and found["total_variation"] > found["max_total_variation"]
    held = not shifted and found["psi"] <= found["max_psi"] and new <= found["max_new"]
    return Compared(held, m, found, _draw_labels(column, before, now))


def distribution(column: ColumnProfile, seen: Seen, kwargs: Mapping[str, Any]) -> Compared:
    """Whether numbers, or lengths of texts, are distributed as before: KS and PSI, both."""
    told = column.histogram
    if seen.trouble or told is None or not seen.saw:
        return Compared(False, seen.saw, {}, trouble=seen.trouble)
    asked = {**DEFAULTS, **kwargs}
    groups = statistics.tenths(told.counts)
    before, now = statistics.grouped(told.counts, groups), statistics.grouped(seen.counts, groups)
    n, m, alpha = told.total, seen.saw, float(asked["alpha"])
    found = {
        "ks": statistics.ks(told.counts, seen.counts),
        "max_ks": max(float(asked["max_ks"]), statistics.ks_critical(n, m, alpha)),
        "psi": statistics.psi(before, now),
        "max_psi": max(float(asked["max_psi"]), statistics.psi_critical(n, m, len(groups), alpha)),
        "alpha": alpha,
    }
    held = found["ks"] <= found["max_ks"] and found["psi"] <= found["max_psi"]
    return Compared(held, m, found, _draw_bins(column, told.edges, groups, before, now))


def told(statistics_: Mapping[str, float]) -> str:
    """The numbers in words: what exceeds its limit first."""
    pairs = (("new_share", "max_new"), ("ks", "max_ks"), ("total_variation", "max_total_variation"), ("psi", "max_psi"))
    said = [(statistics_[name] > statistics_[limit], name, limit) for name, limit in pairs if name in statistics_]
    said.sort(key=lambda each: not each[0])
    words = [f"{name} {statistics_[name]:.4g} (limit {statistics_[limit]:.4g})" for _, name, limit in said]
    if "p_value" in statistics_:
        words.append(f"p {statistics_['p_value']:.3g}")
    return ", ".join(words)


def _other_family(column: ColumnProfile, family: str) -> str:
    # A column of nulls has no type in pandas; that it holds nothing is told elsewhere.
    if not family or family == column.family:
        return ""
    kinds = _NAMES.get(family, "something that can't be compared"), _NAMES.get(column.family, column.family)
    return f"{column.name!r} holds {kinds[0]}, and {kinds[1]} in the baseline"


def _draw_labels(column: ColumnProfile, before: Sequence[int], now: Sequence[int]) -> Drawing:
    told_ = column.categories
    assert told_ is not None
    names = [name[:12] if told_.masked else name for name in told_.counts]
    kept = min(len(names), SHOWN)
    parts = [slice(i, i + 1) for i in range(kept)] + [slice(kept, len(before))]
    drawn = [statistics.shares(statistics.grouped(counts, parts)) for counts in (before, now)]
    masked = (*(f"value {place}" for place in range(1, kept + 1)), "others")
    return Drawing(column.name, CATEGORIES, (*names[:kept], "others"), masked, tuple(drawn[0]), tuple(drawn[1]))


def _draw_bins(
    column: ColumnProfile, edges: Sequence[float], groups: Sequence[slice], before: Sequence[int], now: Sequence[int]
) -> Drawing:
    ends = [f"up to {edges[group.stop - 1]:.6g}" for group in groups[:-1]]
    last = f"above {edges[groups[-2].stop - 1]:.6g}" if len(groups) > 1 else "all"
    masked = tuple(f"part {place} of {len(groups)}" for place in range(1, len(groups) + 1))
    what = "length of text" if column.family == TEXT else "values"
    return Drawing(
        column.name,
        what,
        (*ends, last),
        masked,
        tuple(statistics.shares(before)),
        tuple(statistics.shares(now)),
    )
