"""The search for neighbours finds what comparing all with all finds, however rows lie and are grouped."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from airflow_mlsecops.core.poisoning import candidates, cells
from airflow_mlsecops.core.poisoning.nearest import nearest
from airflow_mlsecops.core.poisoning.neighbours import standardised


def all_with_all(rows: NDArray[np.float64], width: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Every pair measured from its differences; nearest first, ties by row."""
    distances, indices = [], []
    for number, row in enumerate(rows):
        differences = rows - row
        far = np.sqrt(np.einsum("ij,ij->i", differences, differences)).round(9)
        order = np.lexsort((np.arange(len(rows)), far))
        best = order[order != number][:width]
        distances.append(far[best])
        indices.append(best)
    return np.array(distances), np.array(indices)


def agree(rows: NDArray[np.float64], width: int) -> None:
    distances, indices = nearest(rows, width)
    expected_distances, expected_indices = all_with_all(rows, width)
    np.testing.assert_array_equal(indices, expected_indices)
    np.testing.assert_array_equal(distances, expected_distances)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows fall into many cells and blocks, and a few ties are a crowd."""
    monkeypatch.setattr(cells, "CELL", 12)
    monkeypatch.setattr(cells, "BLOCK", 8)
    monkeypatch.setattr(candidates, "CROWD", 2)


@st.composite
def tables(draw: st.DrawFn) -> NDArray[np.float64]:
    """Clusters, grids full of ties, copies, near-copies, constant columns, columns far from zero."""
    size, columns = draw(st.integers(3, 150)), draw(st.integers(1, 6))
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    kind = draw(st.sampled_from(["clusters", "grid", "gauss"]))
    rows = chance.normal(size=(size, columns))
    if kind == "grid":
        rows = chance.integers(0, draw(st.integers(2, 4)), size=(size, columns)).astype(float)
    if kind == "clusters":
        rows = rows + 30 * chance.normal(size=(5, columns))[chance.integers(0, 5, size)]
    if draw(st.booleans()):
        rows[chance.integers(0, size, size // 2)] = rows[0]
    if draw(st.booleans()):
        rows = rows + 1e-10 * chance.integers(0, 3, size=rows.shape)
    rows[:, 0] *= draw(st.sampled_from([0.0, 1.0, 1e-6, 1e6]))
    rows = rows + draw(st.sampled_from([0.0, 1e6, -1e9]))
    return standardised(rows, rows)


@pytest.mark.usefixtures("small")
@settings(max_examples=150, deadline=None)
@given(rows=tables(), share=st.floats(0, 1))
def test_it_finds_what_comparing_all_with_all_finds(rows: NDArray[np.float64], share: float) -> None:
    agree(rows, max(1, int(share * (len(rows) - 1))))


@pytest.mark.parametrize("columns", [2, 32, 300])
def test_cells_of_their_usual_size(columns: int) -> None:
    draw = np.random.default_rng(columns)
    rows = draw.normal(size=(1500, columns)) + 3 * draw.normal(size=(5, columns))[draw.integers(0, 5, 1500)]
    agree(standardised(rows, rows), 60)


def test_far_rows_do_not_blur_near_ones() -> None:
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(900, 4))
    rows[:3] *= 1e5  # the others lie close together, once scaled
    agree(standardised(rows, rows), 20)


@pytest.mark.parametrize(
    "rows",
    [np.zeros((700, 3)), np.repeat(np.eye(7), 100, axis=0), np.eye(300), np.vstack([np.zeros((650, 2)), np.eye(2)])],
    ids=["all alike", "seven kinds", "all as far from each other", "one flood"],
)
def test_copies_and_ties(rows: NDArray[np.float64]) -> None:
    agree(rows, 60)


def test_a_crowd_of_ties_is_measured_and_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "CROWD", 1)
    agree(np.eye(600), 60)


def test_the_present_search_of_scikit_learn_agrees() -> None:
    rows = np.random.default_rng(1).normal(size=(1200, 20))
    distances, indices = nearest(rows, 60)
    expected, others = NearestNeighbors(n_neighbors=60, algorithm="brute").fit(rows).kneighbors()
    np.testing.assert_array_equal(indices, others)
    np.testing.assert_allclose(distances, expected, atol=1e-7)


def test_threads_change_no_bit() -> None:
    draw = np.random.default_rng(2)
    rows = draw.normal(size=(2500, 8)) + 5 * draw.normal(size=(6, 8))[draw.integers(0, 6, 2500)]
    found: list[Any] = []
    for threads in (1, 2, 4):
        with threadpool_limits(limits=threads):
            found.append(nearest(rows, 30))
    for distances, indices in found[1:]:
        np.testing.assert_array_equal(distances, found[0][0])
        np.testing.assert_array_equal(indices, found[0][1])


def test_most_pairs_are_not_compared_where_rows_lie_in_clusters(monkeypatch: pytest.MonkeyPatch) -> None:
    compared, take_in = [], candidates.Candidates.compare

    def counted(self: Any, who: Any, theirs: Any) -> None:
        compared.append(len(who) * len(theirs))
        take_in(self, who, theirs)

    monkeypatch.setattr(candidates.Candidates, "compare", counted)
    draw = np.random.default_rng(3)
    rows = draw.normal(size=(6000, 16)) + 6 * draw.normal(size=(12, 16))[draw.integers(0, 12, 6000)]
    nearest(standardised(rows, rows), 60)
    assert sum(compared) < 6000**2 / 4
