"""Horizontal bars, for things that have names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_mlsecops.core.html.plot import TONES, box, finite, legend, plot, sentence, words
from airflow_mlsecops.core.html.text import Html, element

_WIDTH = 640
_ROW = 16
_LABEL = 190


def bars(labels: Sequence[Any], series: Mapping[str, Sequence[float]]) -> Html:
    """Horizontal bars: one group for each label, one bar in it for each series (at most three), on a common scale.

    Args:
        labels: what stands at the groups.
        series: name -> as many finite values >= 0 as there are labels; others are drawn as no bar.

    Raises:
        ValueError: for more than three series, or one of another length.
    """
    check_series(labels, series)
    top = max((finite(value) for values in series.values() for value in values), default=0.0) or 1.0
    drawn, y = [element("g", *legend(_LABEL, 1, list(series)))], _ROW + 6
    for place, label in enumerate(labels):
        drawn.append(words(0, y + 12, str(label)[:28]))
        for tone, values in zip(TONES, series.values(), strict=False):
            width = (_WIDTH - _LABEL - 60) * finite(values[place]) / top
            drawn += [
                box(_LABEL, y + 2, width, 12, tone),
                words(_LABEL + width + 5, y + 12, f"{values[place]:.3g}", "value"),
            ]
            y += _ROW
        y += 6
    return plot(drawn, width=_WIDTH, height=y + 2, label=sentence(labels, list(series.items())))


def check_series(labels: Sequence[Any], series: Mapping[str, Sequence[float]]) -> None:
    """Refuse what can't be drawn.

    Raises:
        ValueError: for more than three series, or one of another length than the labels.
    """
    if len(series) > len(TONES) or any(len(values) != len(labels) for values in series.values()):
        raise ValueError("expected at most three series, each as long as the labels")
