"""Columns with a role: source, time, probabilities, embeddings, texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Roles:
    """Columns with a role of their own, which are no features as they are.

    Attributes:
        source: the column that says who a row came from: a supplier, an annotator.
        time: the column that says when; anything that sorts (numbers, dates, ISO 8601 text).
        probabilities: label -> the column with its out-of-sample probability, for every label.
        embeddings: numeric columns with a model's embedding of the row.
        texts: columns of text, of which features are made (:mod:`~airflow_mlsecops.core.poisoning.text_features`).
    """

    source: str | None = None
    time: str | None = None
    probabilities: Mapping[str, str] | None = None
    embeddings: Sequence[str] = ()
    texts: Sequence[str] = ()

    def columns(self) -> list[str]:
        """All of them."""
        single = [name for name in (self.source, self.time) if name]
        return [*single, *(self.probabilities or {}).values(), *self.embeddings, *self.texts]


@dataclass(frozen=True)
class Extras:
    """What columns with a role hold, in the order of the rows; None where no column was named.

    Attributes:
        sources: (rows,) text.
        times: (rows,) numbers or text.
        probabilities: (rows, classes) in the order of the classes.
        embeddings: (rows, columns), finite.
    """

    sources: tuple[str, ...] | None = None
    times: NDArray[Any] | None = None
    probabilities: NDArray[np.float64] | None = None
    embeddings: NDArray[np.float64] | None = None
