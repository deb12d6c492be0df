"""Ordinary models, made here: every scikit-learn estimator that can be fitted on a small table, saved each usual way.

The corpus is split by the artifact's name, so that what the allow-lists were tuned on isn't what they are measured on.
"""

from __future__ import annotations

import io
import pickle
import warnings
from collections.abc import Iterator
from typing import Any
from zlib import crc32

Saved = tuple[str, bytes]


def half_of(name: str) -> str:
    """``tuning`` or ``held-out``: by the model, not by the way of saving it."""
    return "tuning" if crc32(name.split("/")[0].encode()) % 2 else "held-out"


def fitted_estimators() -> Iterator[tuple[str, Any]]:
    """Each estimator that scikit-learn lists, fitted on whichever small table it takes."""
    import numpy as np
    from sklearn.utils import all_estimators

    rng = np.random.default_rng(7)
    x, positive = rng.normal(size=(40, 4)), rng.integers(1, 5, size=(40, 4)).astype(float)
    labels, numbers = np.array(["no", "yes"] * 20), x[:, 0] * 2 + 1
    text = ["the quick brown fox", "jumps over the lazy dog"] * 20
    attempts: list[tuple[Any, ...]] = [
        (x, labels), (positive, labels), (x, numbers), (positive, numbers), (x,), (labels,), (text,),
        (x, np.column_stack([numbers, numbers])), (x, np.array([[0, 1], [1, 0]] * 20)), (x[:, 0], numbers),
        ([{"a": 1.0, "b": 2.0}] * 40,), (x, x[:, :2]),
    ]  # fmt: skip
    for name, kind in all_estimators():
        for made in _instances(name, kind):
            for data in attempts:
                try:
                    yield f"{name}", made.fit(*data)
                    break
                except Exception:  # noqa: S112 - this estimator wants another kind of table
                    continue


def _instances(name: str, kind: Any) -> Iterator[Any]:
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler

    arguments: dict[str, dict[str, Any]] = {
        "ColumnTransformer": {"transformers": [("scale", StandardScaler(), [0, 1])]},
        "FeatureUnion": {"transformer_list": [("scale", StandardScaler())]},
        "Pipeline": {"steps": [("scale", StandardScaler()), ("fit", LogisticRegression())]},
        "GridSearchCV": {"estimator": LogisticRegression(), "param_grid": {"C": [0.1, 1.0]}},
        "RandomizedSearchCV": {"estimator": LogisticRegression(), "param_distributions": {"C": [0.1, 1.0]}, "n_iter": 2},
        "HalvingGridSearchCV": {"estimator": Ridge(), "param_grid": {"alpha": [0.1, 1.0]}},
        "StackingClassifier": {"estimators": [("a", LogisticRegression())]},
        "StackingRegressor": {"estimators": [("a", Ridge())]},
        "VotingClassifier": {"estimators": [("a", LogisticRegression())]},
        "VotingRegressor": {"estimators": [("a", Ridge())]},
        "SparseCoder": {"dictionary": __import__("numpy").eye(4)},
    }  # fmt: skip
    try:
        made = kind(**arguments[name]) if name in arguments else kind()
    except TypeError:
        classifier = "Classifier" in name or name in ("ClassifierChain", "SelectFromModel", "RFE", "RFECV")
        try:
            made = kind(LogisticRegression() if classifier else Ridge())
        except Exception:
            return
    small = {"n_estimators": 3, "max_iter": 20}
    if "search" not in name.lower():
        made.set_params(**{key: value for key, value in small.items() if key in made.get_params(deep=False)})
    yield made


def saved(name: str, model: Any) -> Iterator[Saved]:
    """The model's files, each usual way."""
    import joblib

    for protocol in (2, 3, 4, 5):
        yield f"{name}/protocol{protocol}.pkl", pickle.dumps(model, protocol)
    for compress in (0, ("zlib", 3), ("gzip", 3), ("bz2", 3), ("xz", 3)):
        target = io.BytesIO()
        joblib.dump(model, target, compress=compress)
        label = compress[0] if isinstance(compress, tuple) else "plain"
        yield f"{name}/{label}.joblib", target.getvalue()


def sklearn_files() -> Iterator[Saved]:
    """Every fitted estimator's files."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, model in fitted_estimators():
            yield from saved(name, model)
