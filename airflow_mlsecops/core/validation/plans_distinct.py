"""Plans for what looks at several rows or columns at once: uniqueness, distinct values, pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_mlsecops.core.validation.plans import (
    Answer,
    Ask,
    Plan,
    Table,
    exact_beside,
    exact_ints,
    member,
    mostly,
    within,
)
from airflow_mlsecops.core.validation.source import Column, count_where

_KEYS = ("int", "float", "text")
_BITS_PER_ROW = 32
_MOST_BITS = 2**28
"""32 MB for each thread."""


def unique(kwargs: Mapping[str, Any], table: Table) -> Plan | None:
    """Each value once. All rows of a value that stands twice are unexpected, as in pandas' ``duplicated(keep=False)``.

    That whole numbers are unique is proven without grouping them where it can be: by one bit for each if they lie close
    together, else by their strictly increasing in the order of reading, whatever that order is.
    """
    column = table.columns[kwargs["column"]]
    if column.kind not in _KEYS:
        return None
    present, key, source = column.count, _key(column), table.relation
    groups = f"SELECT count(*) AS n FROM {source} WHERE {column.present} GROUP BY {key}"
    repeated = f"SELECT coalesce(sum(n) FILTER (WHERE n > 1), 0) FROM ({groups})"
    steps = f"SELECT {key} AS k, lag({key}) OVER () AS p FROM {source} WHERE {column.present}"
    rising = f"SELECT coalesce(bool_and(p IS NULL OR k > p), true) FROM ({steps})"

    def decide(ask: Ask) -> Answer:
        saw = ask(present)
        dense = distinct_ints(column, table, ask)
        proven = saw == dense if dense is not None else column.kind == "int" and ask(rising)
        return mostly(table.rows, saw, 0 if proven else int(ask(repeated)), kwargs)

    twice = f"SELECT {key} FROM {source} WHERE {column.present} GROUP BY {key} HAVING count(*) > 1"
    bad = f"({column.present} AND {key} IN ({twice}))"
    return Plan(decide, (present, *_ends(column)), exact_ints(column), bad)


def distinct_ints(column: Column, table: Table, ask: Ask) -> int | None:
    """How many distinct whole numbers there are, by one bit for each; ``None`` if they lie too far apart for that."""
    if column.kind != "int":
        return None
    low, high = (ask(end) for end in _ends(column))
    if low is None or high - low >= min(_BITS_PER_ROW * table.rows, _MOST_BITS):
        return None
    return int(ask(f"SELECT bit_count(bitstring_agg({column.sql}, {low}, {high})) FROM {table.relation}"))


def _ends(column: Column) -> tuple[str, ...]:
    return (f"min({column.sql})", f"max({column.sql})") if column.kind == "int" else ()


def compound_unique(kwargs: Mapping[str, Any], table: Table) -> Plan | None:
    """Each combination once; only where no column has a null, for pandas has its own mind about those."""
    columns = [table.columns[name] for name in kwargs["column_list"]]
    if len(columns) < 2 or any(column.kind not in _KEYS for column in columns):
        return None
    keys = ", ".join(_key(column) for column in columns)
    groups = f"SELECT count(*) AS n FROM {table.relation} GROUP BY {keys}"
    repeated = f"SELECT coalesce(sum(n) FILTER (WHERE n > 1), 0) FROM ({groups})"
    guards = tuple(f"{count_where(f'NOT {column.present}')} = 0" for column in columns)

    def decide(ask: Ask) -> Answer:
        return mostly(table.rows, table.rows, int(ask(repeated)), kwargs)

    twice = f"SELECT ({keys}) FROM {table.relation} GROUP BY {keys} HAVING count(*) > 1"
    return Plan(decide, (), (*guards, *_all_exact(columns)), f"(({keys}) IN ({twice}))")


def pair(kwargs: Mapping[str, Any], table: Table, *, greater: bool) -> Plan | None:
    """Two numbers, or two texts, of each row compared; only where neither column has a null."""
    first, second = table.columns[kwargs["column_A"]], table.columns[kwargs["column_B"]]
    if first.kind != second.kind or first.kind not in (("int", "float") if greater else _KEYS):
        return None
    if first.name == second.name:
        return None
    sign = (">=" if kwargs.get("or_equal") else ">") if greater else "="
    bad = f"(NOT ({first.sql} {sign} {second.sql}))"
    guards = tuple(f"{count_where(f'NOT {column.present}')} = 0" for column in (first, second))
    unexpected = count_where(bad)

    def decide(ask: Ask) -> Answer:
        return mostly(table.rows, table.rows, ask(unexpected), kwargs)

    # Without nulls pandas keeps whole numbers as they are; but two types may meet in a float.
    exact = () if first.type == second.type else _all_exact([first, second])
    return Plan(decide, (unexpected,), (*guards, *exact), bad)


def unique_count(kwargs: Mapping[str, Any], table: Table, *, share: bool) -> Plan | None:
    """How many distinct values there are, or which share of the values they are."""
    column = table.columns[kwargs["column"]]
    if column.kind not in _KEYS:
        return None
    present = column.count
    distinct = f"SELECT count(*) FROM (SELECT DISTINCT {_key(column)} FROM {table.relation} WHERE {column.present})"

    def decide(ask: Ask) -> Answer | None:
        saw = ask(present)
        if not saw:
            return None
        dense = distinct_ints(column, table, ask)
        found = ask(distinct) if dense is None else dense
        observed = found / saw if share else found
        return Answer(within(observed, kwargs), saw, observed=observed)

    return Plan(decide, (present, *_ends(column)), exact_ints(column))


def distinct_set(kwargs: Mapping[str, Any], table: Table, *, inside: bool, all_of: bool) -> Plan | None:
    """The distinct values lie inside a set, hold all of it, or are it."""
    column, values = table.columns[kwargs["column"]], kwargs["value_set"]
    one_of = member(column, values)
    # Numbers of another kind than the column's are left to GX: there 1 and 1.0, and 1 and True, have a past.
    if one_of is None or column.kind == "float":
        return None
    present = column.count
    strangers = count_where(f"NOT ({one_of}) AND {column.present}")
    found = f"count(DISTINCT {column.sql}) FILTER (WHERE {one_of})"

    def decide(ask: Ask) -> Answer | None:
        if not ask(present):
            return None
        held = (not inside or ask(strangers) == 0) and (not all_of or ask(found) == len(set(values)))
        return Answer(held, ask(present))

    wanted = ((strangers,) if inside else ()) + ((found,) if all_of else ())
    return Plan(decide, (present, *wanted), exact_beside(column, values))


def _key(column: Column) -> str:
    """The value to compare by; adding zero makes one of the two floats that are zero."""
    return f"({column.sql} + CAST('0.0' AS DOUBLE))" if column.kind == "float" else column.sql


def _all_exact(columns: list[Column]) -> tuple[str, ...]:
    return tuple(guard for column in columns for guard in exact_ints(column))
