"""What DuckDB raises while it reads data, as errors of ours that quote no cell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow_mlsecops.core.errors import DataError


@contextmanager
def reading() -> Iterator[None]:
    """Run queries.

    Raises:
        DataError: if the data are damaged, or don't fit the memory that is allowed. Its message quotes no cell.
    """
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise DataError(
            "the data don't fit the memory that is allowed", "raise memory_limit, or split the data set"
        ) from error
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException) as error:
        raise DataError(
            f"the data could not be read ({type(error).__name__})", "they are truncated or damaged; write them again"
        ) from error
