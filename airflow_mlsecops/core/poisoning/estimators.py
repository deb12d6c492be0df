"""Out-of-sample class probabilities: what all other rows say about the label of each row.

The same rows in the same order give the same numbers, whatever the number of cores: one thread (sums keep their
order), seeded folds and estimators, and probabilities rounded to :data:`DECIMALS`, which swallows the last bits in
which processors differ.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.poisoning.dense import dense

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DECIMALS = 6
NEIGHBOURS = 10
SUM_TOLERANCE = 1e-4
"""How far the probabilities of one row may be from summing to one (single-precision models are this close)."""

DEFAULT_NAME = "default: soft vote of logistic regression, extremely randomised trees and nearest neighbours"
_WHAT_TO_GIVE = (
    "give a scikit-learn classifier with predict_proba, a callable that returns one, or 'package.module:factory'"
)


@dataclass(frozen=True)
class OutOfSample:
    """Cross-validated probabilities and where they come from.

    Attributes:
        probabilities: (rows, classes), each row predicted by a model that never saw it; rounded to 6 decimals.
        estimator: the estimator's name.
        settings: its parameters, as far as they are plain values.
        fold_of: (rows,) the fold in which each row was held out, from 1.
    """

    probabilities: NDArray[np.float64]
    estimator: str
    settings: Mapping[str, Any]
    fold_of: NDArray[np.int64]


def out_of_sample_probabilities(
    features: NDArray[np.float64],
    labels: NDArray[np.int64],
    *,
    classes: int,
    estimator: Any = None,
    folds: int = 5,
    seed: int = 0,
) -> OutOfSample:
    """Stratified cross-validation: every row is predicted once, by a model trained on the other folds.

    Args:
        features: (rows, columns), finite.
        labels: (rows,), encoded 0 … classes - 1, every class with at least ``folds`` rows.
        classes: how many classes there are.
        estimator: a classifier object with ``predict_proba``, a zero-argument callable that returns one, a dotted path
            ``package.module:factory`` to either, or nothing for :func:`default_estimator`.
        folds: at least 2.
        seed: of the folds and of every ``random_state`` that the estimator leaves open.

    Raises:
        DataError: if features are no array of finite numbers with a line for each label.
        ConfigurationError: if the estimator can't be made, has no ``predict_proba`` or returns what are not
            probabilities of the classes in their order. What the estimator itself raises while it learns gets through,
            with a note that names estimator and fold.
    """
    import numpy as np
    from sklearn.base import clone
    from sklearn.model_selection import StratifiedKFold
    from threadpoolctl import threadpool_limits

    features = dense(features, "features", rows=len(labels))
    smallest_training_part = len(labels) - -(-len(labels) // folds)
    template, name = resolve_estimator(estimator, seed=seed, neighbours=min(NEIGHBOURS, smallest_training_part))
    try:
        template = _seeded(clone(template), seed)
    except TypeError as error:
        raise ConfigurationError(f"estimator {name} can't be cloned: {error}", _WHAT_TO_GIVE) from error
    probabilities, fold_of = np.zeros((len(labels), classes)), np.empty(len(labels), dtype=np.int64)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    with threadpool_limits(limits=1):
        for number, (train, held_out) in enumerate(splitter.split(features, labels), start=1):
            try:
                model = clone(template).fit(features[train], labels[train])
                raw = model.predict_proba(features[held_out])
            except Exception as error:
                error.add_note(f"while estimator {name} worked on fold {number} of {folds}")
                raise
            probabilities[held_out] = _checked(raw, model, name, rows=len(held_out), classes=classes)
            fold_of[held_out] = number
    return OutOfSample(probabilities, name, _plain_settings(template), fold_of)


def default_estimator(*, seed: int, neighbours: int = NEIGHBOURS) -> Any:
    """A soft vote of three unlike views: a linear one, trees and neighbours, each fast on a table.

    Averaged, they found more of the planted labels on seven public data sets than any of them alone. Neighbours compare
    every row with every other: beyond some 100,000 rows give an estimator of your own.

    Args:
        seed: of the trees.
        neighbours: how many vote; not more than there are training rows.
    """
    from sklearn.ensemble import ExtraTreesClassifier, VotingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    members = [
        ("linear", make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))),
        ("trees", ExtraTreesClassifier(n_estimators=100, random_state=seed, n_jobs=1)),
        ("neighbours", make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors=neighbours, n_jobs=1))),
    ]
    return VotingClassifier(members, voting="soft", n_jobs=1)


def resolve_estimator(estimator: Any, *, seed: int = 0, neighbours: int = NEIGHBOURS) -> tuple[Any, str]:
    """The classifier that is meant, and its name.

    Raises:
        ConfigurationError: if the path leads nowhere, the factory fails, or what comes out can't fit and predict_proba.
    """
    if estimator is None:
        return default_estimator(seed=seed, neighbours=neighbours), DEFAULT_NAME
    made = _imported(estimator) if isinstance(estimator, str) else estimator
    # A class or a function makes a classifier; a classifier that happens to be callable is one already.
    if isinstance(made, type) or (callable(made) and not hasattr(made, "fit")):
        made = _called(made)
    name = f"{type(made).__module__}.{type(made).__qualname__}"
    if isinstance(estimator, str):
        name = f"{name} from {estimator}"
    missing = [method for method in ("fit", "predict_proba") if not callable(getattr(made, method, None))]
    if missing or isinstance(made, type):
        what = f"has no {' and no '.join(missing)}" if missing else "is a class, expected an object"
        raise ConfigurationError(f"estimator {name} {what}", _WHAT_TO_GIVE)
    return made, name


def _imported(path: str) -> Any:
    module, colon, attribute = path.partition(":")
    if not (colon and module and attribute):
        raise ConfigurationError(f"estimator {path!r} is not of the form 'package.module:factory'", _WHAT_TO_GIVE)
    try:
        made: Any = importlib.import_module(module)
        for part in attribute.split("."):
            made = getattr(made, part)
    except Exception as error:  # a module runs as it is imported, so it can raise anything
        raise ConfigurationError(
            f"estimator {path!r} can't be imported: {type(error).__name__}: {error}",
            "check the path, and that the workers have it",
        ) from error
    return made


def _called(factory: Callable[[], Any]) -> Any:
    try:
        return factory()
    except Exception as error:
        what = getattr(factory, "__qualname__", type(factory).__qualname__)
        raise ConfigurationError(
            f"estimator factory {what} failed: {type(error).__name__}: {error}", "it is called with no arguments"
        ) from error


def _seeded(estimator: Any, seed: int) -> Any:
    """Fill in every ``random_state`` that was left open, also of nested estimators."""
    settings = estimator.get_params(deep=True)
    is_open = [key for key, value in settings.items() if key.split("__")[-1] == "random_state" and value is None]
    return estimator.set_params(**dict.fromkeys(is_open, seed))


def _plain_settings(estimator: Any) -> dict[str, Any]:
    settings = estimator.get_params(deep=True)
    plain = (str, int, float, bool, type(None))
    return {key: value for key, value in sorted(settings.items()) if isinstance(value, plain)}


def _checked(raw: Any, model: Any, name: str, *, rows: int, classes: int) -> NDArray[np.float64]:
    """The probabilities, if that is what they are.

    Raises:
        ConfigurationError: if columns could stand for other classes, or values are no probabilities.
    """
    import numpy as np

    order = list(getattr(model, "classes_", ()))
    if order != list(range(classes)):
        raise ConfigurationError(
            f"estimator {name} has classes_ {str(order)[:100]}, expected 0 … {classes - 1} in this order",
            "its columns can't be matched to the labels; keep scikit-learn's contract of sorted classes_",
        )
    values = np.asarray(raw)
    if values.shape != (rows, classes) or values.dtype.kind not in "fiub":
        raise ConfigurationError(
            f"estimator {name} returned {values.dtype} of shape {values.shape}, expected numbers of {(rows, classes)}",
            "predict_proba must return one column per class",
        )
    values = values.astype(np.float64)
    if not np.isfinite(values).all():
        raise ConfigurationError(
            f"estimator {name} returned probabilities that are not finite for "
            f"{int((~np.isfinite(values)).any(axis=1).sum())} of {rows} rows",
            "it may have diverged; scale the features or choose another one",
        )
    off = np.abs(values.sum(axis=1) - 1) > SUM_TOLERANCE
    outside = (values < -SUM_TOLERANCE).any(axis=1) | (values > 1 + SUM_TOLERANCE).any(axis=1)
    if (off | outside).any():
        raise ConfigurationError(
            f"estimator {name} returned values outside 0 … 1 or not summing to one for "
            f"{int((off | outside).sum())} of {rows} rows",
            "predict_proba must return probabilities, not scores",
        )
    rounded: NDArray[np.float64] = np.round(np.clip(values, 0.0, 1.0), DECIMALS)
    return rounded
