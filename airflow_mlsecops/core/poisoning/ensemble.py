"""Out-of-sample probabilities by four unlike views, averaged: linear, trees out of bag, neighbours, a smooth kernel.

No row is judged by a model that saw it or a near-duplicate of it: groups of near-duplicates are never split over folds,
are drawn into a tree's bag as a whole, and don't count among a row's neighbours. Poison that was copied many times
would otherwise vouch for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.poisoning.kernel_view import held_out_probabilities

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from airflow_mlsecops.core.poisoning.neighbours import Neighbours

TREES = 60
VOTERS = 10
STEPS = 30
NAME = "default: logistic regression, extremely randomised trees out of bag, neighbours and a kernel, averaged"


def ensemble_probabilities(
    near: Neighbours,
    labels: NDArray[np.int64],
    classes: int,
    *,
    learn_from: NDArray[np.bool_] | None = None,
    fold_of: NDArray[np.int64] | None = None,
    folds: int = 5,
    seed: int = 0,
) -> NDArray[np.float64]:
    """(rows, classes) averaged probabilities.

    Args:
        near: the neighbour graph of the features.
        labels: (rows,), 0 … classes - 1.
        classes: how many there are.
        learn_from: (rows,) the rows that models learn from; all are judged.
        fold_of: (rows,) folds of the caller's, for all views; by default drawn by label and seed.
        folds: how many.
        seed: of all that is drawn.
    """
    import numpy as np
    from threadpoolctl import threadpool_limits

    used = np.ones(len(labels), dtype=bool) if learn_from is None else learn_from
    drawn = group_folds(near.groups, labels, folds, seed) if fold_of is None else fold_of
    with threadpool_limits(limits=1):
        views = [
            _linear(near.scaled, labels, classes, used, drawn),
            _trees(near, labels, classes, used, seed, fold_of),
            _voters(near, labels, classes, used, fold_of),
            held_out_probabilities(near.smooth, labels, classes, used, drawn),
        ]
    total = np.sum(views, axis=0)
    averaged: NDArray[np.float64] = total / np.maximum(total.sum(axis=1, keepdims=True), 1e-12)
    return np.round(averaged, 6)


def group_folds(groups: NDArray[np.int64], labels: NDArray[np.int64], folds: int, seed: int) -> NDArray[np.int64]:
    """(rows,) a fold for each row, the same for a whole group, each fold with about as much of each label."""
    import numpy as np

    heads, which = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(heads))
    order = order[np.argsort(labels[heads][order], kind="stable")]
    fold = np.empty(len(heads), dtype=np.int64)
    fold[order] = np.arange(len(heads)) % folds
    return np.asarray(fold[which])


def _linear(
    scaled: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: int,
    used: NDArray[np.bool_],
    fold_of: NDArray[np.int64],
) -> NDArray[np.float64]:
    import warnings

    import numpy as np
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    found = np.zeros((len(labels), classes))
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        learn = ~held_out & used
        if len(np.unique(labels[learn])) < 2:
            found[held_out] = 1 / classes
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is one of four views, stopped early
            model = LogisticRegression(max_iter=STEPS).fit(scaled[learn], labels[learn])
        found[np.ix_(held_out, model.classes_)] = model.predict_proba(scaled[held_out])
    return found


def _trees(
    near: Neighbours,
    labels: NDArray[np.int64],
    classes: int,
    used: NDArray[np.bool_],
    seed: int,
    fold_of: NDArray[np.int64] | None,
) -> NDArray[np.float64]:
    """Each tree learns from groups drawn with replacement (or all folds but one) and judges those left out."""
    import numpy as np
    from sklearn.tree import ExtraTreeClassifier

    heads, which = np.unique(near.groups, return_inverse=True)
    draw = np.random.default_rng([seed, 1])
    single = near.scaled.astype(np.float32)
    total, seen = np.full((len(labels), classes), 1 / classes), np.ones(len(labels))
    folds = 0 if fold_of is None else int(fold_of.max()) + 1
    for number in range(TREES if fold_of is None else max(TREES, 4 * folds)):
        if fold_of is None:
            weight = np.bincount(draw.integers(0, len(heads), len(heads)), minlength=len(heads))[which]
            out = weight == 0
        else:
            out = fold_of == number % folds
            weight = (~out).astype(np.int64)
        learn = (weight > 0) & used
        if not learn.any() or not out.any():
            continue
        tree: Any = ExtraTreeClassifier(max_features="sqrt", random_state=(seed + number) % 2**32)
        tree.fit(single[learn], labels[learn], sample_weight=weight[learn])
        total[np.ix_(out, tree.classes_)] += tree.predict_proba(single[out])
        seen[out] += 1
    return np.asarray(total / seen[:, None])


def _voters(
    near: Neighbours,
    labels: NDArray[np.int64],
    classes: int,
    used: NDArray[np.bool_],
    fold_of: NDArray[np.int64] | None,
) -> NDArray[np.float64]:
    """The labels of the nearest rows of other groups (or folds)."""
    import numpy as np

    found = np.full((len(labels), classes), 1 / classes)
    rows, voters = near.nearest(VOTERS, apart=fold_of, among=used)
    np.add.at(found, (rows, labels[voters]), 1.0)
    return np.asarray(found / found.sum(axis=1, keepdims=True))
