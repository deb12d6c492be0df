"""A column of categories that is none: too many of them, most of them used once, or far too long.

What encodes categories (one-hot, embeddings, vocabularies) takes memory for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.validation.plans import Answer, Ask, Plan, Table, exact_ints
from airflow_mlsecops.core.validation.security.frames import as_keys
from airflow_mlsecops.core.validation.security.values import with_defaults
from airflow_mlsecops.core.validation.source import count_where

if TYPE_CHECKING:
    import pandas

DEFAULTS = {"max_distinct": 1000, "max_singletons": 0.5, "max_length": 256}
"""Distinct values; the share of them that stand in one row only; code points of one value."""
_FEW = 20
"""With no more values than this, that most stand once means nothing."""


def judge_cardinality(frame: pandas.DataFrame, kwargs: Mapping[str, Any]) -> Answer:
    """Decide about a frame."""
    chosen = with_defaults(kwargs, DEFAULTS)
    values = as_keys(frame, kwargs["column"])
    sizes = values.value_counts()
    lengths = values.map(len)
    rows = tuple(int(row) for row in values.index[lengths > chosen["max_length"]])
    longest = int(lengths.max()) if len(values) else 0
    once = int((sizes == 1).sum())
    return _decide(chosen, len(frame), len(values), len(sizes), once, longest, len(rows), rows)


def plan_cardinality(kwargs: Mapping[str, Any], table: Table) -> Plan | None:
    """The plan."""
    column = table.columns[kwargs["column"]]
    if column.kind not in ("text", "int", "bool"):
        return None
    chosen = with_defaults(kwargs, DEFAULTS)
    length = f"length(CAST({column.sql} AS VARCHAR))"
    bad = f"({column.present} AND {length} > {int(chosen['max_length'])})"
    present, longest, long = column.count, f"coalesce(max({length}), 0)", count_where(bad)
    groups = f"(SELECT count(*) AS c FROM {table.relation} WHERE {column.present} GROUP BY {column.sql})"

    def decide(ask: Ask) -> Answer:
        counted = ask(f"SELECT (count(*), count(*) FILTER (WHERE c = 1)) FROM {groups}")
        distinct, once = counted if isinstance(counted, tuple) else counted.values()
        return _decide(chosen, table.rows, ask(present), distinct, once, ask(longest), ask(long), ())

    return Plan(decide, (present, longest, long), exact_ints(column), bad)


def _decide(
    chosen: Mapping[str, Any],
    elements: int,
    seen: int,
    distinct: int,
    once: int,
    longest: int,
    too_long: int,
    rows: tuple[int, ...],
) -> Answer:
    share = once / distinct if distinct else 0.0
    observed = {"distinct": distinct, "singletons": round(share, 6), "longest": longest}
    crowd = distinct > _FEW and share > chosen["max_singletons"]
    held = distinct <= chosen["max_distinct"] and not crowd and not too_long
    return Answer(held, seen, too_long, observed, elements, rows=rows)
