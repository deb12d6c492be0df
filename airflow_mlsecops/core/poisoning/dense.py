"""Features and embeddings as they are expected: a plain array of finite numbers, a line for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def dense(values: Any, what: str, *, rows: int | None = None) -> NDArray[np.float64]:
    """The same values, if they are such an array.

    Args:
        values: what a caller gave.
        what: what to call them in a message, such as "features".
        rows: how many are expected, where that is known.

    Raises:
        DataError: if they are a sparse matrix, have another shape, or hold anything but finite numbers.
    """
    import numpy as np

    refuse_sparse(values, what)
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{what} are no table: {error}", "give each row as many numbers") from error
    told = "any" if rows is None else f"{rows:,}"
    if array.ndim != 2 or (rows is not None and len(array) != rows):
        raise DataError(f"{what} have shape {array.shape}, expected ({told} rows, columns)", "give one line a row")
    if array.dtype.kind not in "fiub":
        raise DataError(f"{what} are {array.dtype}, expected numbers", "encode them as numbers first")
    numbers = array.astype(np.float64, copy=False)
    bad = int((~np.isfinite(numbers)).any(axis=1).sum())
    if bad:
        raise DataError(
            f"{what} are missing or infinite in {bad} of {len(numbers)} rows", "fill them in, or drop the rows"
        )
    return numbers


def refuse_sparse(values: Any, what: str) -> None:
    """Refuse SciPy's sparse matrices and arrays, which NumPy takes for one object.

    Raises:
        DataError: if ``values`` are one.
    """
    if hasattr(values, "tocsr"):
        raise DataError(f"{what} are a sparse matrix of shape {values.shape}", "give them .toarray()")
