"""Bar plots as inline SVG. Geometry goes into attributes, never into ``style``, which the page's policy refuses."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_mlsecops.core.html.text import Html, element

_WIDTH = 640
_ROW = 18
_LABEL = 190
_TONES = ("first", "second", "third")


def bars(labels: Sequence[Any], series: Mapping[str, Sequence[float]]) -> Html:
    """Horizontal bars: one group for each label, one bar in it for each series (at most three), on a common scale.

    Args:
        labels: what stands at the groups.
        series: name -> as many finite values >= 0 as there are labels; others are drawn as no bar.

    Raises:
        ValueError: for more than three series, or one of another length.
    """
    if len(series) > len(_TONES) or any(len(values) != len(labels) for values in series.values()):
        raise ValueError("expected at most three series, each as long as the labels")
    top = max((_finite(value) for values in series.values() for value in values), default=0.0) or 1.0
    drawn, y = [_legend(list(series))], _ROW
    for place, label in enumerate(labels):
        drawn.append(_words(0, y + 13, str(label)[:28], "label"))
        for tone, values in zip(_TONES, series.values(), strict=False):
            value = _finite(values[place])
            width = (_WIDTH - _LABEL - 80) * value / top
            drawn.append(_box(_LABEL, y + 3, width, tone))
            drawn.append(_words(_LABEL + width + 5, y + 13, f"{values[place]:.4g}", "value"))
            y += _ROW
        y += 4
    size = {"viewBox": f"0 0 {_WIDTH} {y + 4}", "width": _WIDTH, "height": y + 4, "role": "img", "class": "plot"}
    return element("svg", *drawn, attributes=size)


def _legend(names: Sequence[str]) -> Html:
    drawn: list[Html] = []
    for place, (tone, name) in enumerate(zip(_TONES, names, strict=False)):
        drawn += [_box(_LABEL + 140 * place, 1, 12, tone), _words(_LABEL + 140 * place + 17, 12, name[:20], "label")]
    return element("g", *drawn)


def _box(x: float, y: float, width: float, tone: str) -> Html:
    shape = {"x": f"{x:.1f}", "y": f"{y:.1f}", "width": f"{width:.1f}", "height": 12, "class": tone}
    return element("rect", attributes=shape)


def _words(x: float, y: float, words: str, kind: str) -> Html:
    return element("text", words, attributes={"x": f"{x:.1f}", "y": f"{y:.1f}", "class": kind})


def _finite(value: float) -> float:
    return float(value) if math.isfinite(value) and value > 0 else 0.0
