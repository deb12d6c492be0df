"""Plans for checks of one cell: one pattern over all rows, what it selects narrowed down, the rest decided in Python.

1. One pattern for all checks together (the *gate*) selects the rows that any of them could be about. They are set
   aside, with their numbers, once for a column; unless they are many, as a look at the first rows tells.
2. Each check's own pattern selects its candidates among them, and Python decides about each distinct one.
3. Counts and row numbers come from what was set aside; the data aren't read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from airflow_mlsecops.core.validation.plans import Answer, Ask, Plan, Table, mostly
from airflow_mlsecops.core.validation.reading import reading
from airflow_mlsecops.core.validation.security.active import active
from airflow_mlsecops.core.validation.security.cells import CellCheck
from airflow_mlsecops.core.validation.security.formula import formula
from airflow_mlsecops.core.validation.security.homoglyph import homoglyphs
from airflow_mlsecops.core.validation.security.invisible import invisible
from airflow_mlsecops.core.validation.security.pii import pii
from airflow_mlsecops.core.validation.security.prompt import prompt_injection
from airflow_mlsecops.core.validation.security.values import (
    arguments_of,
    first_row,
    has_table,
    map_values,
    rows_of_table,
    scratch_name,
)
from airflow_mlsecops.core.validation.source import ROW, Column, Source, literal

MakeCheck = Callable[[Mapping[str, Any]], CellCheck]
CELL_CHECKS: dict[str, MakeCheck] = {
    "expect_column_values_to_not_contain_formula_injection": formula,
    "expect_column_values_to_not_contain_homoglyph_mix": homoglyphs,
    "expect_column_values_to_not_contain_invisible_unicode": invisible,
    "expect_column_values_to_not_contain_pii": pii,
    "expect_column_values_to_not_contain_prompt_injection": prompt_injection,
    "expect_column_values_to_not_contain_script_or_control_characters": active,
}
"""Expectation type -> what makes its check from its arguments."""
_FEW, _LOOK = 0.05, 20_000
"""What the gate selects is set aside when it is at most this share of so many first rows."""


@cache
def _gate() -> str:
    return "|".join(f"(?:{make({}).candidates})" for make in CELL_CHECKS.values())


def cell_plan(kwargs: Mapping[str, Any], table: Table, *, kind: str) -> Plan | None:
    """The plan of a check of one cell."""
    column = table.columns[kwargs["column"]]
    if column.kind != "text":
        return None
    check = CELL_CHECKS[kind](kwargs)
    bad_values = scratch_name("bad", kind, column.name, arguments_of(kwargs))
    aside = scratch_name("gated", column.name)
    own = f"regexp_matches(v, {literal(check.candidates)})" if check.candidates else "true"
    present, wrong = column.count, f"v IN (SELECT v FROM {bad_values})"
    found: dict[str, str] = {}

    def prepare(ask: Ask, source: Source) -> None:
        few = bool(check.candidates) and _set_aside(source, table, column, aside)
        found["rows"] = aside if few else f"(SELECT {column.sql} AS v FROM {table.relation} WHERE {column.present})"
        if not has_table(source, bad_values):  # else the same check was made already, with another ``mostly``
            decide = f"SELECT DISTINCT v FROM {found['rows']} WHERE {own}"
            map_values(source, bad_values, decide, lambda value: value if check.broken(value) else None)
        found["aside"] = f"(SELECT r FROM {aside} WHERE {wrong})" if few else ""

    def decide(ask: Ask) -> Answer:
        some = ask(f"SELECT count(*) FROM {bad_values}")
        unexpected = ask(f"SELECT count(*) FROM {found['rows']} WHERE {wrong}") if some else 0
        _, numbers = rows_of_table(ask, found["aside"]) if unexpected and found["aside"] else (0, ())
        return replace(mostly(ask("count(*)"), ask(present), unexpected, kwargs), rows=numbers)

    return Plan(decide, (present,), (), f"({column.sql} IN (SELECT v FROM {bad_values}))", prepare)


def _set_aside(source: Source, table: Table, column: Column, aside: str) -> bool:
    """Make the table of the rows that the gate selects, if they are few."""
    if has_table(source, aside):
        return True
    gate = f"regexp_matches({column.sql}, {literal(_gate())})"
    first = f"SELECT {column.sql} FROM {table.relation} WHERE {column.present} LIMIT {_LOOK}"
    with reading():
        (many,) = first_row(source, f"SELECT count(*) FILTER (WHERE {gate}) > {_FEW} * count(*) FROM ({first})")
        if many and table.rows > _LOOK:
            return False
        source.connection.execute(f"CREATE TABLE {aside} (r BIGINT, v VARCHAR)")
        for scan, before in source.numbered:
            rows = f"SELECT {ROW} + {before}, {column.sql} FROM {scan} WHERE {column.present} AND {gate}"
            source.connection.execute(f"INSERT INTO {aside} {rows}")
    return True
