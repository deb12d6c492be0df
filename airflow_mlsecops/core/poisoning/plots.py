"""The two plots of the report: a funnel of sources and a time line, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_mlsecops.core.html.text import Html, element

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 640, 260, 48, 34


def funnel(sources: Sequence[Mapping[str, Any]]) -> Html:
    """Each source as a point: its rows against its share of doubted labels, between limits that chance seldom leaves.

    Spiegelhalter: "Funnel plots for comparing institutional performance", Statistics in Medicine 24 (2005).
    """
    rows, doubted = sum(int(s["rows"]) for s in sources), sum(int(s["suspects"]) for s in sources)
    share, largest = doubted / max(rows, 1), max((int(s["rows"]) for s in sources), default=1)
    top = max([0.05, *(int(s["suspects"]) / max(int(s["rows"]), 1) for s in sources)]) * 1.1

    def x(size: float) -> float:
        return _LEFT + (_WIDTH - _LEFT - 130) * size / (largest * 1.05)

    def y(value: float) -> float:
        return 10 + (_HEIGHT - _BOTTOM - 10) * (1 - min(max(value, 0.0), top) / top)

    steps = [largest * 1.05 * number / 60 for number in range(1, 61)]
    drawn = [_line([(x(0), y(share)), (x(largest * 1.05), y(share))], "axis")]
    for sign in (-3, 3):
        limits = [(x(n), y(share + sign * math.sqrt(share * (1 - share) / max(n, 1)))) for n in steps]
        drawn.append(_line(limits, "axis"))
    for item in sources:
        place = x(int(item["rows"])), y(int(item["suspects"]) / max(int(item["rows"]), 1))
        tone = "second" if item["accused"] else "first"
        shape = {"cx": f"{place[0]:.1f}", "cy": f"{place[1]:.1f}", "r": 6 if item["accused"] else 4, "class": tone}
        drawn.append(element("circle", element("title", item["source"]), attributes=shape))
        if item["accused"]:
            drawn.append(_words(place[0] + 9, place[1] + 4, str(item["source"])[:20], "label"))
    drawn += [_words(0, 16, f"{top:.0%}", "value"), _words(0, _HEIGHT - _BOTTOM, "0%", "value")]
    drawn.append(_words(_LEFT, _HEIGHT - 6, f"rows of the source, up to {largest}", "label"))
    return _plot(drawn)


def time_line(bins: Sequence[Mapping[str, Any]]) -> Html:
    """Share of doubted labels, from the first row in time to the last, in bins of as many rows."""
    shares = [int(b["suspects"]) / max(int(b["rows"]), 1) for b in bins]
    top, width = max([0.05, *shares]), (_WIDTH - _LEFT) / max(len(bins), 1)
    drawn = []
    for number, (item, share) in enumerate(zip(bins, shares, strict=True)):
        height = (_HEIGHT - _BOTTOM - 10) * share / top
        shape = {
            "x": f"{_LEFT + number * width:.1f}",
            "y": f"{_HEIGHT - _BOTTOM - height:.1f}",
            "width": f"{max(width - 1, 1):.1f}",
            "height": f"{height:.1f}",
            "class": "first",
        }
        drawn.append(element("rect", element("title", f"{item['since']}: {share:.1%}"), attributes=shape))
    drawn += [_words(0, 16, f"{top:.0%}", "value"), _words(0, _HEIGHT - _BOTTOM, "0%", "value")]
    if bins:
        drawn.append(_words(_LEFT, _HEIGHT - 6, str(bins[0]["since"])[:40], "label"))
        drawn.append(_words(_WIDTH - 160, _HEIGHT - 6, str(bins[-1]["since"])[:24], "label"))
    return _plot(drawn)


def _plot(drawn: Sequence[Html]) -> Html:
    size = {"viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "width": _WIDTH, "height": _HEIGHT, "role": "img", "class": "plot"}
    return element("svg", *drawn, attributes=size)


def _line(points: Sequence[tuple[float, float]], kind: str) -> Html:
    told = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    shape = {"points": told, "fill": "none", "stroke": "currentColor", "stroke-opacity": "0.35", "class": kind}
    return element("polyline", attributes=shape)


def _words(x: float, y: float, words: str, kind: str) -> Html:
    return element("text", words, attributes={"x": f"{x:.1f}", "y": f"{y:.1f}", "class": kind})
