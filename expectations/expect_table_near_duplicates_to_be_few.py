"""Few rows repeat another one, or nearly do."""

from __future__ import annotations

from typing import ClassVar

from airflow_mlsecops.expectations.bases import TableExpectation


class ExpectTableNearDuplicatesToBeFew(TableExpectation):
    """Few rows repeat another one, or nearly do.

    Source: Broder, On the resemblance of documents (1997).

    Args:
        column: the column to look at.
        max_share: share of rows that repeat an earlier one; 0.5 by default.
        max_group: share of the rows in the largest group; 0.01 by default.
        min_group: smaller groups never count; 10 by default.
        similarity: Jaccard similarity of the words from which on two are nearly equal; 0.7 by default.
        sample_rows: how many rows to compare for nearly equal ones; 100,000 by default.

    Example::

        ExpectTableNearDuplicatesToBeFew(column="comment", max_group=0.001)
    """

    kind: ClassVar[str] = "expect_table_near_duplicates_to_be_few"
    column: str
    max_share: float | None = None
    max_group: float | None = None
    min_group: int | None = None
    similarity: float | None = None
    sample_rows: int | None = None
