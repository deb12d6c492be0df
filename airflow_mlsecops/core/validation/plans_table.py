"""Plans for what looks at the table as a whole: numbers of rows and columns, names. They need no scan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_mlsecops.core.validation.plans import Answer, Plan, Table, within


def row_count(kwargs: Mapping[str, Any], table: Table) -> Plan:
    """How many rows there are."""
    return _count(table.rows, kwargs)


def column_count(kwargs: Mapping[str, Any], table: Table) -> Plan:
    """How many columns there are."""
    return _count(len(table.columns), kwargs)


def columns_in_order(kwargs: Mapping[str, Any], table: Table) -> Plan:
    """The names, in order."""
    held = list(table.columns) == list(kwargs["column_list"])
    return Plan(lambda _: Answer(held))


def columns_as_set(kwargs: Mapping[str, Any], table: Table) -> Plan | None:
    """The names, in any order; only when they match, for GX words the difference."""
    wanted, found = set(kwargs["column_set"]), set(table.columns)
    held = wanted == found if kwargs.get("exact_match", True) else wanted <= found
    return Plan(lambda _: Answer(True)) if held and wanted == found else None


def column_exists(kwargs: Mapping[str, Any], table: Table) -> Plan:
    """A name."""
    held = kwargs["column"] in table.columns
    return Plan(lambda _: Answer(held))


def _count(number: int, kwargs: Mapping[str, Any]) -> Plan:
    held = number == kwargs["value"] if "value" in kwargs else within(number, kwargs)
    return Plan(lambda _: Answer(held, observed=number))
