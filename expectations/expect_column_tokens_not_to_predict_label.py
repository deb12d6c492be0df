"""No word, and no value, gives the label away."""

from __future__ import annotations

from typing import ClassVar

from airflow_mlsecops.expectations.bases import TableExpectation


class ExpectColumnTokensNotToPredictLabel(TableExpectation):
    """No word, and no value, gives the label away.

    Source: Gardner et al., Competency Problems (EMNLP 2021).

    Args:
        column: the column to look at.
        label_column: the labels.
        unit: ``word`` (the default), or ``value`` for the whole value.
        min_count: words in fewer rows are left alone; 20 by default.
        min_share: share of its rows that have one label; 0.95 by default.
        alpha: significance, over all tests together; 0.01 by default.
        sample_rows: how many rows to count in; 500,000 by default.

    Example::

        ExpectColumnTokensNotToPredictLabel(column="comment", label_column="label")
    """

    kind: ClassVar[str] = "expect_column_tokens_not_to_predict_label"
    column: str
    label_column: str
    unit: str | None = None
    min_count: int | None = None
    min_share: float | None = None
    alpha: float | None = None
    sample_rows: int | None = None
