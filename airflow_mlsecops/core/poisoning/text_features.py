"""The plain default for text: words and pairs of words, hashed into a few columns.

Weinberger et al.: "Feature Hashing for Large Scale Multitask Learning", ICML 2009: inner products are kept but for
noise. Nothing is learned from the data, so that two versions of a data set get the same columns, and no row's features
depend on another row. A language model's embedding is better; give that where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from airflow_mlsecops.core.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

COLUMNS = 256
"""Of each text column."""


def text_features(texts: Sequence[str]) -> NDArray[np.float64]:
    """(rows, COLUMNS), each row of length 1, or 0 where there is no word.

    Args:
        texts: one for each row.
    """
    import numpy as np
    from sklearn.feature_extraction.text import HashingVectorizer

    hashed = HashingVectorizer(n_features=COLUMNS, ngram_range=(1, 2), norm=None, dtype=np.float64).transform(texts)
    hashed.data = np.sign(hashed.data) * np.log1p(np.abs(hashed.data))  # the tenth time says less than the first
    dense = hashed.toarray()
    length = np.linalg.norm(dense, axis=1, keepdims=True)
    return np.asarray(dense / np.where(length > 0, length, 1.0))


def text_columns(frame: pd.DataFrame, names: Sequence[str]) -> tuple[list[NDArray[np.float64]], list[str]]:
    """A matrix for each column of text, and what all their columns are called.

    Raises:
        DataError: if a cell is missing or isn't text.
    """
    made = []
    for name in names:
        texts = frame[name].tolist()
        odd = sum(not isinstance(cell, str) for cell in texts)
        if odd:
            raise DataError(
                f"{odd} of {len(texts)} cells in text column {name!r} are missing or no text", "fill them in"
            )
        made.append(text_features(texts))
    return made, [f"{name}#{number}" for name in names for number in range(COLUMNS)]
