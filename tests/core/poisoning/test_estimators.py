"""Out-of-sample probabilities: really out of sample, reproducible, and refused when they are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.poisoning.estimators import (
    DEFAULT_NAME,
    default_estimator,
    out_of_sample_probabilities,
    resolve_estimator,
)
from tests.support.labelled import two_clouds

X, Y = two_clouds(40)


class Scripted(ClassifierMixin, BaseEstimator):
    """Returns what a test wants; the contract of scikit-learn otherwise."""

    def __init__(self, kind: str = "good") -> None:
        self.kind = kind

    def fit(self, features: NDArray[Any], labels: NDArray[Any]) -> Scripted:
        if self.kind == "raises":
            raise ArithmeticError("singular")
        self.seen_ = set(features[:, 0].tolist())
        self.classes_ = np.unique(labels)
        if self.kind == "reversed":
            self.classes_ = self.classes_[::-1]
        if self.kind == "no classes":
            del self.classes_
        return self

    def predict_proba(self, features: NDArray[Any]) -> Any:
        assert not self.seen_ & set(features[:, 0].tolist()), "a row was predicted by a model that had seen it"
        good = np.tile([0.25, 0.75], (len(features), 1))
        return {
            "one column": good[:, 1],
            "three columns": np.full((len(features), 3), 1 / 3),
            "too few rows": good[1:],
            "nan": np.where(good > 0.5, np.nan, good),
            "sum": good * 0.9,
            "negative": good + np.array([-0.5, 0.5]),
            "log": np.log(good),
            "text": good.astype(str),
        }.get(self.kind, good)


def made_here() -> Scripted:
    return Scripted()


def broken_factory() -> Scripted:
    raise RuntimeError("no model today")


def probabilities(estimator: Any, *, folds: int = 5, seed: int = 0) -> NDArray[np.float64]:
    return out_of_sample_probabilities(X, Y, classes=2, estimator=estimator, folds=folds, seed=seed).probabilities


@pytest.mark.parametrize("folds", [2, 5, 20])
def test_each_row_is_predicted_once_by_a_model_that_never_saw_it(folds: int) -> None:
    assert probabilities(Scripted(), folds=folds).tolist() == [[0.25, 0.75]] * len(Y)


def test_labels_without_meaning_are_not_memorised() -> None:
    labels = np.random.default_rng(3).permutation(np.arange(200) % 2)
    features = np.random.default_rng(4).normal(size=(200, 2))
    assert KNeighborsClassifier(1).fit(features, labels).score(features, labels) == 1.0
    found = out_of_sample_probabilities(features, labels, classes=2, estimator=KNeighborsClassifier(1))
    assert 0.3 < (found.probabilities.argmax(axis=1) == labels).mean() < 0.7


@settings(max_examples=25, deadline=None)
@given(
    classes=st.integers(2, 5),
    per_class=st.integers(2, 8),
    columns=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
    constant=st.booleans(),
)
def test_the_default_gives_probabilities_whatever_the_shape(
    classes: int, per_class: int, columns: int, seed: int, constant: bool
) -> None:
    rows = classes * per_class
    features = np.zeros((rows, columns)) if constant else np.random.default_rng(seed).normal(size=(rows, columns))
    cheap = default_estimator(seed=seed, neighbours=1).set_params(trees__n_estimators=5)
    found = out_of_sample_probabilities(
        features, np.arange(rows) % classes, classes=classes, estimator=cheap, folds=2, seed=seed
    ).probabilities
    assert found.shape == (rows, classes)
    assert ((found >= 0) & (found <= 1)).all()
    assert np.allclose(found.sum(axis=1), 1, atol=1e-5)


def test_the_default_copes_with_fewer_rows_than_neighbours() -> None:
    features, labels = two_clouds(6)
    found = out_of_sample_probabilities(features, labels, classes=2, folds=3)
    assert (found.probabilities.argmax(axis=1) == labels).all()
    assert found.settings["neighbours__kneighborsclassifier__n_neighbors"] == 4


def test_the_same_seed_gives_the_same_numbers_and_another_seed_others() -> None:
    labels = np.random.default_rng(1).permutation(Y)
    forest = RandomForestClassifier(10)  # its random_state is open

    def run(seed: int) -> list[list[float]]:
        found = out_of_sample_probabilities(X, labels, classes=2, estimator=forest, seed=seed).probabilities
        return found.tolist()  # type: ignore[no-any-return]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert forest.random_state is None, "the caller's object was changed"
    assert not hasattr(forest, "classes_"), "the caller's object was fitted"


def test_the_seed_also_chooses_the_folds() -> None:
    labels = np.random.default_rng(1).permutation(Y)
    nothing_random = [
        out_of_sample_probabilities(X, labels, classes=2, estimator=GaussianNB, seed=seed).probabilities.tolist()
        for seed in (1, 1, 2)
    ]
    assert nothing_random[0] == nothing_random[1] != nothing_random[2]


def test_nested_open_seeds_are_filled_and_chosen_ones_kept() -> None:
    found = out_of_sample_probabilities(
        X, Y, classes=2, estimator=make_pipeline(ExtraTreesClassifier(5, random_state=None)), seed=7
    )
    assert found.settings["extratreesclassifier__random_state"] == 7
    kept = out_of_sample_probabilities(X, Y, classes=2, estimator=ExtraTreesClassifier(5, random_state=3), seed=7)
    assert kept.settings["random_state"] == 3


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (GaussianNB(), "sklearn.naive_bayes.GaussianNB"),
        (GaussianNB, "sklearn.naive_bayes.GaussianNB"),
        (lambda: GaussianNB(), "sklearn.naive_bayes.GaussianNB"),
        ("sklearn.naive_bayes:GaussianNB", "sklearn.naive_bayes.GaussianNB from sklearn.naive_bayes:GaussianNB"),
        (None, DEFAULT_NAME),
    ],
)
def test_the_ways_to_name_an_estimator(estimator: Any, name: str) -> None:
    made, found = resolve_estimator(estimator)
    assert found == name
    assert callable(made.predict_proba)


def test_a_dotted_path_to_a_factory() -> None:
    made, name = resolve_estimator(f"{__name__}:made_here")
    assert type(made).__name__ == "Scripted"
    assert name.endswith(f"from {__name__}:made_here")


@pytest.mark.parametrize(
    ("estimator", "message"),
    [
        ("sklearn.naive_bayes.GaussianNB", "not of the form"),
        (":GaussianNB", "not of the form"),
        ("sklearn.naive_bayes:", "not of the form"),
        ("no_such_package:factory", "can't be imported"),
        ("sklearn.naive_bayes:NoSuchThing", "can't be imported"),
        (".relative:factory", "can't be imported"),
        ("sklearn:__version__", "has no fit"),
        (broken_factory, "no model today"),
        (lambda needed: needed, "failed"),
        (lambda: GaussianNB, "is a class"),
        (lambda: None, "has no fit and no predict_proba"),
        (LinearSVC(), "has no predict_proba"),
        (object(), "has no fit and no predict_proba"),
        (3, "has no fit and no predict_proba"),
    ],
)
def test_what_is_no_estimator_is_refused(estimator: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        probabilities(estimator)
    assert caught.value.advice


def test_an_estimator_that_cannot_be_cloned_is_refused() -> None:
    class Plain:
        def fit(self, features: Any, labels: Any) -> None: ...

        def predict_proba(self, features: Any) -> None: ...

    with pytest.raises(ConfigurationError, match="can't be cloned"):
        probabilities(Plain())


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("reversed", r"classes_ \[.*1.*0.*\], expected 0 … 1"),
        ("no classes", r"classes_ \[\], expected 0 … 1"),
        ("one column", r"shape \(8,\), expected"),
        ("three columns", r"shape \(8, 3\), expected"),
        ("too few rows", r"shape \(7, 2\), expected"),
        ("text", "expected numbers"),
        ("nan", "not finite for 8 of 8 rows"),
        ("sum", "not summing to one for 8 of 8 rows"),
        ("negative", "outside 0 … 1"),
        ("log", "outside 0 … 1"),
    ],
)
def test_what_are_no_probabilities_is_refused(kind: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        probabilities(Scripted(kind))
    assert "Scripted" in caught.value.message
    assert caught.value.advice


def test_a_crash_of_the_estimator_gets_through_with_a_note() -> None:
    with pytest.raises(ArithmeticError, match="singular") as caught:
        probabilities(Scripted("raises"))
    assert "Scripted worked on fold 1 of 5" in caught.value.__notes__[0]


def test_single_precision_probabilities_are_taken() -> None:
    class Single(LogisticRegression):
        def predict_proba(self, features: Any) -> Any:
            return super().predict_proba(features).astype(np.float32)

    close = np.abs(probabilities(Single()) - probabilities(LogisticRegression()))
    assert close.max() < 2e-6
