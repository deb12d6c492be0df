"""Plots as inline SVG. Colours come from the style sheet by class: a ``style`` attribute would be refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from airflow_mlsecops.core.html.text import Html, element

if TYPE_CHECKING:
    from airflow_mlsecops.plugin.board import Day

_HEIGHT, _BAR, _GAP, _LEFT, _BELOW, _ABOVE = 120, 9, 3, 44, 20, 8
_SERIES = (("failed", "bad"), ("warned", "warn"), ("passed", "good"))


def verdicts(days: Sequence[Day]) -> Markup:
    """Stacked bars, a bar for each day: failed at the bottom, then warned, then passed. With a table of the sums."""
    totals = [day.passed + day.warned + day.failed for day in days]
    top = _nice(max(totals, default=0))
    width = _LEFT + len(days) * (_BAR + _GAP)
    drawn: list[Html] = []
    for share in (0.0, 0.5, 1.0):
        y = _ABOVE + _HEIGHT * (1 - share)
        drawn.append(element("line", attributes={"x1": _LEFT, "x2": width, "y1": y, "y2": y, "class": "grid"}))
        label = {"x": _LEFT - 6, "y": y + 4, "class": "label end"}
        drawn.append(element("text", f"{top * share:,.0f}", attributes=label))
    for place, day in enumerate(days):
        drawn.append(_bar(day, _LEFT + place * (_BAR + _GAP), top))
        if (len(days) - 1 - place) % 14 == 0:
            label = {"x": _LEFT + place * (_BAR + _GAP) + _BAR, "y": _ABOVE + _HEIGHT + 15, "class": "label end"}
            drawn.append(element("text", f"{day.day.day} {day.day:%b}", attributes=label))
    sums = {name: sum(getattr(day, name) for day in days) for name, _ in _SERIES}
    told = ", ".join(f"{sums[name]:,} {name}" for name in ("passed", "warned", "failed"))
    size = {
        "viewBox": f"0 0 {width} {_ABOVE + _HEIGHT + _BELOW}",
        "role": "img",
        "class": "plot",
        "aria-label": f"Verdicts of the last {len(days)} days: {told}",
    }
    keys = [
        element("li", element("span", "", attributes={"class": f"key {tone}"}), f" {sums[name]:,} {name}")
        for name, tone in reversed(_SERIES)
    ]
    legend = element("ul", *keys, element("li", f"in {len(days)} days"), attributes={"class": "meta quiet"})
    return Markup(legend + element("svg", *drawn, attributes=size))  # noqa: S704 - both are escaped


def _bar(day: Day, x: int, top: float) -> Html:
    parts, y = [], float(_ABOVE + _HEIGHT)
    told = f"{day.day.day} {day.day:%b %Y}: {day.passed} passed, {day.warned} warned, {day.failed} failed"
    parts.append(element("title", told))
    for name, tone in _SERIES:
        height = _HEIGHT * getattr(day, name) / top
        y -= height
        if height:
            shape = {"x": x, "y": f"{y:.2f}", "width": _BAR, "height": f"{height:.2f}", "class": f"bar {tone}"}
            parts.append(element("rect", attributes=shape))
    return element("g", *parts)


def _nice(number: float) -> float:
    """The next of 2, 4, 10, 20, 40, 100, ...: both ends and the middle are whole numbers."""
    size = 1
    while True:
        for step in (2, 4, 10):
            if number <= step * size:
                return step * size
        size *= 10
