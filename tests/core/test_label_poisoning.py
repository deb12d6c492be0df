"""The label-poisoning control: planted labels are found, clean data passes, and nothing leaks or wobbles."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.controls.label_poisoning import detect_label_poisoning
from airflow_mlsecops.core.errors import ConfigurationError, DataError
from airflow_mlsecops.core.findings import Severity
from airflow_mlsecops.core.poisoning.roles import Roles
from airflow_mlsecops.core.poisoning.suspects import confident_learning, mean_auc
from airflow_mlsecops.core.predicates import control_run
from airflow_mlsecops.core.report import Report, Verdict
from tests.support.labelled import dataset, flip, frame_of, two_clouds, write

Loader = Callable[..., tuple[Any, Any]]


def linear() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))


def detect(frame: pd.DataFrame, path: Path, **arguments: Any) -> Report:
    write(frame, path)
    defaults = {"label_column": "label", "id_column": "row_id", "estimator": GaussianNB}
    return detect_label_poisoning(dataset(path), path, **defaults | arguments)


def suspects(report: Report) -> list[dict[str, Any]]:
    return json.loads(report.blobs["suspects.json"])  # type: ignore[no-any-return]


def rules(report: Report) -> dict[str, Severity]:
    return {finding.rule: finding.severity for finding in report.findings}


@pytest.fixture(scope="module")
def clouds() -> pd.DataFrame:
    """200 rows, two classes far apart, 6 rows of class 1 called 0 (3 %)."""
    features, labels = two_clouds(200)
    return frame_of(features, flip(labels, 0.06, old=1, new=0)[0])


@pytest.mark.parametrize("load", [load_digits, load_breast_cancer, load_wine])
def test_clean_real_data_passes(tmp_path: Path, load: Loader) -> None:
    report = detect(frame_of(*load(return_X_y=True)), tmp_path / "clean.csv", estimator=None)
    assert report.verdict is Verdict.PASS
    assert report.metrics["suspect_share"] < 0.01
    assert report.metrics["accuracy_out_of_sample"] > 0.95


@pytest.mark.parametrize(
    ("load", "old", "new", "share", "recall", "precision"),
    [
        (load_digits, 3, 8, 0.3, 0.65, 0.85),
        (load_digits, 9, 4, 0.4, 0.5, 0.8),
        (load_breast_cancer, 0, 1, 0.15, 0.7, 0.7),
        (load_wine, 1, 2, 0.15, 0.9, 0.9),
    ],
)
def test_flipped_labels_are_found_in_real_data(
    tmp_path: Path, load: Loader, old: int, new: int, share: float, recall: float, precision: float
) -> None:
    features, labels = load(return_X_y=True)
    poisoned, flipped = flip(labels, share, old=old, new=new)
    report = detect(frame_of(features, poisoned), tmp_path / "poisoned.csv", estimator=None)
    found = {int(row["row_id"][1:]) for row in suspects(report)}
    assert report.verdict is Verdict.FAIL
    assert not report
    assert rules(report)["label-poisoning/suspect-share"] is Severity.CRITICAL
    assert rules(report)["label-poisoning/class-pair"] is Severity.CRITICAL
    assert (report.metrics["top_pair_given"], report.metrics["top_pair_suggested"]) == (str(new), str(old))
    assert len(found & flipped) / len(flipped) >= recall
    assert len(found & flipped) / len(found) >= precision


def test_the_report_in_full(tmp_path: Path, clouds: pd.DataFrame) -> None:
    path = tmp_path / "data.parquet"
    report = detect(clouds, path, warn_budget=0.01, seed=4)
    before = path.read_bytes()
    assert report.control == "label-poisoning"
    assert report.subject == dataset(path)
    assert report.summary == "6 of 200 labels (3.00%) are suspect; the budget is 2.00%"
    assert report.metrics["rows"] == 200
    assert report.metrics["features"] == 3
    assert report.metrics["classes"] == 2
    assert report.metrics["suspects"] == 6
    assert report.metrics["suspect_share"] == 0.03
    assert report.metrics["budget"] == 0.02
    assert report.metrics["accuracy_out_of_sample"] == 0.97
    assert report.metrics["top_pair_rows"] == 6
    assert report.metrics["top_pair_share_of_given"] == round(6 / 106, 6)
    assert report.parameters == {
        "label_column": "label",
        "feature_columns": "all numeric",
        "id_column": "row_id",
        "estimator": "sklearn.naive_bayes.GaussianNB",
        "folds": 5,
        "budget": 0.02,
        "warn_budget": 0.01,
        "seed": 4,
        "detector": "confident-learning/prune_by_noise_rate",
    }
    assert set(report.tools) >= {"scikit-learn", "numpy", "scipy"}
    assert [finding.techniques for finding in report.findings] == [("AML.T0020", "AML.T0059", "ML02:2023")] * 2
    detail = report.details["detectors"]["confident-learning/prune_by_noise_rate"]
    assert detail["classes"] == [
        {"label": "0", "rows": 106, "suspects": 6},
        {"label": "1", "rows": 94, "suspects": 0},
    ]
    assert detail["pairs"] == [{"given": "0", "suggested": "1", "rows": 6, "share": round(6 / 106, 6)}]
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["data.parquet"]


def test_the_suspects_stand_in_the_blob_and_nowhere_else(tmp_path: Path, clouds: pd.DataFrame) -> None:
    named = clouds.assign(row_id=[f"patient-{number}-secret" for number in range(len(clouds))])
    report = detect(named, tmp_path / "data.csv")
    rows = suspects(report)
    truth = two_clouds(200)[1]
    flipped = {f"patient-{n}-secret" for n in flip(truth, 0.06, old=1, new=0)[1]}
    assert {row["row_id"] for row in rows} == flipped
    assert {(row["given"], row["suggested"]) for row in rows} == {("0", "1")}
    assert all(0 <= row["quality"] < 0.5 for row in rows)
    assert rows == sorted(rows, key=lambda row: (row["quality"], row["row_id"]))
    assert report.blobs["suspects.json"] == canonical_json(rows)
    statement = control_run.build(
        report, finished_at=datetime(2026, 1, 1, tzinfo=UTC), run={}, report_blob="0" * 64, blobs={}
    )
    for text in (str(statement), json.dumps(report.to_dict())):
        assert "label-poisoning" in text
        assert "secret" not in text


@pytest.mark.parametrize(
    ("budget", "warn_budget", "verdict"),
    [
        (0.03, None, Verdict.PASS),
        (0.0299, None, Verdict.FAIL),
        (0.0, None, Verdict.FAIL),
        (0.5, 0.03, Verdict.PASS),
        (0.5, 0.0299, Verdict.WARN),
        (0.5, 0.0, Verdict.WARN),
        (0.01, 0.01, Verdict.FAIL),
    ],
)
def test_the_share_is_held_against_the_budgets(
    tmp_path: Path, clouds: pd.DataFrame, budget: float, warn_budget: float | None, verdict: Verdict
) -> None:
    report = detect(clouds, tmp_path / "data.csv", budget=budget, warn_budget=warn_budget)
    assert report.verdict is verdict
    severity = {Verdict.PASS: Severity.INFO, Verdict.WARN: Severity.WARNING, Verdict.FAIL: Severity.CRITICAL}[verdict]
    assert rules(report)["label-poisoning/class-pair"] is severity
    assert rules(report).get("label-poisoning/suspect-share", Severity.INFO) is severity


def test_no_suspects_pass_even_without_a_budget(tmp_path: Path) -> None:
    report = detect(frame_of(*two_clouds(80)), tmp_path / "data.csv", budget=0.0)
    assert report.verdict is Verdict.PASS
    assert report.findings == ()
    assert report.blobs["suspects.json"] == b"[]"


@pytest.mark.parametrize("strategy", ["uniform", "prior", "most_frequent", "stratified"])
def test_an_estimator_that_knows_nothing_lets_nothing_pass(tmp_path: Path, strategy: str) -> None:
    """Equal probabilities accuse nobody: without this finding, such an estimator would wave every poison through."""
    report = detect(
        frame_of(*two_clouds(300)), tmp_path / "data.csv", estimator=DummyClassifier(strategy=strategy), budget=0.99
    )
    assert report.verdict is Verdict.FAIL
    assert rules(report)["label-poisoning/no-better-than-chance"] is Severity.CRITICAL
    assert "says nothing" in report.summary


def test_labels_drawn_at_random_fail(tmp_path: Path) -> None:
    features, labels = load_digits(return_X_y=True)
    shuffled = np.random.default_rng(0).permutation(labels)
    report = detect(frame_of(features, shuffled), tmp_path / "data.csv", estimator=linear)
    assert report.verdict is Verdict.FAIL
    assert report.metrics["suspect_share"] > 0.2


def test_columns_that_are_left_out_are_told(tmp_path: Path, clouds: pd.DataFrame) -> None:
    frame = clouds.assign(f1=["n/a?", *clouds["f1"].astype(str)[1:]])  # one bad cell makes the whole column text
    report = detect(frame, tmp_path / "data.csv", budget=0.5)
    assert rules(report)["label-poisoning/ignored-columns"] is Severity.INFO
    assert report.details["ignored_columns"] == ["f1"]
    assert report.details["feature_columns"] == ["f0", "f2"]


@pytest.mark.parametrize("names", [["no", "yes"], [False, True], [0.0, 1.0], [-5, 5]])
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_what_labels_are_called_changes_nothing(
    tmp_path: Path, clouds: pd.DataFrame, names: list[Any], suffix: str
) -> None:
    plain = detect(clouds, tmp_path / "plain.csv")
    named = detect(clouds.assign(label=[names[k] for k in clouds["label"]]), tmp_path / f"named{suffix}")
    shown = [str(int(name)) if isinstance(name, float) else str(name) for name in names]
    translated = [
        {**row, "given": shown[int(row["given"])], "suggested": shown[int(row["suggested"])]} for row in suspects(plain)
    ]
    assert suspects(named) == translated
    assert named.metrics["suspects"] == plain.metrics["suspects"] > 0


def said(report: Report) -> dict[str, bytes]:
    """The blobs; the page also names the bytes that it is about, which are others in another order."""
    return {name: blob.replace(report.subject.digest.encode(), b"") for name, blob in report.blobs.items()}


@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(60)), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_rows_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], seed: int
) -> None:
    features, labels = two_clouds(60, distance=1.0)
    frame = frame_of(np.round(features), labels)  # rounded: many rows tie
    path = tmp_path_factory.mktemp("order") / "data.csv"
    there = detect(frame, path, seed=seed)
    shuffled = detect(frame.iloc[order], path, seed=seed)
    assert said(there) == said(shuffled)
    assert there.metrics == shuffled.metrics


def test_the_default_gives_the_same_bytes_again_and_in_any_order(tmp_path: Path) -> None:
    features, labels = load_breast_cancer(return_X_y=True)
    frame = frame_of(features, flip(labels, 0.2, old=0, new=1)[0])
    first, again = (detect(frame, tmp_path / "data.csv", estimator=None) for _ in range(2))
    shuffled = detect(frame.sample(frac=1, random_state=1), tmp_path / "data.csv", estimator=None)
    assert len(suspects(first)) > 10
    assert first.blobs == again.blobs
    assert said(first) == said(shuffled)
    assert first.to_dict() == again.to_dict()


@settings(max_examples=60, deadline=None)
@given(data=st.data(), classes=st.integers(2, 4), rows=st.integers(60, 400))
def test_rows_that_tie_are_taken_in_their_order(data: st.DataObject, classes: int, rows: int) -> None:
    """Among equal rows with equal labels the flagged ones come first, however a processor sorts."""
    draw = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    kinds = draw.multinomial(4, np.full(classes, 1 / classes), size=6) / 4
    which = draw.integers(0, len(kinds), rows)
    labels = np.concatenate([np.arange(classes), draw.integers(0, classes, rows - classes)])
    found = confident_learning(labels, kinds[which])
    for kind in range(len(kinds)):
        for label in range(classes):
            flags = found.flagged[(which == kind) & (labels == label)].tolist()
            assert flags == sorted(flags, reverse=True)
    assert (found.suggested != labels).all()
    assert (found.quality[found.flagged] <= 0.5).all()


def test_mean_auc_against_hand_computed_values() -> None:
    labels = np.array([0, 0, 1, 1])
    perfect = np.array([[0.9, 0.1], [0.6, 0.4], [0.4, 0.6], [0.1, 0.9]])
    assert mean_auc(labels, perfect) == 1.0
    assert mean_auc(labels, perfect[::-1]) == 0.0
    assert mean_auc(labels, np.full((4, 2), 0.5)) == 0.5
    assert mean_auc(labels, perfect[[0, 2, 1, 3]]) == 0.75  # one of four (0, 1) pairs is the wrong way round


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": 1.0}, "budget is 1.0, expected a share"),
        ({"budget": 2}, "budget is 2"),
        ({"budget": -0.01}, "budget is -0.01"),
        ({"budget": float("nan")}, "budget is nan"),
        ({"budget": "0.02"}, "budget is '0.02'"),
        ({"warn_budget": 1.5}, "warn_budget is 1.5"),
        ({"budget": 0.02, "warn_budget": 0.03}, "warn_budget 0.03 is above budget 0.02"),
        ({"folds": 1}, "folds is 1"),
        ({"folds": True}, "folds is True"),
        ({"folds": 2.5}, "folds is 2.5"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": 2**32}, "seed is 4294967296"),
        ({"seed": None}, "seed is None"),
    ],
)
def test_settings_are_checked_before_anything_is_read(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    artifact = dataset(write(frame_of(*two_clouds(20)), tmp_path / "data.csv"))
    with pytest.raises(ConfigurationError, match=message) as caught:
        detect_label_poisoning(artifact, tmp_path / "not there.csv", label_column="label", **arguments)
    assert caught.value.advice


@pytest.mark.parametrize(
    ("rows", "rare", "folds", "message"),
    [
        (20, 3, 5, r"1 of 3 classes have fewer rows than there are folds \(5\): 'rare \(3 rows\)'"),
        (20, 1, 2, r"'rare \(1 rows\)'"),
        (4, 1, 6, "has 4 rows, expected at least one for each of 6 folds"),
        (8, 0, 5, r"2 of 2 classes .*'a \(4 rows\)', 'b \(4 rows\)'"),
    ],
)
def test_too_few_rows(tmp_path: Path, rows: int, rare: int, folds: int, message: str) -> None:
    features, labels = two_clouds(rows)
    names = ["rare" if row < rare else "ab"[label] for row, label in enumerate(labels)]
    with pytest.raises(DataError, match=message) as caught:
        detect(frame_of(features, names), tmp_path / "data.csv", folds=folds)
    assert "fewer folds" in caught.value.advice


def test_features_that_are_all_constant(tmp_path: Path) -> None:
    _, labels = two_clouds(40)
    with pytest.raises(DataError, match="1 groups of near-duplicates, expected at least one for each of 5 folds"):
        detect(frame_of(np.full((40, 3), 0.1), labels), tmp_path / "data.csv", estimator=None)


def test_one_of_ten_thousand_sources_is_found(tmp_path: Path) -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, 10_040)
    frame = frame_of(draw.normal(size=(10_040, 2)), labels)
    frame["source"] = [f"s{row}" for row in range(10_000)] + ["guilty"] * 40
    believed = np.where(np.arange(10_040) < 10_000, 0.95, 0.05)  # in the label that is given
    frame["p0"] = np.where(labels == 0, believed, 1 - believed)
    frame["p1"] = 1 - frame["p0"]
    roles = Roles(source="source", probabilities={"0": "p0", "1": "p1"})
    found = detect(frame, tmp_path / "data.parquet", estimator=None, roles=roles)
    analysis = json.loads(found.blobs["analysis.json"])
    assert analysis["suspects"]["sources"] == ["guilty"]
    assert analysis["verdict"]["judgement"] == "targeted attack"
    assert len(found.blobs["report.html"]) < 1_000_000


def test_a_class_with_as_many_rows_as_folds_is_enough(tmp_path: Path) -> None:
    features, labels = two_clouds(20)
    labels[:2] = 2
    features[:2] += 50
    assert detect(frame_of(features, labels), tmp_path / "data.csv", folds=2).metrics["classes"] == 3


def test_a_label_column_that_holds_no_classes_is_told_briefly(tmp_path: Path) -> None:
    features, _ = two_clouds(50)
    with pytest.raises(DataError, match=r"50 of 50 classes have fewer rows than .* and 40 more") as caught:
        detect(frame_of(features, features[:, 0]), tmp_path / "data.csv")
    assert "label_column" in caught.value.advice


def test_constant_features_do_no_harm(tmp_path: Path, clouds: pd.DataFrame) -> None:
    plain = detect(clouds, tmp_path / "plain.csv", estimator=None)
    constant = detect(clouds.assign(f3=7, f4=0.0), tmp_path / "constant.csv", estimator=None)
    assert constant.metrics["features"] == 5
    assert {row["row_id"] for row in suspects(constant)} == {row["row_id"] for row in suspects(plain)}


def test_importing_the_control_loads_nothing_heavy() -> None:
    code = (
        "import sys; import airflow_mlsecops.core.controls.label_poisoning; "
        "print({'numpy', 'pandas', 'sklearn', 'cleanlab', 'scipy', 'pyarrow', 'airflow'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
