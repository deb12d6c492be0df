"""No cell holds characters that nobody sees, where no writing needs them."""

from __future__ import annotations

from typing import ClassVar

from airflow_mlsecops.expectations.bases import CellExpectation, cell_metric


class ExpectColumnValuesToNotContainInvisibleUnicode(CellExpectation):
    """No cell holds characters that nobody sees, where no writing needs them.

    Source: Trojan Source (2023); UTS #51.

    Args:
        column: a column of text.
        mostly: the share of values that has to be as expected.
        allow: groups of characters to let pass, e.g. ``["soft-hyphen"]``; see ``GROUPS`` in the core.

    Example::

        ExpectColumnValuesToNotContainInvisibleUnicode(column="comment")
    """

    kind: ClassVar[str] = "expect_column_values_to_not_contain_invisible_unicode"
    map_metric: ClassVar[str] = cell_metric(kind)
    allow: list[str] | None = None
