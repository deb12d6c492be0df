"""Whatever takes features or embeddings says what is wrong with them, instead of failing somewhere inside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import coo_matrix, csc_array, csr_array, csr_matrix

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.poisoning.dense import dense
from airflow_mlsecops.core.poisoning.detectors.embeddings import activation_clustering, spectral_signatures
from airflow_mlsecops.core.poisoning.detectors.triggers import trigger_enrichment
from airflow_mlsecops.core.poisoning.estimators import out_of_sample_probabilities
from airflow_mlsecops.core.poisoning.neighbours import neighbours
from airflow_mlsecops.core.poisoning.trusted_judges import TrustedJudges

X = np.random.default_rng(0).normal(size=(60, 3))
Y = np.arange(60) % 2
NAMES, CLASSES = ("f0", "f1", "f2"), ("a", "b")

ENTRIES: dict[str, Callable[[Any], Any]] = {
    "neighbours": neighbours,
    "out of sample": lambda x: out_of_sample_probabilities(x, Y, classes=2),
    "trusted rows": lambda x: TrustedJudges(x, Y, 2).own,
    "rows against trusted ones": lambda x: TrustedJudges(X, Y, 2)(x),
    "spectral signatures": lambda x: spectral_signatures(x, Y),
    "activation clustering": lambda x: activation_clustering(x, Y),
    "trigger": lambda x: trigger_enrichment(x, Y, X, NAMES, CLASSES),
    "trigger, trusted": lambda x: trigger_enrichment(X, Y, x, NAMES, CLASSES),
}
MISSING, ENDLESS = X.copy(), X.copy()
MISSING[3, 1], ENDLESS[:2, 0] = np.nan, -np.inf
BAD: dict[str, tuple[Any, str]] = {
    "sparse": (csr_array(X), r"features are a sparse matrix of shape \(60, 3\)"),
    "missing": (MISSING, "missing or infinite in 1 of 60 rows"),
    "infinite": (ENDLESS, "missing or infinite in 2 of 60 rows"),
    "texts": (X.astype(str), "expected numbers"),
    "objects": (X.astype(object), "are object, expected numbers"),
    "a single column without columns": (X[:, 0], r"have shape \(60,\), expected"),
    "lists of unlike length": ([[1.0, 2.0], [1.0]], "are no table"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("entry", ENTRIES)
def test_every_entry_says_what_is_wrong(entry: str, case: str) -> None:
    values, message = BAD[case]
    with pytest.raises(DataError, match=message.removeprefix("features ")) as caught:
        ENTRIES[entry](values)
    assert caught.value.advice


@pytest.mark.parametrize("kind", [csr_array, csr_matrix, csc_array, coo_matrix])
def test_sparse_of_every_kind(kind: Any) -> None:
    with pytest.raises(DataError, match="sparse matrix") as caught:
        dense(kind(X), "embeddings")
    assert "toarray" in caught.value.advice


@pytest.mark.parametrize("entry", ["out of sample", "spectral signatures", "activation clustering", "trigger"])
def test_a_line_for_each_label(entry: str) -> None:
    with pytest.raises(DataError, match=r"have shape \(59, 3\), expected \(60 rows, columns\)"):
        ENTRIES[entry](X[:59])


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_for_neighbours(rows: int) -> None:
    with pytest.raises(DataError, match=f"{rows} rows have no neighbours"):
        neighbours(X[:rows])


@pytest.mark.parametrize("values", [X.astype(np.float32), X.round().astype(np.int8), X > 0, X.tolist()])
def test_other_numbers_are_taken(values: Any) -> None:
    found = dense(values, "features", rows=60)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, np.asarray(values, dtype=float))


def test_doubles_are_not_copied() -> None:
    assert dense(X, "features") is X
