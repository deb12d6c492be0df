"""No word mixes letters of different scripts that look alike, as ``pаypal`` with a Cyrillic а."""

from __future__ import annotations

from typing import ClassVar

from airflow_mlsecops.expectations.bases import CellExpectation, cell_metric


class ExpectColumnValuesToNotContainHomoglyphMix(CellExpectation):
    """No word mixes letters of different scripts that look alike, as ``pаypal`` with a Cyrillic а.

    Source: UTS #39.

    Args:
        column: a column of text.
        mostly: the share of values that has to be as expected.
        allow_greek: let Greek letters beside Latin ones pass, as in ``TNFα``.

    Example::

        ExpectColumnValuesToNotContainHomoglyphMix(column="comment")
    """

    kind: ClassVar[str] = "expect_column_values_to_not_contain_homoglyph_mix"
    map_metric: ClassVar[str] = cell_metric(kind)
    allow_greek: bool | None = None
