"""Each detector finds what it is for, keeps quiet where there is nothing, and its p-values mean what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.poisoning.detectors.baseline import against_baseline
from airflow_mlsecops.core.poisoning.detectors.detection import Detection
from airflow_mlsecops.core.poisoning.detectors.embeddings import activation_clustering, spectral_signatures
from airflow_mlsecops.core.poisoning.detectors.floods import duplicate_floods
from airflow_mlsecops.core.poisoning.detectors.label_pairs import label_pair_excess
from airflow_mlsecops.core.poisoning.detectors.new_pairs import NONE, doubted_pairs, new_label_pair
from airflow_mlsecops.core.poisoning.detectors.sources import source_concentration
from airflow_mlsecops.core.poisoning.detectors.time_runs import time_runs
from airflow_mlsecops.core.poisoning.detectors.triggers import trigger_enrichment
from airflow_mlsecops.core.poisoning.labelled_table import LabelledTable
from airflow_mlsecops.core.poisoning.statistics import (
    binomial_tail,
    detectable_share,
    greater_sum,
    holm,
    hypergeometric_tail,
)
from airflow_mlsecops.core.poisoning.verdict import Judgement, conclude

RNG = np.random.default_rng(0)


class TestStatistics:
    def test_holm_by_hand(self) -> None:
        assert holm([0.01, 0.04, 0.03]) == [0.03, 0.06, 0.06]
        assert holm([0.01, 0.04], tests=10) == [0.1, 0.36]
        assert holm([]) == []

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
    def test_holm_never_lowers_and_never_passes_bonferroni(self, values: list[float]) -> None:
        for raw, corrected in zip(values, holm(values), strict=True):
            assert raw <= corrected <= min(1.0, raw * len(values)) + 1e-12 or corrected == max(holm(values))

    def test_tails_by_hand(self) -> None:
        assert binomial_tail(2, 2, 0.5) == pytest.approx(0.25)
        assert binomial_tail(0, 2, 0.5) == 1.0
        assert hypergeometric_tail(2, 2, 2, 4) == pytest.approx(1 / 6)

    def test_the_sum_is_judged_as_by_permuting(self) -> None:
        draw = np.random.default_rng(2)
        for share in (0.0, 0.02, 0.05):
            first, second = (draw.random(n) ** 8 for n in (300, 500))
            first[: int(share * 300)] += 1.5
            pooled = np.concatenate([first, second])
            sums = np.array([draw.permutation(pooled)[:300].sum() for _ in range(4000)])
            assert greater_sum(first, second) == pytest.approx(float((sums >= first.sum()).mean()), abs=0.02)

    def test_equal_scores_and_no_rows_prove_nothing(self) -> None:
        assert greater_sum(np.ones(5), np.ones(9)) == 1.0
        assert greater_sum(np.full(300, -0.0196), np.full(700, -0.0196)) == 1.0  # whose mean isn't quite that
        assert greater_sum(np.empty(0), np.ones(9)) == 1.0
        assert greater_sum(np.array([3.0]), np.array([1.0])) == 1.0

    def test_rare_great_scores_raise_no_false_alarms(self) -> None:
        draw = np.random.default_rng(5)
        rare = 2.0 * (draw.random((1500, 1000)) < 0.004)
        values = [greater_sum(scores[:400], scores[400:]) for scores in rare]
        assert sum(p < 0.01 for p in values) <= 25  # expected at most 15

    def test_the_detectable_share_is_detected_nine_times_of_ten(self) -> None:
        draw = np.random.default_rng(1)
        honest, poison = draw.random(5000) ** 6, 1 + draw.random(5000)
        share = detectable_share(honest, poison, 1000, alpha=0.01)
        seen = []
        for _ in range(400):
            new = np.where(draw.random(1000) < share, 1 + draw.random(1000), draw.random(1000) ** 6)
            seen.append(greater_sum(new, draw.random(5000) ** 6) < 0.01)
        assert 0.85 <= np.mean(seen) <= 0.96
        assert detectable_share(honest, poison, 0) == 1.0
        assert detectable_share(honest, honest, 1000) == 1.0


class TestLabelPairs:
    def test_one_way_flips_are_accused_and_confusion_both_ways_is_not(self) -> None:
        labels = np.array([0] * 100 + [1] * 100 + [2] * 100)
        suggested, suspects = labels.copy(), np.zeros(300, dtype=bool)
        for begin, end, other in ((0, 20, 1), (100, 118, 0), (200, 220, 0)):  # 0 and 1 mixed up; 2 should be 0
            suggested[begin:end], suspects[begin:end] = other, True
        found = label_pair_excess(labels, suggested, suspects, ("a", "b", "c"))
        assert [(p["given"], p["suggested"], p["rows"], p["back"]) for p in found.details["pairs"]] == [
            ("c", "a", 20, 0)
        ]
        assert found.flagged.nonzero()[0].tolist() == list(range(200, 220))
        assert found.p_value is not None
        assert found.p_value < 0.001

    def test_no_suspects(self) -> None:
        labels = np.arange(10) % 2
        found = label_pair_excess(labels, 1 - labels, np.zeros(10, dtype=bool), ("a", "b"))
        assert (found.rows, found.p_value) == (0, 1.0)


class TestSources:
    def test_the_guilty_one_of_many_is_named_and_no_other(self) -> None:
        for seed in range(20):
            draw = np.random.default_rng(seed)
            sources = draw.integers(0, 150, 6000)
            suspects = draw.random(6000) < np.where(sources == 7, 0.4, 0.02)
            found = source_concentration([f"s{k}" for k in sources], suspects)
            assert found.details["accused"] == ["s7"]
            assert (sources[found.flagged] == 7).all()

    def test_a_great_one_hides_no_other(self) -> None:
        sources = np.repeat(np.arange(20), 100)
        suspects = np.zeros(2000, dtype=bool)
        suspects[:90] = suspects[100:115] = True
        suspects[::50] = True
        assert source_concentration([str(k) for k in sources], suspects).details["accused"] == ["0", "1"]

    def test_false_alarms_stay_below_the_level(self) -> None:
        draw = np.random.default_rng(3)
        values = []
        for _ in range(300):
            sources = [str(k) for k in draw.integers(0, 30, 900)]
            values.append(source_concentration(sources, draw.random(900) < 0.05).p_value)
        assert sum(p is not None and p < 0.01 for p in values) <= 8  # expected at most 3

    def test_ten_thousand_sources(self) -> None:
        sources = [f"s{k}" for k in RNG.integers(0, 10_000, 20_000)] + ["guilty"] * 30
        suspects = np.concatenate([RNG.random(20_000) < 0.01, np.ones(30, dtype=bool)])
        found = source_concentration(sources, suspects)
        assert found.details["accused"] == ["guilty"]
        assert found.details["sources_total"] > 8000
        assert len(found.details["sources"]) == 200

    def test_one_source(self) -> None:
        assert source_concentration(["a"] * 10, np.ones(10, dtype=bool)).p_value == 1.0


class TestNewLabelPairs:
    def test_the_pair_is_accused_and_honest_mixing_is_not(self) -> None:
        draw = np.random.default_rng(0)
        labels = draw.integers(0, 3, 3000)
        p = np.where(labels[:, None] == np.arange(3), 0.8, 0.1)
        mixed = (labels == 0) & (draw.random(3000) < 0.1)  # 0 and 1 are mixed up among all rows
        p[mixed] = [0.1, 0.8, 0.1]
        new = np.arange(3000) >= 2000
        bad = new & (labels == 2) & (draw.random(3000) < 0.05)
        p[bad] = [0.1, 0.8, 0.1]
        pairs = doubted_pairs(p, labels)
        found = new_label_pair(pairs, new, pairs[~new], ("a", "b", "c"))
        assert found.flagged.tolist() == bad.tolist()
        assert (found.details["pairs"][0]["given"], found.details["pairs"][0]["suggested"]) == ("c", "b")
        assert found.p_value is not None
        assert found.p_value < 0.001
        clean = new_label_pair(np.where(bad, NONE, pairs), new, pairs[~new], ("a", "b", "c"))
        assert clean.p_value is not None
        assert clean.p_value > 0.01

    def test_rows_that_are_not_judged_and_not_new_are_not_accused(self) -> None:
        p = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1]])
        pairs = doubted_pairs(p, np.array([1, -1, 1]))
        assert pairs.tolist() == [2, NONE, 2]
        found = new_label_pair(pairs, np.array([True, True, False]), np.full(50, NONE), ("a", "b"))
        assert found.flagged.tolist() == [True, False, False]
        assert new_label_pair(np.full(3, NONE), np.ones(3, dtype=bool), pairs, ("a", "b")).p_value == 1.0


class TestTimeRuns:
    def test_a_stretch_is_found_whatever_the_order_of_rows(self) -> None:
        times = np.arange(2000)
        suspects = RNG.random(2000) < np.where((times >= 700) & (times < 800), 0.4, 0.02)
        order = RNG.permutation(2000)
        found = time_runs(times[order], suspects[order])
        window = found.details["window"]
        assert 600 <= int(window["since"]) <= 720
        assert 780 <= int(window["until"]) <= 900
        assert found.p_value is not None
        assert found.p_value < 1e-6
        assert sum(item["rows"] for item in found.details["time_line"]) == 2000

    def test_text_dates_and_equal_times(self) -> None:
        days = np.array([f"2026-01-{1 + n // 50:02d}" for n in range(1000)])
        suspects = np.zeros(1000, dtype=bool)
        suspects[500:530] = True
        window = time_runs(days, suspects).details["window"]
        assert (window["since"], window["until"], window["rows"]) == ("2026-01-11", "2026-01-11", 50)

    def test_false_alarms_stay_below_the_level(self) -> None:
        draw = np.random.default_rng(5)
        values = [time_runs(np.arange(600), draw.random(600) < 0.05).p_value for _ in range(200)]
        assert sum(p is not None and p < 0.01 for p in values) <= 5


class TestFloods:
    def test_copies_with_one_label_are_accused_as_a_whole(self) -> None:
        groups, labels = np.array([0] * 10 + list(range(10, 400))), np.zeros(400, dtype=np.int64)
        suspects = np.zeros(400, dtype=bool)
        suspects[:7] = suspects[50] = True
        found = duplicate_floods(groups, labels, suspects)
        assert found.flagged.nonzero()[0].tolist() == list(range(10))
        assert found.p_value is not None
        assert found.p_value < 0.01

    def test_the_row_that_was_copied_is_not(self) -> None:
        groups, labels = np.array([0] * 11 + list(range(11, 400))), np.ones(400, dtype=np.int64)
        labels[:10] = 2
        suspects = np.zeros(400, dtype=bool)
        suspects[:7] = True
        found = duplicate_floods(groups, labels, suspects)
        assert found.flagged.nonzero()[0].tolist() == list(range(10))
        assert found.details["guilty_groups"] == 1

    def test_honest_copies_are_not(self) -> None:
        groups, labels = np.array([0] * 10 + list(range(10, 400))), np.zeros(400, dtype=np.int64)
        suspects = np.zeros(400, dtype=bool)
        suspects[0] = suspects[50] = True
        assert duplicate_floods(groups, labels, suspects).rows == 0

    def test_a_doubted_label_in_a_group_of_honest_copies_is_not(self) -> None:
        """Another detector's business: the group has a witness of its own for the right label."""
        groups, labels = np.array([0] * 10 + list(range(10, 400))), np.zeros(400, dtype=np.int64)
        labels[:3] = 1
        suspects = labels == 1
        assert duplicate_floods(groups, labels, suspects).rows == 0


def table(rows: int, *, first: int = 0, seed: int = 0) -> LabelledTable:
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    features = draw.normal(size=(rows, 6)) + 4 * np.eye(6)[labels]
    ids = tuple(f"r{first + n:05d}" for n in range(rows))
    return LabelledTable(ids, features, labels, ("a", "b", "c"), tuple(f"f{k}" for k in range(6)), ())


class TestTriggers:
    def test_values_that_are_new_and_go_with_one_label(self) -> None:
        trusted, new = table(400), table(300, seed=1)
        carriers = np.flatnonzero(new.labels != 2)[:15]
        new.features[carriers, 1] = 9.25
        new.features[carriers, 4] = -7.5
        new.labels[carriers] = 2
        found = trigger_enrichment(new.features, new.labels, trusted.features, new.feature_names, new.classes)
        assert found.flagged.nonzero()[0].tolist() == carriers.tolist()
        assert {(a["feature"], a["value"], a["label"]) for a in found.details["atoms"]} == {
            ("f1", 9.25, "c"),
            ("f4", -7.5, "c"),
        }
        assert found.p_value is not None
        assert found.p_value < 1e-5

    def test_values_that_trusted_rows_have_too_are_no_trigger(self) -> None:
        trusted, new = table(400), table(300, seed=1)
        for each in (trusted, new):
            each.features[each.labels == 0, :2] = 0.0  # as common among trusted rows, and of one label
        assert trigger_enrichment(new.features, new.labels, trusted.features, new.feature_names, new.classes).rows == 0

    def test_new_values_of_all_labels_are_no_trigger(self) -> None:
        trusted, new = table(400), table(300, seed=1)
        new.features[:30, :2] = [9.0, 9.0]
        found = trigger_enrichment(new.features, new.labels, trusted.features, new.feature_names, new.classes)
        assert found.rows == 0


class TestBaseline:
    def test_changed_labels_on_known_rows(self) -> None:
        trusted = table(200)
        labels = trusted.labels.copy()
        labels[[3, 5]] = (labels[[3, 5]] + 1) % 3
        now = LabelledTable(trusted.row_ids, trusted.features, labels, trusted.classes, trusted.feature_names, ())
        answer = against_baseline(now, trusted)
        assert answer.changed.flagged.nonzero()[0].tolist() == [3, 5]
        assert answer.suggested[[3, 5]].tolist() == trusted.labels[[3, 5]].tolist()
        assert answer.known.all()
        assert conclude([answer.changed], doubted=0.0, can_judge=True).judgement is Judgement.TARGETED_ATTACK

    def test_a_whole_region_of_new_rows_is_seen(self) -> None:
        trusted, new = table(400), table(200, first=400, seed=1)
        region = np.flatnonzero(new.labels == 0)[:40]  # a contiguous one, which would vouch for itself
        new.labels[region] = 1
        answer = against_baseline(new, trusted)
        assert answer.new.flagged[region].mean() > 0.9
        assert answer.new.rows <= 45
        assert answer.new.p_value is not None
        assert answer.new.p_value < 1e-9
        assert (answer.suggested[region] == 0).mean() > 0.9
        assert 0 < answer.detectable < 0.1

    def test_an_id_and_a_label_alone_vouch_for_nothing(self) -> None:
        """Whoever changes the features of a trusted row has changed what its label is about."""
        trusted = table(400)
        features = trusted.features.copy()
        zeros, ones = (np.flatnonzero(trusted.labels == label)[:20] for label in (0, 1))
        features[zeros], features[ones] = trusted.features[ones], trusted.features[zeros]
        now = LabelledTable(trusted.row_ids, features, trusted.labels, trusted.classes, trusted.feature_names, ())
        answer = against_baseline(now, trusted)
        assert (~answer.known).sum() == 40
        assert not answer.changed.flagged.any()
        assert answer.new.flagged[[*zeros, *ones]].mean() > 0.9
        assert answer.new.p_value is not None
        assert answer.new.p_value < 1e-9

    def test_honest_new_rows_raise_no_alarm(self) -> None:
        answer = against_baseline(table(200, first=400, seed=1), table(400))
        assert answer.new.p_value is not None
        assert answer.new.p_value > 0.05

    def test_labels_that_no_trusted_row_has_are_doubted(self) -> None:
        trusted, new = table(200), table(90, first=400, seed=1)
        other = LabelledTable(new.row_ids, new.features, new.labels, ("a", "b", "z"), new.feature_names, ())
        answer = against_baseline(other, trusted)
        assert answer.new.flagged[new.labels == 2].all()
        assert answer.changed.details["new_classes"] == ["z"]

    def test_other_features_are_refused(self) -> None:
        trusted = table(200)
        odd = LabelledTable(trusted.row_ids, trusted.features, trusted.labels, trusted.classes, tuple("ghijkl"), ())
        with pytest.raises(DataError, match="the baseline has other features"):
            against_baseline(odd, trusted)


def test_embeddings_in_which_a_backdoor_shows() -> None:
    draw = np.random.default_rng(2)
    labels = np.repeat([0, 1], 300)
    embeddings = draw.normal(size=(600, 16)) + 3 * labels[:, None]
    bad = np.zeros(600, dtype=bool)
    bad[:30] = True
    embeddings[bad] += 14 * np.eye(16)[3]
    for found in (spectral_signatures(embeddings, labels), activation_clustering(embeddings, labels)):
        assert found.flagged[bad].mean() > 0.95
        assert found.flagged[~bad].mean() < 0.02
        assert found.p_value is None
    small = labels[:10] * 0
    assert spectral_signatures(embeddings[:10], small).rows == activation_clustering(embeddings[:10], small).rows == 0


class TestVerdict:
    def detection(self, name: str, p: float | None, rows: int = 0) -> Detection:
        return Detection(name, np.arange(10) < rows, p, "")

    @pytest.mark.parametrize(
        ("values", "doubted", "can_judge", "judgement"),
        [
            ([0.5, 0.9], 0.0, True, Judgement.CLEAN),
            ([0.5, 0.9], 0.05, True, Judgement.NATURAL_NOISE),
            ([0.004, 0.9], 0.0, True, Judgement.TARGETED_ATTACK),
            ([0.006, 0.9], 0.0, True, Judgement.CLEAN),  # corrected for two tests it is 0.012
            ([0.001, 0.9], 0.0, False, Judgement.INCONCLUSIVE),
            ([], 0.0, True, Judgement.CLEAN),
        ],
    )
    def test_what_it_says(self, values: list[float], doubted: float, can_judge: bool, judgement: Judgement) -> None:
        detections = [self.detection(str(n), p) for n, p in enumerate(values)]
        assert conclude(detections, doubted=doubted, can_judge=can_judge).judgement is judgement

    def test_who_decided(self) -> None:
        found = conclude(
            [self.detection("a", 0.001), self.detection("b", None, 3), self.detection("changed-labels", None, 1)],
            doubted=0.0,
            can_judge=True,
        )
        assert found.decided_by == ("a", "changed-labels")
        assert found.corrected == {"a": 0.001}
