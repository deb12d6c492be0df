"""The funnel of sources and the time line show what stands out, and survive odd input."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_mlsecops.core.poisoning.plots import funnel, time_line


def source(name: str, rows: int, suspects: int, *, accused: bool = False) -> dict[str, Any]:
    return {"source": name, "rows": rows, "suspects": suspects, "accused": accused}


def heights(drawn: str, kind: str) -> list[float]:
    return [float(each) for each in re.findall(f'height="([^"]+)" class="{kind}"', drawn)]


def test_the_guilty_source_stands_out_of_the_band() -> None:
    fair = [source(f"s{n}", 80 + n, n % 3) for n in range(20)]
    drawn = funnel([*fair, source("<mallory>", 160, 60, accused=True)])
    points = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="(\d)" class="(\w+)"><title>([^<]*)', drawn)
    assert len(points) == 21
    guilty = [point for point in points if point[3] == "second"]
    assert [point[4] for point in guilty] == ["&lt;mallory&gt;: 60 of 160 rows (37.5%)"]
    (band,) = re.findall(r'<polyline points="([^"]+)" class="band"', drawn)
    highest = min(float(pair.split(",")[1]) for pair in band.split())
    assert float(guilty[0][1]) < highest  # y goes down
    assert all(float(y) > highest for _, y, _, tone, _ in points if tone == "first")
    assert "outside the limits: &lt;mallory&gt;" in drawn


@pytest.mark.parametrize("sources", [[], [source("a", 0, 0)], [source("a", 5, 5, accused=True)]])
def test_few_sources_are_drawn_too(sources: list[dict[str, Any]]) -> None:
    drawn = funnel(sources)
    assert "nan" not in drawn and "inf" not in drawn
    assert drawn.count("<circle") == len(sources)


def bins(*moments: Any) -> list[dict[str, Any]]:
    return [{"since": str(each), "rows": 10, "suspects": number} for number, each in enumerate(moments)]


@pytest.mark.parametrize(
    ("moments", "window", "coloured"),
    [
        (["2026-01-01", "2026-01-02", "2026-01-03"], {"since": "2026-01-02", "until": "2026-01-02"}, [1]),
        ([8, 9, 10, 11], {"since": "9", "until": "10"}, [1, 2]),  # as numbers, not as texts
        ([8, 20, 30], {"since": "21", "until": "22"}, [1]),  # shorter than a bin
        ([8, 9], None, []),
    ],
)
def test_the_accused_stretch_is_coloured(moments: list[Any], window: Any, coloured: list[int]) -> None:
    drawn = time_line(bins(*moments), window)
    full = heights(time_line(bins(*moments)), "first")
    assert len(full) == len(moments)
    assert heights(drawn, "second") == [full[place] for place in coloured]
    assert sorted(full) == full  # more suspects, higher


def test_no_time_at_all_is_drawn_too() -> None:
    assert 'role="img"' in time_line([])
