"""No cell holds personal data: patterns with check digits, per locale."""

from __future__ import annotations

from typing import ClassVar

from airflow_mlsecops.expectations.bases import CellExpectation, cell_metric


class ExpectColumnValuesToNotContainPii(CellExpectation):
    """No cell holds personal data: patterns with check digits, per locale.

    Source: the standards named in the core's ``checksums`` module.

    Args:
        column: a column of text.
        mostly: the share of values that has to be as expected.
        locales: ``de``, ``es``, ``fr``, ``uk``, ``us``; what is used everywhere is always looked for; by default all.
        entities: only these kinds, e.g. ``["iban"]``.
        engine: ``patterns`` (the default), or ``presidio`` with ``airflow-mlsecops[presidio]``, which then takes
            neither ``locales`` nor ``entities``.

    Example::

        ExpectColumnValuesToNotContainPii(column="comment", locales=["de"])
    """

    kind: ClassVar[str] = "expect_column_values_to_not_contain_pii"
    map_metric: ClassVar[str] = cell_metric(kind)
    locales: list[str] | None = None
    entities: list[str] | None = None
    engine: str | None = None
