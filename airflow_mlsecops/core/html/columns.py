"""Upright columns, for parts of a scale, which have an order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_mlsecops.core.html.bars import check_series
from airflow_mlsecops.core.html.plot import TONES, box, finite, legend, line, plot, sentence, words
from airflow_mlsecops.core.html.text import Html

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 560, 230, 44, 26, 24


def columns(labels: Sequence[Any], series: Mapping[str, Sequence[float]], *, unit: str = "") -> Html:
    """Columns side by side: one group for each part of the scale, one column in it for each series (at most three).

    Args:
        labels: of the parts, in order; the first and the last are written below.
        series: name -> as many finite values >= 0 as there are labels; others are drawn as no column.
        unit: of the values.

    Raises:
        ValueError: for more than three series, or one of another length.
    """
    check_series(labels, series)
    top = max((finite(value) for values in series.values() for value in values), default=0.0) * 1.05 or 1.0
    high, floor = _HEIGHT - _TOP - _BOTTOM, _HEIGHT - _BOTTOM
    drawn = legend(_LEFT, 2, list(series))
    for share in (0.0, 0.5, 1.0):
        y = floor - high * share
        drawn.append(line([(_LEFT, y), (_WIDTH, y)], "axis" if share == 0 else "grid"))
        drawn.append(words(_LEFT - 6, y + 4, f"{top * share:.3g}{unit}", "value end"))
    step = (_WIDTH - _LEFT) / max(len(labels), 1)
    wide = step * 0.8 / max(len(series), 1)
    for place, label in enumerate(labels):
        x = _LEFT + step * place + step * 0.1
        for tone, (name, values) in zip(TONES, series.items(), strict=False):
            height = high * finite(values[place]) / top
            told = f"{label}, {name}: {values[place]:.3g}{unit}"
            drawn.append(box(x, floor - height, max(wide - 1, 0.5), height, tone, told))
            x += wide
    if labels:
        drawn.append(words(_LEFT, _HEIGHT - 6, str(labels[0])[:34], "value"))
        if len(labels) > 1:
            drawn.append(words(_WIDTH, _HEIGHT - 6, str(labels[-1])[:34], "value end"))
    return plot(drawn, width=_WIDTH, height=_HEIGHT, label=sentence(labels, list(series.items())))
