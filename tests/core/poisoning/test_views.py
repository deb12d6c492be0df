"""The views: what each is told of others' labels, what it finds, what it can't know."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

from airflow_mlsecops.core.poisoning.detectors import regions
from airflow_mlsecops.core.poisoning.detectors.by_source import doubted_by_source, stretches
from airflow_mlsecops.core.poisoning.detectors.neighbour_vote import neighbour_vote
from airflow_mlsecops.core.poisoning.detectors.regions import contiguous_regions
from airflow_mlsecops.core.poisoning.ensemble import group_folds
from airflow_mlsecops.core.poisoning.kernel_view import held_out_probabilities, kernel_probabilities
from airflow_mlsecops.core.poisoning.neighbours import neighbours
from airflow_mlsecops.core.poisoning.noise_model import NoiseModel
from airflow_mlsecops.core.poisoning.trusted_judges import TrustedJudges


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(limits=1):
        yield


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    features, labels = load_digits(return_X_y=True)
    return features[:600].astype(float), labels[:600].astype(np.int64)


class TestKernel:
    def test_a_fold_from_sums_is_a_fold_that_was_learned_alone(self, digits: tuple[Any, Any]) -> None:
        features, labels = digits
        near = neighbours(features)
        folds = group_folds(near.groups, labels, 5, 0)
        used = np.arange(600) % 7 != 0
        found = held_out_probabilities(near.smooth, labels, 10, used, folds)
        assert (found.argmax(axis=1) == labels).mean() > 0.9
        for fold in range(5):
            learn, judge = (folds != fold) & used, folds == fold
            alone = kernel_probabilities(near.smooth[learn], labels[learn], near.smooth[judge], 10)
            np.testing.assert_allclose(found[judge], alone, atol=1e-7)

    def test_no_row_is_told_its_own_label(self, digits: tuple[Any, Any]) -> None:
        features, labels = digits
        near = neighbours(features)
        folds = group_folds(near.groups, labels, 5, 0)
        changed = labels.copy()
        changed[folds == 2] = (changed[folds == 2] + 1) % 10
        everyone = np.ones(600, dtype=bool)
        first, second = (
            held_out_probabilities(near.smooth, y, 10, everyone, folds)[folds == 2] for y in (labels, changed)
        )
        np.testing.assert_allclose(first, second, atol=1e-7)


class TestRegions:
    def test_a_flipped_region_is_found_with_its_label_and_what_lies_around(self, digits: tuple[Any, Any]) -> None:
        features, labels = digits
        members = np.flatnonzero(labels == 3)
        order = ((features[members] - features[members[0]]) ** 2).sum(axis=1).argsort(kind="stable")
        flipped, rows = labels.copy(), members[order[:20]]
        flipped[rows] = 7
        found = contiguous_regions(neighbours(features), flipped, tuple("abcdefghij"))
        assert len(set(found.flagged.nonzero()[0]) & set(rows)) >= 18
        assert found.rows <= 22
        assert (found.details["regions"][0]["given"], found.details["regions"][0]["around"]) == ("h", "d")
        assert found.p_value is None

    def test_nothing_stands_out_of_two_clouds_that_lie_apart(self) -> None:
        features = np.random.default_rng(0).normal(size=(80, 2)) + np.repeat([[0], [9]], 40, axis=0)
        found = contiguous_regions(neighbours(features), np.repeat([0, 1], 40), ("a", "b"))
        assert (found.rows, found.details["regions"]) == (0, [])

    @settings(max_examples=40, deadline=None)
    @given(st.data())
    def test_no_other_set_of_rows_gains_more(self, data: st.DataObject) -> None:
        rows = data.draw(st.integers(3, 7))
        pairs = [(i, j) for i in range(rows) for j in range(i + 1, rows)]
        ties = np.array(data.draw(st.lists(st.sampled_from(pairs), min_size=1, max_size=14, unique=True)))
        labels = np.array(data.draw(st.lists(st.integers(0, 2), min_size=rows, max_size=rows)))

        def cost(moved: Any) -> int:
            new = np.where(moved, 0, labels)
            return int((new[ties[:, 0]] != new[ties[:, 1]]).sum()) + regions.PRICE * int((new != labels).sum())

        best = min(cost(np.array(moved)) for moved in product([False, True], repeat=rows))
        assert cost(regions._moved(ties, labels, 0)) == best

    def test_too_many_rows_are_told(self, monkeypatch: pytest.MonkeyPatch, digits: tuple[Any, Any]) -> None:
        monkeypatch.setattr(regions, "LARGEST", 100)
        features, labels = digits
        found = contiguous_regions(neighbours(features[:101]), labels[:101], tuple("abcdefghij"))
        assert found.rows == 0
        assert "not looked for among more than 100 rows" in found.message


def test_neighbours_outvote_flips_and_copies_have_no_vote(digits: tuple[Any, Any]) -> None:
    features, labels = digits
    flipped = labels.copy()
    flipped[:20] = (flipped[:20] + 1) % 10
    copies = np.repeat(features[:1], 30, axis=0)  # of a flipped row: a flood that would outvote the truth
    near = neighbours(np.vstack([features, copies]))
    found = neighbour_vote(near, np.concatenate([flipped, np.repeat(flipped[:1], 30)]), 10)
    assert found.flagged[:20].mean() >= 0.9
    assert found.flagged[600:].all()
    assert found.flagged[20:600].mean() < 0.15


class TestBySource:
    def test_the_noise_of_a_source_is_its_own(self) -> None:
        draw = np.random.default_rng(0)
        truth, which = draw.integers(0, 2, 2000), np.arange(2000) % 4
        labels = np.where((which == 0) & (truth == 1) & (draw.random(2000) < 0.6), 0, truth)
        second = np.where(truth[:, None] == np.arange(2), 0.75, 0.25)  # models that aren't sure
        noise = np.array([[0.99, 0.01], [0.15, 0.85]])
        model = NoiseModel(second, second, second, noise, 1.0, labels < 0, labels < 0)
        found = doubted_by_source(model, labels, [f"s{k}" for k in which], ("no", "yes"))
        worst = found.details["sources"][0]
        assert worst["source"] == "s0"
        assert (worst["flips"]["class"], worst["flips"]["label"]) == ("yes", "no")
        assert worst["flips"]["share"] > 0.4 > 0.1 > max(s["wrong_share"] for s in found.details["sources"][1:])
        assert found.flagged[labels != truth].all()
        assert not found.flagged[which > 0].any()

    def test_too_many_matrices(self) -> None:
        p = np.full((10, 5000), 1 / 5000)
        none = np.zeros(10, dtype=bool)
        model = NoiseModel(p, p, p, np.broadcast_to(1 / 5000, (5000, 5000)), 1.0, none, none)
        found = doubted_by_source(model, np.zeros(10, dtype=np.int64), list("abcdefghij"), ())
        assert "too many" in found.message

    def test_stretches_of_time_split_no_moment(self) -> None:
        days = np.array([f"2026-01-{1 + n // 30:02d}" for n in range(300)])[::-1]
        found = stretches(days)
        assert len(set(found)) == 10
        assert {(day, name) for day, name in zip(days, found, strict=True)} == {(d, f"since {d}") for d in days}
        assert set(stretches(np.zeros(7))) == {"since 0.0"}


class TestTrustedJudges:
    def test_wrong_labels_are_likelier_in_poisoned_data_and_right_ones_are_not(self, digits: tuple[Any, Any]) -> None:
        features, labels = digits
        judges = TrustedJudges(features[:450], labels[:450], 10)
        probabilities = judges(features[450:])
        assert (probabilities.argmax(axis=1) == labels[450:]).mean() > 0.85
        ratios = judges.log_ratios(probabilities)
        right = np.eye(10, dtype=bool)[labels[450:]]
        assert ratios[right].mean() < 0 < ratios[~right].mean()
        assert np.isfinite(ratios).all()
