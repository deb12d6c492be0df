"""Two rounds of learning, then a noise matrix by expectation maximisation: the best view of flipped labels.

1. Probabilities of all rows; confident learning takes out what it flags.
2. Models learn anew from the rest and judge all rows; their probabilities are sharpened by the temperature at which the
   labels are most likely (averaged probabilities are too modest).
3. The class of each row is hidden, the given label is a noisy report of it (Dawid, Skene: "Maximum Likelihood
   Estimation of Observer Error-Rates Using the EM Algorithm", Applied Statistics 28, 1979): posterior and noise
   matrix in turn. A row whose most probable class isn't the given one is flagged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from airflow_mlsecops.core.poisoning.engine import find_issues

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ITERATIONS = 20
SHARPEST, BLUNTEST = 3.0, 1.25
"""Bounds of the exponent; chosen, as all here, on the data sets that ``benchmarks/poisoning_data.py`` names."""

BELIEF = 10.0
"""How many rows of each class the noise matrix of all rows is worth beside those of one source."""

LEAST_OF_CLASS = 5
"""A class that would be left with fewer rows keeps all of them in the second round."""


@dataclass(frozen=True)
class NoiseModel:
    """What the view says.

    Attributes:
        first: (rows, classes) probabilities of the first round.
        second: (rows, classes) probabilities of the second round.
        posterior: (rows, classes) of the hidden class.
        noise: (classes, classes) P(given label | hidden class), by hidden class.
        sharpness: the exponent that probabilities were raised to.
        confident: (rows,) what confident learning flags in the first round.
        flagged: (rows,) the most probable hidden class isn't the given label.
    """

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    posterior: NDArray[np.float64]
    noise: NDArray[np.float64]
    sharpness: float
    confident: NDArray[np.bool_]
    flagged: NDArray[np.bool_]


def noise_model(
    labels: NDArray[np.int64], classes: int, judge: Callable[[NDArray[np.bool_] | None], NDArray[np.float64]]
) -> NoiseModel:
    """Judge labels in two rounds.

    Args:
        labels: (rows,), 0 … classes - 1.
        classes: how many there are.
        judge: gives out-of-sample probabilities of all rows, learned from the rows that it is told.
    """
    first = judge(None)
    confident = find_issues(labels, first).mask()
    second = judge(believed(labels, classes, confident))
    sharpness = sharpness_of(second, labels)
    posterior, noise = hidden_classes(sharpened(second, sharpness), labels)
    return NoiseModel(first, second, posterior, noise, sharpness, confident, posterior.argmax(axis=1) != labels)


def believed(labels: NDArray[np.int64], classes: int, flagged: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The rows that aren't flagged; all rows of a class of which too few would be left."""
    import numpy as np

    left = np.bincount(labels[~flagged], minlength=classes)
    return np.asarray(~flagged | (left < LEAST_OF_CLASS)[labels])


def sharpness_of(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """The exponent (one over the temperature) at which the labels are most likely, if a share of them is noise.

    Guo et al.: "On Calibration of Modern Neural Networks", ICML 2017; here on probabilities, by a fixed grid. Without
    the noise in it, wrong labels would make the probabilities look less sure than they may be; and without the rows
    that are doubted, surer.
    """
    import numpy as np

    rows, others = np.arange(len(labels)), max(probabilities.shape[1] - 1, 1)

    def likelihood(exponent: float) -> float:
        given, noise = sharpened(probabilities, exponent)[rows, labels], 0.05
        for _ in range(ITERATIONS):
            honest, wrong = (1 - noise) * given, noise * (1 - given) / others
            noise = min(max(float((wrong / (honest + wrong)).mean()), 1e-3), 0.5)
        return float(np.log((1 - noise) * given + noise * (1 - given) / others).mean())

    grid = np.arange(BLUNTEST, SHARPEST + 0.01, 0.25).tolist()
    return float(max(grid, key=likelihood))


def sharpened(probabilities: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """Probabilities to a power, summing to one."""
    import numpy as np

    powered = np.clip(probabilities, 1e-4, 1.0) ** exponent
    return np.asarray(powered / powered.sum(axis=1, keepdims=True))


def hidden_classes(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Posterior of the hidden class of each row, and the noise matrix, by expectation maximisation."""
    import numpy as np

    classes = probabilities.shape[1]
    noise = np.full((classes, classes), 0.1 / (classes - 1))
    np.fill_diagonal(noise, 0.9)
    prior = 0.9 * np.eye(classes) + 0.1 / classes
    posterior = _posterior(probabilities, noise, labels)
    for _ in range(ITERATIONS):
        noise = prior.copy()
        np.add.at(noise.T, labels, posterior)
        noise /= noise.sum(axis=1, keepdims=True)
        posterior = _posterior(probabilities, noise, labels)
    return posterior, noise


def hidden_classes_by_source(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    noise: NDArray[np.float64],
    sources: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Posterior of the hidden class, and a noise matrix for each source: Dawid and Skene gave each annotator one.

    Args:
        probabilities: (rows, classes), sharpened.
        labels: (rows,) given labels.
        noise: (classes, classes) of all rows: what a source with few rows is taken to do.
        sources: (rows,) 0 … sources - 1.

    Returns:
        (rows, classes) and (sources, classes, classes).
    """
    import numpy as np

    number, classes = int(sources.max()) + 1, probabilities.shape[1]
    prior = BELIEF * noise
    each = np.broadcast_to(noise, (number, classes, classes))
    for _ in range(ITERATIONS):
        weighted = probabilities * each[sources, :, labels]
        posterior = weighted / weighted.sum(axis=1, keepdims=True)
        cells = sources * classes + labels
        sums = [np.bincount(cells, weights=posterior[:, k], minlength=number * classes) for k in range(classes)]
        counts = np.stack(sums).reshape(classes, number, classes).transpose(1, 0, 2) + prior
        each = counts / counts.sum(axis=2, keepdims=True)
    return posterior, np.asarray(each)


def _posterior(
    probabilities: NDArray[np.float64], noise: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.float64]:
    import numpy as np

    weighted = probabilities * noise[:, labels].T
    return np.asarray(weighted / weighted.sum(axis=1, keepdims=True))
