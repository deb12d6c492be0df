"""Few test rows stand in the training data, too."""

from __future__ import annotations

from typing import ClassVar

from airflow_mlsecops.expectations.bases import TableExpectation


class ExpectTrainTestOverlapToBeLow(TableExpectation):
    """Few test rows stand in the training data, too.

    Args:
        column: the column to look at.
        max_share: share of test rows that may; 0 by default.
        split_column: the column that says which split a row is of.
        train: its value for training; ``train`` by default.
        test: its value for testing; ``test`` by default.
        other: the training data set instead: ``{"path": …, "sha256": …}``.

    Example::

        ExpectTrainTestOverlapToBeLow(column="comment", split_column="split")
    """

    kind: ClassVar[str] = "expect_train_test_overlap_to_be_low"
    column: str
    max_share: float | None = None
    split_column: str | None = None
    train: str | None = None
    test: str | None = None
    other: dict[str, str] | None = None
