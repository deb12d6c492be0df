"""Compute a profile with DuckDB, in a connection that reads the data set's files and nothing else.

Procedure:

1. One scan: rows, nulls, an estimate of distinct values, the range of finite numbers and of texts' lengths.
2. One scan for the histograms of all columns, on equal pieces of their ranges.
3. A few more for those columns alone of which a piece holds too much.
4. For each column of few values one query that counts them.

Memory is bounded by DuckDB's limit (what groups need beyond it goes to a temporary folder), and by the number of
columns: some thousand counts for each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.profile import categories as naming
from airflow_mlsecops.core.profile import sql
from airflow_mlsecops.core.profile.edges import ROUNDS, finer_edges, first_edges, joined, rounded_outward
from airflow_mlsecops.core.profile.model import BOOL, NUMBER, OTHER, Categories, ColumnProfile, Histogram, Profile
from airflow_mlsecops.core.validation.fused import rows_of
from airflow_mlsecops.core.validation.source import DEFAULT_MEMORY, Column, Source, open_source

AT_ONCE = 24
"""Of how many columns histograms are computed in one query: some thousand edges for each stand in its text."""


def profile_table(path: Path, *, label: str = "", mask: bool = False, memory_limit: str = DEFAULT_MEMORY) -> Profile:
    """The profile of a CSV or Parquet table.

    Args:
        path: a file, or a folder of part files.
        label: the column with the labels, whose values must all be counted.
        mask: keep digests of values in place of values, and no extremes.
        memory_limit: how much memory DuckDB may use.

    Raises:
        DataError: if the table can't be read whole, is empty, or its label column isn't there or holds too many values.
        MissingExtraError: without DuckDB.
    """
    with open_source(path, memory_limit=memory_limit) as source:
        if source is None:
            raise DataError(
                f"{path.name} can't be profiled: its parts differ, or names stand twice", "write all from one schema"
            )
        if label and label not in source.columns:
            raise DataError(f"{path.name} has no column {label!r}, the label", "name one that is there")
        profile = _profile(source, label, mask)
    told = profile.column(label) if label else None
    if told is not None and (told.categories is None or told.categories.other_values):
        raise DataError(
            f"the label {label!r} holds more than {naming.MAX_CATEGORIES} values, or neither text nor whole numbers",
            "name the column that holds classes",
        )
    return profile


def _profile(source: Source, label: str, mask: bool) -> Profile:
    columns = list(source.columns.values())
    seen = _overview(source, columns)
    bins = _histograms(source, columns, seen, mask)
    made = []
    for column in columns:
        present, distinct, low, high = seen[column.name]
        told = _categories(source, column, distinct, mask) if present else None
        exact = told is not None and not told.other_values
        family = sql.family_of(column)
        shown = family == NUMBER and not mask
        made.append(
            ColumnProfile(
                name=column.name,
                type=column.type,
                family=family,
                rows=source.rows,
                nulls=source.rows - present,
                distinct=len(told.counts) if told is not None and exact else distinct,
                distinct_exact=exact,
                low=low if shown else None,
                high=high if shown else None,
                histogram=bins.get(column.name),
                categories=told,
            )
        )
    return Profile(source.rows, tuple(made), label, mask)


def _overview(source: Source, columns: Sequence[Column]) -> dict[str, tuple[int, int, float | None, float | None]]:
    """Column -> values, different values, least and greatest of what is measured."""
    wanted = []
    for column in columns:
        wanted.append(f"count(*) FILTER (WHERE {column.present})")
        if sql.family_of(column) == OTHER:
            wanted += ["0", "NULL", "NULL"]
            continue
        wanted.append(f"approx_count_distinct({column.sql}) FILTER (WHERE {column.present})")
        if sql.family_of(column) == BOOL:
            wanted += ["NULL", "NULL"]
            continue
        value = sql.measured(column)
        finite = f"FILTER (WHERE {column.present} AND isfinite({value}))"
        wanted += [f"min({value}) {finite}", f"max({value}) {finite}"]
    (row,) = rows_of(source, f"SELECT {', '.join(wanted)} FROM {source.relation}")
    return {
        column.name: (int(row[4 * i]), int(row[4 * i + 1]), _plain(row[4 * i + 2]), _plain(row[4 * i + 3]))
        for i, column in enumerate(columns)
    }


def _plain(value: float | None) -> float | None:
    """Without the sign of a zero, which depends on the order of the rows."""
    return None if value is None else value + 0.0


def _histograms(source: Source, columns: Sequence[Column], seen: dict[str, Any], mask: bool) -> dict[str, Histogram]:
    edges: dict[str, list[float]] = {}
    for column in columns:
        _, _, low, high = seen[column.name]
        if low is not None and high is not None:
            low, high = rounded_outward(low, high) if mask else (low, high)
            edges[column.name] = first_edges(low, high, source.rows, whole=_whole(column))
    found: dict[str, Histogram] = {}
    # Cut again and again, an edge would come as near to a frequent value as if it were written down.
    for _ in range(1 if mask else 1 + ROUNDS):
        found |= _counted(source, [column for column in columns if column.name in edges], edges)
        finer = {name: finer_edges(found[name], whole=_whole(source.columns[name])) for name in edges}
        edges = {name: cut for name, cut in finer.items() if len(cut) > len(found[name].edges)}
        if not edges:
            break
    return {name: joined(histogram) for name, histogram in found.items()}


def _counted(
    source: Source, columns: Sequence[Column], edges: dict[str, list[float]]
) -> Iterable[tuple[str, Histogram]]:
    for start in range(0, len(columns), AT_ONCE):
        some = columns[start : start + AT_ONCE]
        wanted = ", ".join(sql.histogram(column, edges[column.name]) for column in some)
        (row,) = rows_of(source, f"SELECT {wanted} FROM {source.relation}")
        for column, answer in zip(some, row, strict=True):
            cut = tuple(edges[column.name])
            yield column.name, Histogram(cut, sql.counts_of(answer, cut))


def _categories(source: Source, column: Column, distinct: int, mask: bool) -> Categories | None:
    limits = {"text": naming.MAX_DISTINCT, "bool": naming.MAX_DISTINCT, "int": naming.MAX_CATEGORIES}
    if distinct > limits.get(column.kind, -1):
        return None
    ((answer,),) = rows_of(source, sql.category_counts(column, source.relation, naming.MAX_DISTINCT))
    counted = sql.named_counts(answer)
    return None if len(counted) > naming.MAX_DISTINCT else naming.fold(column.name, counted, mask=mask)


def _whole(column: Column) -> bool:
    return column.kind in ("int", "text")
