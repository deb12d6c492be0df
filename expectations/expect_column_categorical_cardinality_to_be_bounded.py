"""A column of categories has few of them, most used more than once, none very long."""

from __future__ import annotations

from typing import ClassVar

from airflow_mlsecops.expectations.bases import TableExpectation


class ExpectColumnCategoricalCardinalityToBeBounded(TableExpectation):
    """A column of categories has few of them, most used more than once, none very long.

    Args:
        column: the column to look at.
        max_distinct: at most this many; 1000 by default.
        max_singletons: at most this share of them stands in one row only; 0.5 by default.
        max_length: none has more code points; 256 by default.

    Example::

        ExpectColumnCategoricalCardinalityToBeBounded(column="country", max_distinct=250)
    """

    kind: ClassVar[str] = "expect_column_categorical_cardinality_to_be_bounded"
    column: str
    max_distinct: int | None = None
    max_singletons: float | None = None
    max_length: int | None = None
