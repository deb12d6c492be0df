"""What plots are drawn with: inline SVG. Geometry goes into attributes; ``style`` is what the page refuses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from airflow_mlsecops.core.html.text import Html, element

TONES = ("first", "second", "third")


def plot(drawn: Sequence[Html], *, width: int, height: float, label: Any) -> Html:
    """The whole plot; ``label`` says in a sentence what can be seen."""
    size = {"viewBox": f"0 0 {width} {height:g}", "role": "img", "aria-label": label, "class": "plot"}
    around = {"class": "scroll", "tabindex": 0, "role": "group", "aria-label": "Plot"}
    return element("div", element("svg", *drawn, attributes=size), attributes=around)


def words(x: float, y: float, told: Any, kind: str = "label") -> Html:
    """Some words; ``kind`` is classes of the style sheet: ``label``, ``value``, ``end``, ``middle``."""
    return element("text", told, attributes={"x": f"{x:.1f}", "y": f"{y:.1f}", "class": kind})


def box(x: float, y: float, width: float, height: float, kind: str, title: Any = "") -> Html:
    """A filled rectangle, with what is told when somebody points at it."""
    shape = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{width:.1f}", "height": f"{height:.1f}", "class": kind}
    return element("rect", *([element("title", title)] if title else []), attributes=shape)


def line(points: Sequence[tuple[float, float]], kind: str) -> Html:
    """A line through points: ``axis``, ``grid`` or ``dashed``; ``band`` fills what it goes round."""
    return element("polyline", attributes={"points": " ".join(f"{x:.1f},{y:.1f}" for x, y in points), "class": kind})


def legend(x: float, y: float, names: Sequence[Any]) -> list[Html]:
    """The names of up to three series, in their colours."""
    drawn: list[Html] = []
    for tone, name in zip(TONES, names, strict=False):
        drawn += [box(x, y, 12, 12, tone), words(x + 17, y + 10, str(name)[:20])]
        x += 40 + 7 * min(len(str(name)), 20)
    return drawn


def finite(value: float) -> float:
    """What can be drawn: a finite number, not below zero."""
    return float(value) if math.isfinite(value) and value > 0 else 0.0


def meter(share: float) -> Html:
    """A small bar beside a number that says the same."""
    full = 72
    width = max(full * min(finite(share), 1.0), 1.5 if share > 0 else 0.0)
    size = {"viewBox": f"0 0 {full} 8", "width": full, "height": 8, "class": "meter", "aria-hidden": "true"}
    return element("svg", box(0, 0, full, 8, "back"), box(0, 0, width, 8, "fill"), attributes=size)


def sentence(names: Sequence[Any], series: Sequence[tuple[Any, Sequence[float]]], most: int = 12) -> str:
    """A plot in words, for those who hear the page."""
    told = (
        f"{name}: " + ", ".join(f"{label} {value:.3g}" for label, value in zip(names[:most], values, strict=False))
        for name, values in series
    )
    return "; ".join(told) + ("; and more" if len(names) > most else "")
