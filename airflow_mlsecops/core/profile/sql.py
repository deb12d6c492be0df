"""The few pieces of SQL that a profile and a comparison with it share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_mlsecops.core.profile.model import BOOL, NUMBER, OTHER, TEXT
from airflow_mlsecops.core.validation.source import Column

FAMILIES = {"int": NUMBER, "float": NUMBER, "float32": NUMBER, "text": TEXT, "bool": BOOL}


def family_of(column: Column) -> str:
    """What of a column can be compared."""
    return FAMILIES.get(column.kind, OTHER)


def measured(column: Column) -> str:
    """What a histogram is made of: the number itself, or a text's length in code points; a DOUBLE."""
    return f"CAST({f'length({column.sql})' if column.kind == 'text' else column.sql} AS DOUBLE)"


def histogram(column: Column, edges: Sequence[float]) -> str:
    """An aggregate: a map from edge (or infinity) to how many values lie up to it and above the one before."""
    listed = ", ".join(map(double, edges))
    return f"histogram({measured(column)}, [{listed}]) FILTER (WHERE {column.present})"


def counts_of(answer: Mapping[Any, int] | None, edges: Sequence[float]) -> tuple[int, ...]:
    """What :func:`histogram` gives, as counts: one more than edges."""
    found = answer or {}
    return (*(int(found.get(edge, 0)) for edge in edges), int(found.get(float("inf"), 0)))


def category_counts(column: Column, relation: str, most: int) -> str:
    """A query for one value: a list of ``{v, n}``, a value's name and its rows, of one more than ``most`` at most.

    Whoever gets one more knows that there are too many, and holds no more than that of them in memory.
    """
    counted = f"SELECT CAST({column.sql} AS VARCHAR) AS v, count(*) AS n FROM {relation} WHERE {column.present}"
    return f"SELECT coalesce(list({{'v': v, 'n': n}}), []) FROM ({counted} GROUP BY 1 LIMIT {most + 1})"


def named_counts(answer: Sequence[Mapping[str, Any]]) -> list[tuple[str, int]]:
    """What :func:`category_counts` gives, as pairs."""
    return [(str(item["v"]), int(item["n"])) for item in answer]


def double(value: float) -> str:
    """A literal that DuckDB reads as the very same double: with an exponent, for else it would be a DECIMAL."""
    text = repr(float(value))
    return text if "e" in text else f"{text}e0"
