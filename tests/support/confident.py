"""Out-of-sample probabilities as they come: smooth, coarse with many ties, one-hot, with missing classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

KINDS = ("smooth", "coarse", "one-hot", "uniform", "missing classes", "unlike sizes")


def draw(seed: int, *, largest: int = 250, classes: int = 12) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels (rows,) of at least two classes and probabilities (rows, classes); the kind goes by the seed."""
    rng = np.random.default_rng(seed)
    kind, rows, k = KINDS[seed % len(KINDS)], int(rng.integers(4, largest)), int(rng.integers(2, classes))
    p = rng.dirichlet(np.full(k, rng.choice([0.05, 0.3, 1.0, 5.0])), rows)
    if kind == "coarse":
        p = np.round(p * 4) / 4
        p[:, 0] = np.maximum(0, 1 - p[:, 1:].sum(axis=1))
        p /= p.sum(axis=1, keepdims=True)
    elif kind == "one-hot":
        p = np.eye(k)[rng.integers(0, k, rows)]
    elif kind == "uniform":
        p[:] = 1 / k
    labels = np.array([rng.choice(k, p=row) for row in p]) if rng.random() < 0.5 else rng.integers(0, k, rows)
    if kind == "missing classes":
        labels = labels % max(2, k // 2)
    if kind == "unlike sizes":
        labels[rng.random(rows) < 0.9] = 0
    labels[:2] = [0, 1]
    return labels, p


def classifier(rows: int, classes: int, *, seed: int = 0, wrong: float = 0.05) -> tuple[NDArray[Any], NDArray[Any]]:
    """Labels of which a share was drawn anew, and what a classifier that is right for about 19 of 20 rows says."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, rows)
    p = rng.normal(size=(rows, classes)) * 1.5
    p[np.arange(rows), labels] += 6
    np.exp(p, out=p)
    p /= p.sum(axis=1, keepdims=True)
    changed = rng.random(rows) < wrong
    labels[changed] = rng.integers(0, classes, int(changed.sum()))
    return labels, p
