"""Which features a model rests on, over a sample of the evaluation data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_mlsecops.core.errors import MissingExtraError

METHODS = ("permutation", "shap", "none")
MAX_FEATURES = 20
_PERMUTATION_ROWS, _REPEATS = 2000, 5
_SHAP_ROWS, _SHAP_BACKGROUND = 100, 50


@dataclass(frozen=True)
class Attribution:
    """How much one feature matters, in the unit of the method.

    Attributes:
        feature: its name.
        value: mean; of permutation importance the loss of score, of SHAP the mean absolute value.
        deviation: standard deviation over the repeats, or over the rows.
    """

    feature: str
    value: float
    deviation: float


def attributions(model: Any, features: Any, labels: Any, method: str, seed: int) -> tuple[tuple[Attribution, ...], str]:
    """The strongest features, and how they were found.

    Raises:
        MissingExtraError: if SHAP is asked for and isn't installed.
    """
    if method == "none":
        return (), ""
    found, told = (_shap if method == "shap" else _permutation)(model, features, labels, seed)
    ordered = sorted(found, key=lambda item: (-item.value, item.feature))
    return tuple(ordered[:MAX_FEATURES]), told


def _sample(features: Any, rows: int, seed: int) -> Any:
    return features.sample(n=min(rows, len(features)), random_state=seed).sort_index()


def _permutation(model: Any, features: Any, labels: Any, seed: int) -> tuple[list[Attribution], str]:
    import numpy as np
    from sklearn.inspection import permutation_importance

    numbered = features.reset_index(drop=True)
    part = _sample(numbered, _PERMUTATION_ROWS, seed)
    result = permutation_importance(
        model, part, np.asarray(labels)[part.index], n_repeats=_REPEATS, random_state=seed, n_jobs=1
    )
    pairs = zip(features.columns, result.importances_mean, result.importances_std, strict=True)
    told = f"permutation importance: loss of score, {_REPEATS} repeats over {len(part)} rows"
    return [Attribution(str(name), float(mean), float(spread)) for name, mean, spread in pairs], told


def _shap(model: Any, features: Any, _labels: Any, seed: int) -> tuple[list[Attribution], str]:
    try:
        import shap
    except ImportError as error:
        raise MissingExtraError("SHAP isn't installed", "install airflow-mlsecops[shap], or use permutation") from error
    import numpy as np

    numbered = features.reset_index(drop=True)
    part, background = _sample(numbered, _SHAP_ROWS, seed), _sample(numbered, _SHAP_BACKGROUND, seed + 1)
    ask = model.predict_proba if hasattr(model, "predict_proba") else model.predict
    explained = shap.explainers.Permutation(ask, background, seed=seed)(part, silent=True)
    size = np.abs(np.asarray(explained.values, dtype=float))
    by_row = size.reshape(size.shape[0], size.shape[1], -1).mean(axis=2)
    pairs = zip(features.columns, by_row.mean(axis=0), by_row.std(axis=0), strict=True)
    told = f"SHAP: mean absolute value over {len(part)} rows"
    return [Attribution(str(name), float(mean), float(spread)) for name, mean, spread in pairs], told
