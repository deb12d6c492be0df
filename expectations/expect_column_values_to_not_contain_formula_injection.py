"""No cell is one that a spreadsheet takes for a formula; numbers and telephone numbers are let be."""

from __future__ import annotations

from typing import ClassVar

from airflow_mlsecops.expectations.bases import CellExpectation, cell_metric


class ExpectColumnValuesToNotContainFormulaInjection(CellExpectation):
    """No cell is one that a spreadsheet takes for a formula; numbers and telephone numbers are let be.

    Source: OWASP, CSV Injection; CWE-1236.

    Args:
        column: a column of text.
        mostly: the share of values that has to be as expected.

    Example::

        ExpectColumnValuesToNotContainFormulaInjection(column="comment")
    """

    kind: ClassVar[str] = "expect_column_values_to_not_contain_formula_injection"
    map_metric: ClassVar[str] = cell_metric(kind)
