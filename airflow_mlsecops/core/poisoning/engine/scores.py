"""How believable each label is, from 0 to 1: the quality scores of confident learning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.poisoning.engine.calibration import thresholds_of
from airflow_mlsecops.core.poisoning.engine.sources import ArraySource

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

METHODS = ("self_confidence", "normalized_margin", "confidence_weighted_entropy")
_STEP_CELLS = 1 << 20
_CLIP = 1e-6


def quality_scores(
    labels: Any, probabilities: Any, *, method: str = "self_confidence", adjust: bool = False
) -> NDArray[np.float64]:
    """One score for each row; a low one says that the label is wrong.

    ``self_confidence`` is p(label); ``normalized_margin`` is (p(label) - max of the others + 1) / 2;
    ``confidence_weighted_entropy`` is log(1 + e) / e of e = normalized entropy / p(label).

    Args:
        labels: (rows,) integers 0 … classes - 1.
        probabilities: (rows, classes).
        method: one of :data:`METHODS`.
        adjust: subtract each class's threshold first, for classes of unlike size; not with entropy.

    Raises:
        ConfigurationError: if the method is unknown or can't be adjusted.
        DataError: if shapes or types don't fit.
    """
    import numpy as np

    if method not in METHODS or (adjust and method == "confidence_weighted_entropy"):
        raise ConfigurationError(f"method is {method!r}, adjust is {adjust}", f"expected one of {', '.join(METHODS)}")
    source = ArraySource(labels, probabilities)
    chunk = next(source.chunks())
    step = max(_STEP_CELLS // source.classes, 1)
    shift = _thresholds(chunk.labels, chunk.probabilities) if adjust else None
    scores = np.empty(source.rows)
    for begin in range(0, source.rows, step):
        part = slice(begin, begin + step)
        matrix = chunk.probabilities[part].astype(np.float64)
        if shift is not None:
            matrix = matrix - shift + shift.max()
            matrix /= matrix.sum(axis=1, keepdims=True)
        scores[part] = _scored(chunk.labels[part], matrix, method)
    return scores


def _thresholds(labels: NDArray[Any], probabilities: NDArray[Any]) -> NDArray[np.float64]:
    import numpy as np

    from airflow_mlsecops.core.poisoning.engine import array_passes

    high, low, counts = np.zeros((3, probabilities.shape[1]), dtype=np.int64)
    array_passes.gather(probabilities, labels, high, low, counts)
    return thresholds_of([(int(a) << 26) + int(b) for a, b in zip(high, low, strict=True)], counts)


def _scored(labels: NDArray[Any], matrix: NDArray[np.float64], method: str) -> NDArray[np.float64]:
    import numpy as np

    rows = np.arange(len(labels))
    given = matrix[rows, labels].copy()
    if method == "self_confidence":
        return np.asarray(given)
    if method == "normalized_margin":
        matrix[rows, labels] = -np.inf
        return np.asarray((given - matrix.max(axis=1) + 1.0) / 2.0)
    logs = np.log(matrix, out=np.zeros_like(matrix), where=matrix > 0)
    entropy = -(matrix * logs).sum(axis=1) / np.log(matrix.shape[1])
    weighted = entropy / np.maximum(given, _CLIP)
    return np.asarray(np.log(weighted + 1) / np.maximum(weighted, _CLIP))
