"""Where the edges of a histogram lie: found in a few scans, whatever the order of the rows, in bounded memory.

Exact quantiles would need the column sorted. Instead the range is cut into equal pieces and counted; pieces that hold
too much are cut again, a few times, so that one far outlier doesn't squeeze all others into one bin. At the end
neighbours are joined to at most :data:`~airflow_mlsecops.core.profile.model.BINS` bins of about equal mass.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from airflow_mlsecops.core.profile.model import BINS, Histogram

PIECES = 4096
"""Into how many pieces a range is cut."""
ROUNDS = 3
"""How often pieces are cut again: a bulk within 4096^-4 of the range is still resolved."""


_SMALL = 1e-290
"""Below this, two significant digits can't be told apart any more."""


def first_edges(low: float, high: float, rows: int, *, whole: bool) -> list[float]:
    """Edges of equal pieces from ``low`` to ``high``; at whole numbers where all values are, and fewer for few rows."""
    return _cut(low, high, min(PIECES, 4 * rows), whole=whole)


def finer_edges(histogram: Histogram, *, whole: bool) -> list[float]:
    """The edges with those pieces cut again that hold more than their share; the same edges if there are none.

    A piece that can't be cut (neighbouring floats, one whole number) is left.
    """
    edges, counts = histogram.edges, histogram.counts
    too_many = max(histogram.total / BINS, 1)
    heavy = [i for i in range(1, len(edges)) if counts[i] > too_many]
    pieces = PIECES // len(heavy) if heavy else 0
    made: list[float] = [edges[0]]
    for i in range(1, len(edges)):
        if pieces > 1 and counts[i] > too_many:
            made += _cut(edges[i - 1], edges[i], pieces, whole=whole)[1:]
        else:
            made.append(edges[i])
    return made


def joined(histogram: Histogram) -> Histogram:
    """At most :data:`BINS` bins: an edge stays where the running count passes another thousandth of the total."""
    step = max(histogram.total / BINS, 1)
    edges: list[float] = []
    counts: list[int] = []
    running, passed, held = 0, 0, 0
    last = len(histogram.edges) - 1
    for i, (edge, count) in enumerate(zip(histogram.edges, histogram.counts, strict=False)):
        running, held = running + count, held + count
        if math.floor(running / step) > passed or i == last:
            passed = math.floor(running / step)
            edges.append(edge)
            counts.append(held)
            held = 0
    return Histogram(tuple(edges), (*counts, histogram.counts[-1]))


def rounded_outward(low: float, high: float) -> tuple[float, float]:
    """A range around ``low`` to ``high`` with two significant digits, which gives no extreme away."""
    size = max(abs(low), abs(high))
    if size < _SMALL:
        return (-_SMALL if low < 0 else 0.0, _SMALL if high > 0 else 0.0)
    unit = 10.0 ** (math.floor(math.log10(size)) - 1)
    below, above = math.floor(low / unit) * unit, math.ceil(high / unit) * unit
    below, above = below - unit if below > low else below, above + unit if above < high else above
    return (below, above) if math.isfinite(below) and math.isfinite(above) else (low, high)


def _cut(low: float, high: float, pieces: int, *, whole: bool) -> list[float]:
    """Edges from ``low`` to ``high``, both included, ascending; fewer where floats or whole numbers run out."""
    if low >= high:
        return [low]
    # Halves, because the difference of two large floats may be infinite.
    step = high / pieces - low / pieces
    inner: Sequence[float] = [low + step * i for i in range(1, pieces)]
    if whole:
        inner = [float(math.floor(edge)) for edge in inner]
    edges = [low]
    for edge in (*inner, high):
        if edges[-1] < edge <= high:
            edges.append(edge)
    return edges
