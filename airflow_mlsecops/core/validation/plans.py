"""From an expectation to SQL: what has to be computed, when the answer is exact, and how it decides.

A plan's verdict and counts equal those of GX's pandas engine, or there is no plan and GX is asked. Where that depends
on the data, the plan says so: a *guard* is an aggregate that must come out true (all text is ASCII, all whole numbers
are exact as floats). Guards and counts are aggregates over one scan that all plans share.

SQL is made of quoted names and literals alone; see :mod:`airflow_mlsecops.core.validation.source`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_mlsecops.core.profile.compare import Compared
from airflow_mlsecops.core.validation.regex import translate
from airflow_mlsecops.core.validation.source import Column, Source, count_where, literal

Ask = Callable[[str], Any]
"""From an aggregate's or a query's SQL to its value."""
EXACT = 2**53
"""Whole numbers up to this are exact as 64-bit floats, which pandas makes of whole numbers among nulls."""
_EPSILON = 2.0**-52
_FEW = 16
_NARROW = {"int8", "int16", "int32", "uint8", "uint16", "uint32"}


@dataclass(frozen=True)
class Answer:
    """What a plan found; the fields are those of :class:`~airflow_mlsecops.core.validation.outcome.Outcome`."""

    held: bool
    saw: int | None = None
    unexpected: int | None = None
    observed: Any = None
    elements: int | None = None
    trouble: str = ""
    compared: Compared | None = None
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Plan:
    """How one expectation is evaluated.

    Attributes:
        decide: from the values to the answer; ``None`` when it turns out that only GX can give it.
        aggregates: SQL of what the shared scan has to compute.
        guards: SQL of aggregates that must be true for the answer to be exact.
        bad: predicate of the rows that break it, for their numbers; empty when rows have none.
        prepare: runs before ``decide``; makes scratch tables that it, ``bad`` and ``listed`` read.
        listed: a scratch table of the numbers ``r`` of the rows that break it, where no predicate tells them.
    """

    decide: Callable[[Ask], Answer | None]
    aggregates: tuple[str, ...] = ()
    guards: tuple[str, ...] = ()
    bad: str = ""
    prepare: Callable[[Ask, Source], None] | None = None
    listed: str = ""


@dataclass(frozen=True)
class Table:
    """What compilers know of the table."""

    relation: str
    rows: int
    columns: Mapping[str, Column]
    names: tuple[str, ...] = field(default=())


Compiler = Callable[[Mapping[str, Any], Table], Plan | None]


def within(value: Any, kwargs: Mapping[str, Any]) -> bool:
    """Whether a value lies within min_value and max_value, which may be strict."""
    low, high = kwargs.get("min_value"), kwargs.get("max_value")
    above = low is None or (value > low if kwargs.get("strict_min") else value >= low)
    below = high is None or (value < high if kwargs.get("strict_max") else value <= high)
    return bool(above and below)


def outside(sql: str, kwargs: Mapping[str, Any], number: Callable[[Any], Any] = float) -> str:
    """The predicate of values that don't lie within min_value and max_value."""
    parts = []
    if (low := kwargs.get("min_value")) is not None:
        parts.append(f"{sql} {'<=' if kwargs.get('strict_min') else '<'} {literal(number(low))}")
    if (high := kwargs.get("max_value")) is not None:
        parts.append(f"{sql} {'>=' if kwargs.get('strict_max') else '>'} {literal(number(high))}")
    return f"({' OR '.join(parts)})"


def exact_ints(column: Column) -> tuple[str, ...]:
    """The guard under which a column's numbers are the same in pandas, which turns whole numbers into floats."""
    if column.kind != "int" or column.type in _NARROW:
        return ()
    return (f"coalesce(min({column.sql}) >= -{EXACT} AND max({column.sql}) <= {EXACT}, true)",)


def exact_beside(column: Column, values: Iterable[Any]) -> tuple[str, ...]:
    """The guard under which comparing a column with these numbers is the same in pandas.

    None is needed while they all lie inside +-2**53: rounding to a float moves no whole number onto or across them.
    """
    return exact_ints(column) if column.kind == "int" and any(abs(value) >= EXACT for value in values) else ()


def by_row(column: Column, broken: str, kwargs: Mapping[str, Any], guards: tuple[str, ...] = ()) -> Plan:
    """A plan for an expectation on each non-null value; ``broken`` is the predicate of a bad value."""
    # In this order most rows are done with after the first half: a comparison with null is no match either.
    bad = f"({broken} AND {column.present})"
    present, unexpected = column.count, count_where(bad)

    def decide(ask: Ask) -> Answer:
        return mostly(ask("count(*)"), ask(present), ask(unexpected), kwargs)

    return Plan(decide, (present, unexpected), guards, bad)


def mostly(elements: int, saw: int, unexpected: int, kwargs: Mapping[str, Any]) -> Answer:
    """GX's rule: the share of what is as expected is at least ``mostly``; nothing seen is a success there.

    Source: great_expectations 1.24, ``expectation._mostly_success``: the same division of the same floats.
    """
    held = saw == 0 or (float(saw) - float(unexpected)) / float(saw) >= kwargs.get("mostly", 1)
    return Answer(held, saw, unexpected, elements=elements)


def not_null(kwargs: Mapping[str, Any], table: Table) -> Plan:
    """Nulls are what is unexpected, and every row was seen."""
    column = table.columns[kwargs["column"]]
    present = column.count

    def decide(ask: Ask) -> Answer:
        return mostly(table.rows, table.rows, table.rows - ask(present), kwargs)

    return Plan(decide, (present,), bad=f"(NOT {column.present})")


def null(kwargs: Mapping[str, Any], table: Table) -> Plan:
    """Values are what is unexpected."""
    column = table.columns[kwargs["column"]]
    present = column.count

    def decide(ask: Ask) -> Answer:
        return mostly(table.rows, table.rows, ask(present), kwargs)

    return Plan(decide, (present,), bad=column.present)


def between(kwargs: Mapping[str, Any], table: Table) -> Plan | None:
    """Numbers within bounds."""
    column = table.columns[kwargs["column"]]
    if column.kind not in ("int", "float"):
        return None
    bounds = [kwargs[name] for name in ("min_value", "max_value") if kwargs.get(name) is not None]
    broken = outside(column.sql, kwargs, _whole if column.kind == "int" else float)
    return by_row(column, broken, kwargs, exact_beside(column, bounds))


def _whole(bound: Any) -> Any:
    """A bound of whole numbers that a float holds exactly: whole itself if it can be, because that compares faster."""
    return int(bound) if bound == int(bound) and abs(bound) <= EXACT else float(bound)


def member(column: Column, values: list[Any]) -> str | None:
    """The predicate that a value is one of ``values``; ``None`` if pandas might see that in another way."""
    if column.kind == "text" and all(isinstance(value, str) and _sayable(value) for value in values):
        return _one_of(column, values)
    whole = all(isinstance(value, int) for value in values)
    if (column.kind == "int" and whole) or (column.kind == "float" and not any(isinstance(v, str) for v in values)):
        number = int if column.kind == "int" else float
        return _one_of(column, [number(value) for value in values])
    return None


def _one_of(column: Column, values: list[Any]) -> str:
    """Few values are compared one after the other; DuckDB joins more of them with a table of theirs, by their hash."""
    listed = list(dict.fromkeys(literal(value) for value in values))
    if len(values) > _FEW:
        return f"{column.sql} IN (SELECT unnest([{', '.join(listed)}]))"
    return f"({' OR '.join(f'{column.sql} = {value}' for value in listed)})"  # half the time of IN


def _sayable(value: str) -> bool:
    """Whether a text can stand in SQL: no NUL, no half of a surrogate pair."""
    return "\0" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)


def in_set(kwargs: Mapping[str, Any], table: Table, *, negated: bool = False) -> Plan | None:
    """Values of a set, or (negated) of none of it."""
    column = table.columns[kwargs["column"]]
    inside = member(column, kwargs["value_set"])
    if inside is None:
        return None
    return by_row(
        column, f"({inside})" if negated else f"(NOT {inside})", kwargs, exact_beside(column, kwargs["value_set"])
    )


def lengths(kwargs: Mapping[str, Any], table: Table) -> Plan | None:
    """Lengths in code points."""
    column = table.columns[kwargs["column"]]
    if column.kind != "text":
        return None
    length = f"length({column.sql})"
    broken = f"({length} <> {kwargs['value']})" if "value" in kwargs else outside(length, kwargs, int)
    return by_row(column, broken, kwargs)


def matches(kwargs: Mapping[str, Any], table: Table, *, negated: bool = False) -> Plan | None:
    """A regular expression, or a list of them, found anywhere in the text."""
    column = table.columns[kwargs["column"]]
    patterns = [translate(pattern) for pattern in kwargs.get("regex_list") or [kwargs["regex"]]]
    if column.kind != "text" or None in patterns:
        return None
    found = [f"regexp_matches({column.sql}, {literal(each.pattern)})" for each in patterns if each]
    every = kwargs.get("match_on") == "all"
    joined = f"({(' AND ' if every else ' OR ').join(found)})"
    ascii_only = any(each.ascii_only for each in patterns if each)
    guard = (f"{count_where(f'strlen({column.sql}) <> length({column.sql})')} = 0",) if ascii_only else ()
    return by_row(column, joined if negated else f"(NOT {joined})", kwargs, guard)


def non_null_share(kwargs: Mapping[str, Any], table: Table) -> Plan:
    """The share of values among all rows."""
    present = table.columns[kwargs["column"]].count

    def decide(ask: Ask) -> Answer | None:
        if not table.rows:
            return None
        share = ask(present) / table.rows
        return Answer(within(share, kwargs), table.rows, observed=share)

    return Plan(decide, (present,))


def extreme(kwargs: Mapping[str, Any], table: Table, *, function: str) -> Plan | None:
    """The minimum or the maximum of numbers."""
    column = table.columns[kwargs["column"]]
    if column.kind not in ("int", "float"):
        return None
    present, value = column.count, f"{function}({column.sql}) FILTER (WHERE {column.present})"

    def decide(ask: Ask) -> Answer:
        found = ask(value)
        return Answer(found is not None and within(found, kwargs), ask(present))

    return Plan(decide, (present, value), exact_ints(column))


def total(kwargs: Mapping[str, Any], table: Table, *, mean: bool) -> Plan | None:
    """A sum or a mean. Of floats it is decided only where no order of adding could change the verdict.

    The error of any order of adding n floats is below n * eps * sum(abs(x)).
    Source: Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed. (2002), eq. 4.4.
    """
    column = table.columns[kwargs["column"]]
    if column.kind not in ("int", "float"):
        return None
    where = f"FILTER (WHERE {column.present})"
    value = f"CAST({column.sql} AS {'HUGEINT' if column.kind == 'int' else 'DOUBLE'})"
    present, added, size = column.count, f"sum({value}) {where}", f"sum(abs({value})) {where}"

    def decide(ask: Ask) -> Answer | None:
        saw, found, magnitude = ask(present), ask(added), ask(size)
        if saw == 0 or found is None or not magnitude < float("inf"):
            return None
        exact = column.kind == "int" and magnitude <= EXACT
        if column.kind == "int" and not exact:
            return None
        slack = 0.0 if exact else 2 * (saw + 2) * _EPSILON * magnitude
        count = saw if mean else 1
        if exact:
            return Answer(within(found / count if mean else found, kwargs), saw)
        verdicts = {within(edge, kwargs) for edge in ((found - slack) / count, found / count, (found + slack) / count)}
        spans = any(
            bound is not None and (found - slack) / count <= bound <= (found + slack) / count
            for bound in (kwargs.get("min_value"), kwargs.get("max_value"))
        )
        return None if spans or len(verdicts) > 1 else Answer(verdicts.pop(), saw)

    return Plan(decide, (present, added, size), exact_ints(column))
