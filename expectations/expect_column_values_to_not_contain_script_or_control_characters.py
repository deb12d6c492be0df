"""No cell holds markup that runs, escape sequences of terminals, or control characters."""

from __future__ import annotations

from typing import ClassVar

from airflow_mlsecops.expectations.bases import CellExpectation, cell_metric


class ExpectColumnValuesToNotContainScriptOrControlCharacters(CellExpectation):
    """No cell holds markup that runs, escape sequences of terminals, or control characters.

    Source: OWASP, Cross Site Scripting Prevention; CWE-79, CWE-150.

    Args:
        column: a column of text.
        mostly: the share of values that has to be as expected.

    Example::

        ExpectColumnValuesToNotContainScriptOrControlCharacters(column="comment")
    """

    kind: ClassVar[str] = "expect_column_values_to_not_contain_script_or_control_characters"
    map_metric: ClassVar[str] = cell_metric(kind)
