"""Plans for checks of one cell: one pattern over all rows, what it selects narrowed down, the rest decided in Python.

1. The shared scan counts the rows that *any* check could be about, by one pattern for all of them (the *gate*).
2. If there are none, nothing is wrong. If they are few, their distinct values are set aside once for all checks.
3. Each check's own pattern selects its candidates, and Python decides about each distinct one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from airflow_mlsecops.core.validation.plans import Answer, Ask, Plan, Table, count_where, mostly
from airflow_mlsecops.core.validation.security.active import active
from airflow_mlsecops.core.validation.security.cells import CellCheck
from airflow_mlsecops.core.validation.security.formula import formula
from airflow_mlsecops.core.validation.security.homoglyph import homoglyphs
from airflow_mlsecops.core.validation.security.invisible import invisible
from airflow_mlsecops.core.validation.security.pii import pii
from airflow_mlsecops.core.validation.security.prompt import prompt_injection
from airflow_mlsecops.core.validation.security.values import arguments_of, has_table, map_values, scratch_name
from airflow_mlsecops.core.validation.source import Source, literal

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
_FEW = 0.05
"""Up to this share of the rows, what the gate selects is set aside."""


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
    gate = f"regexp_matches({column.sql}, {literal(_gate())})" if check.candidates else "true"
    own = f"regexp_matches(v, {literal(check.candidates)})" if check.candidates else "true"
    present, gated = count_where(column.present), count_where(f"{column.present} AND {gate}")
    bad = f"({column.sql} IN (SELECT v FROM {bad_values}))"
    values = f"SELECT {column.sql} AS v FROM {table.relation} WHERE {column.present}"

    def prepare(ask: Ask, source: Source) -> None:
        if has_table(source, bad_values):  # the same check, with another ``mostly``
            return
        aside = f"({values})"
        if check.candidates and ask(gated) <= _FEW * table.rows:
            aside = scratch_name("gated", column.name)
            if not has_table(source, aside):
                map_values(source, aside, f"SELECT DISTINCT v FROM ({values} AND {gate})", lambda value: value)
        decide = f"SELECT DISTINCT v FROM {aside} WHERE {own}"
        map_values(source, bad_values, decide, lambda value: value if check.broken(value) else None)

    def decide(ask: Ask) -> Answer:
        found = ask(f"SELECT count(*) FROM {bad_values}") if ask(gated) else 0
        unexpected = ask(f"SELECT count(*) FROM {table.relation} WHERE {bad}") if found else 0
        return mostly(ask("count(*)"), ask(present), unexpected, kwargs)

    return Plan(decide, (present, gated), (), bad, lambda ask, source: prepare(ask, source) if ask(gated) else None)
