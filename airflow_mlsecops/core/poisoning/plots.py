"""The two plots of the report: a funnel of sources and a time line, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_mlsecops.core.html.plot import box, line, plot, words
from airflow_mlsecops.core.html.text import Html, element

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 680, 300, 46, 12, 40
_FLOOR = _HEIGHT - _BOTTOM
_NAMED = 12
"""How many accused sources have their name written beside them."""


def funnel(sources: Sequence[Mapping[str, Any]]) -> Html:
    """Each source as a point: its rows against its share of doubted labels, between limits that chance seldom leaves.

    Spiegelhalter: "Funnel plots for comparing institutional performance", Statistics in Medicine 24 (2005). The limits
    are those of the sources that aren't accused: a great one would widen its own.
    """
    fair = [s for s in sources if not s["accused"]] or sources
    rows, doubted = sum(int(s["rows"]) for s in fair), sum(int(s["suspects"]) for s in fair)
    share, largest = doubted / max(rows, 1), 1.15 * max([1, *(int(s["rows"]) for s in sources)])
    top = max([0.05, *(_share(s) for s in sources)]) * 1.12

    def x(size: float) -> float:
        return _LEFT + (_WIDTH - _LEFT) * size / largest

    def y(value: float) -> float:
        return _FLOOR - (_FLOOR - _TOP) * min(max(value, 0.0), top) / top

    def limit(sign: int) -> list[tuple[float, float]]:
        steps = [largest * number / 80 for number in range(1, 81)]
        return [(x(n), y(share + sign * math.sqrt(share * (1 - share) / n))) for n in steps]

    drawn = [line([*limit(3), *reversed(limit(-3))], "band"), *_ticks(top)]
    drawn.append(line([(x(0), y(share)), (x(largest), y(share))], "dashed"))
    for number, item in enumerate(sorted(sources, key=lambda s: not s["accused"])):
        place = x(int(item["rows"])), y(_share(item))
        shape = {"cx": f"{place[0]:.1f}", "cy": f"{place[1]:.1f}", "r": 6 if item["accused"] else 4}
        told = f"{item['source']}: {item['suspects']} of {item['rows']} rows ({_share(item):.1%})"
        tone = "second" if item["accused"] else "first"
        drawn.append(element("circle", element("title", told), attributes={**shape, "class": tone}))
        if item["accused"] and number < _NAMED:
            beyond = place[0] > _WIDTH * 0.7
            drawn.append(
                words(
                    place[0] + (-10 if beyond else 10),
                    place[1] + 4,
                    str(item["source"])[:24],
                    "end" if beyond else "label",
                )
            )
    drawn.append(words(_LEFT, _HEIGHT - 22, "0", "value middle"))
    drawn.append(words(x(largest / 1.15), _HEIGHT - 22, f"{largest / 1.15:,.0f}", "value middle"))
    drawn.append(words(_WIDTH, _HEIGHT - 5, "rows of the source →", "value end"))
    accused = ", ".join(str(s["source"])[:24] for s in sources if s["accused"]) or "none"
    label = f"Share of doubted labels against the size of each of {len(sources)} sources; outside the limits: {accused}"
    return plot(drawn, width=_WIDTH, height=_HEIGHT, label=label)


def time_line(bins: Sequence[Mapping[str, Any]], window: Mapping[str, Any] | None = None) -> Html:
    """Share of doubted labels, from the first row in time to the last, in bins of as many rows.

    Args:
        bins: from the first to the last.
        window: the stretch that is accused, whose bins are drawn in another colour.
    """
    shares = [_share(b) for b in bins]
    top, width = max([0.05, *shares]) * 1.05, (_WIDTH - _LEFT) / max(len(bins), 1)
    drawn, inside = _ticks(top), _inside(bins, window)
    for number, (item, share) in enumerate(zip(bins, shares, strict=True)):
        height = (_FLOOR - _TOP) * min(share, top) / top
        told = f"from {item['since']}: {item['suspects']} of {item['rows']} rows ({share:.1%})"
        kind = "second" if number in inside else "first"
        drawn.append(box(_LEFT + number * width, _FLOOR - height, max(width - 1, 1), height, kind, told))
    if bins:
        drawn.append(words(_LEFT, _HEIGHT - 22, str(bins[0]["since"])[:34], "value"))
        drawn.append(words(_WIDTH, _HEIGHT - 22, str(bins[-1]["since"])[:34], "value end"))
    drawn.append(words(_WIDTH, _HEIGHT - 5, "time →", "value end"))
    label = f"Share of doubted labels over time, in {len(bins)} parts; at most {max(shares, default=0):.1%}"
    return plot(drawn, width=_WIDTH, height=_HEIGHT, label=label)


def _share(item: Mapping[str, Any]) -> float:
    return int(item["suspects"]) / max(int(item["rows"]), 1)


def _ticks(top: float) -> list[Html]:
    drawn: list[Html] = []
    for part in (0.0, 0.5, 1.0):
        y = _FLOOR - (_FLOOR - _TOP) * part
        drawn.append(line([(_LEFT, y), (_WIDTH, y)], "axis" if part == 0 else "grid"))
        drawn.append(words(_LEFT - 6, y + 4, f"{top * part:.0%}" if top > 0.1 else f"{top * part:.1%}", "value end"))
    return drawn


def _inside(bins: Sequence[Mapping[str, Any]], window: Mapping[str, Any] | None) -> set[int]:
    """The bins that begin in the accused stretch; the one in which it begins, if it is shorter than a bin."""
    if window is None:
        return set()
    moments = [_moment(item["since"]) for item in bins]
    since, until = _moment(window["since"]), _moment(window["until"])
    found = {number for number, moment in enumerate(moments) if since <= moment <= until}
    before = [number for number, moment in enumerate(moments) if moment <= since]
    return found or set(before[-1:])


def _moment(told: Any) -> tuple[float, str]:
    """In the order of times: they are numbers, or texts that sort."""
    try:
        return float(told), ""
    except ValueError:
        return 0.0, str(told)
