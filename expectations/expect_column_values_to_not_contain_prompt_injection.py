"""No cell holds a phrase that gives orders to a language model."""

from __future__ import annotations

from typing import ClassVar

from airflow_mlsecops.expectations.bases import CellExpectation, cell_metric


class ExpectColumnValuesToNotContainPromptInjection(CellExpectation):
    """No cell holds a phrase that gives orders to a language model.

    Source: OWASP LLM01:2025.

    Args:
        column: a column of text.
        mostly: the share of values that has to be as expected.
        languages: ``de``, ``en``, ``es``, ``fr``, ``it``, ``ja``, ``pt``, ``ru``, ``zh``; by default all.

    Example::

        ExpectColumnValuesToNotContainPromptInjection(column="comment")
    """

    kind: ClassVar[str] = "expect_column_values_to_not_contain_prompt_injection"
    map_metric: ClassVar[str] = cell_metric(kind)
    languages: list[str] | None = None
