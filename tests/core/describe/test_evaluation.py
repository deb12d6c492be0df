"""Figures about a model, compared with scikit-learn's own where it has them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import balanced_accuracy_score, log_loss, roc_auc_score

from airflow_mlsecops.core.describe.evaluation import MIN_GROUP_ROWS, Evaluation, evaluate, wilson
from airflow_mlsecops.core.errors import DataError


@pytest.fixture(scope="module")
def iris() -> pd.DataFrame:
    table: pd.DataFrame = load_iris(as_frame=True).frame.rename(columns={"target": "label"})
    table["row_id"] = range(len(table))
    table["site"] = np.where(table.row_id % 15 == 0, "small", np.where(table.row_id % 2 == 0, "even", "odd"))
    return table


FEATURES = ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]


@pytest.fixture(scope="module")
def model(iris: pd.DataFrame) -> Any:
    return LogisticRegression(max_iter=500).fit(iris[FEATURES], iris.label)


def metric(found: Evaluation, name: str) -> float:
    (value,) = [each.value for each in found.metrics if each.name == name]
    return value


def test_figures_are_those_of_scikit_learn(iris: pd.DataFrame, model: Any) -> None:
    found = evaluate(model, iris, label_column="label", exclude=["row_id", "site"])
    sure = model.predict_proba(iris[FEATURES])
    assert metric(found, "accuracy") == pytest.approx((model.predict(iris[FEATURES]) == iris.label).mean())
    assert metric(found, "balanced_accuracy") == pytest.approx(
        balanced_accuracy_score(iris.label, model.predict(iris[FEATURES]))
    )
    assert metric(found, "log_loss") == pytest.approx(log_loss(iris.label, sure))
    assert metric(found, "roc_auc") == pytest.approx(roc_auc_score(iris.label, sure, multi_class="ovr"))
    assert (found.task, found.rows) == ("classification", 150)
    assert sum(each.rows for each in found.calibration) == 150
    assert {each.feature for each in found.attributions} == set(FEATURES)
    assert found.attributions[0].feature.startswith("petal")


def test_same_seed_same_figures(iris: pd.DataFrame, model: Any) -> None:
    first, second = (evaluate(model, iris, label_column="label") for _ in range(2))
    assert first == second


def test_subgroups_add_up_and_small_ones_say_nothing(iris: pd.DataFrame, model: Any) -> None:
    found = evaluate(model, iris, label_column="label", subgroups=["site"], attribution="none")
    assert sum(group.rows for group in found.groups) == 150
    small = [group for group in found.groups if group.value == "small"]
    assert [(group.rows, group.metrics) for group in small] == [(10, ())]
    assert MIN_GROUP_ROWS > 10
    told = [group for group in found.groups if group.metrics]
    right = sum(group.rows * group.metrics[0].value for group in told)
    rows = iris.site != "small"
    assert right == pytest.approx((model.predict(iris[FEATURES]) == iris.label)[rows].sum())


def test_numbers_are_grouped_by_quarters(iris: pd.DataFrame, model: Any) -> None:
    found = evaluate(model, iris, label_column="label", subgroups=["row_id"], attribution="none")
    assert sum(group.rows for group in found.groups) == 150
    assert len(found.groups) == 4


def test_groups_with_missing_values_are_told(iris: pd.DataFrame, model: Any) -> None:
    table = iris.assign(site=iris.site.where(iris.row_id >= 40))
    found = evaluate(model, table, label_column="label", subgroups=["site"], attribution="none")
    assert {group.value: group.rows for group in found.groups}["(missing)"] == 40


def test_regression() -> None:
    table = load_diabetes(as_frame=True).frame
    features = table.drop(columns="target")
    model = LinearRegression().fit(features, table.target)
    found = evaluate(model, table, label_column="target", subgroups=["sex"])
    assert found.task == "regression"
    assert metric(found, "r2") == pytest.approx(model.score(features, table.target))
    assert found.calibration == ()
    assert all(group.metrics for group in found.groups)


def test_overconfident_model_has_a_large_calibration_error() -> None:
    draw = np.random.default_rng(1)
    table = pd.DataFrame(draw.normal(size=(400, 5)), columns=list("abcde"))
    table["label"] = draw.integers(0, 2, 400)
    forest = RandomForestClassifier(random_state=0).fit(table[list("abcde")], table.label)
    fresh = table.assign(label=draw.permutation(table.label))
    known = evaluate(forest, table, label_column="label", attribution="none")
    unknown = evaluate(forest, fresh, label_column="label", attribution="none")
    assert known.calibration_error is not None
    assert unknown.calibration_error is not None
    assert unknown.calibration_error > known.calibration_error + 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.head(0), "no rows"),
        (lambda table: table.drop(columns="label"), "'label'"),
        (lambda table: table.drop(columns=FEATURES[0]), "sepal length"),
        (lambda table: table.assign(label=table.label.where(table.row_id > 3)), "4 rows have no label"),
        (lambda table: table.assign(**{FEATURES[0]: "secret-cell"}), "can't predict"),
    ],
)
def test_bad_data_are_told_without_their_cells(iris: pd.DataFrame, model: Any, change: Any, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        evaluate(model, change(iris), label_column="label")
    assert "secret-cell" not in str(caught.value)


def test_unseen_label_has_no_log_loss(iris: pd.DataFrame, model: Any) -> None:
    found = evaluate(model, iris.assign(label=iris.label.replace(0, 7)), label_column="label", attribution="none")
    assert {each.name for each in found.metrics} == {"accuracy", "balanced_accuracy", "f1_macro"}


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_wilson_interval_holds_its_share(rows: int, share: float) -> None:
    share = round(share * rows) / rows
    low, high = wilson(share, rows)
    assert 0 <= low <= share + 1e-12
    assert share - 1e-12 <= high <= 1


def test_shap_agrees_about_the_strongest_feature(iris: pd.DataFrame, model: Any) -> None:
    pytest.importorskip("shap", reason="airflow-mlsecops[shap] isn't installed: SHAP isn't tried here")
    found = evaluate(model, iris, label_column="label", attribution="shap")
    assert found.attribution_method.startswith("SHAP")
    assert found.attributions[0].feature.startswith("petal length")
