"""The normal form of texts in SQL: ASCII by an expression, anything else through a table that Python made.

The expression equals :func:`~airflow_mlsecops.core.validation.security.normal.normal` for ASCII (a test compares them).
"""

from __future__ import annotations

from airflow_mlsecops.core.validation.security.normal import normal
from airflow_mlsecops.core.validation.security.values import first_row, has_table, map_values, scratch_name
from airflow_mlsecops.core.validation.source import Column, Source


def ascii_normal(text: str) -> str:
    """The expression for text of ASCII.

    What has that form already is only looked at; single spaces are left alone, because a match costs much more than
    passing over one.
    """
    low = f"lower({text})"
    changed = f"trim(regexp_replace({low}, '[^a-z0-9]{{2,}}|[^a-z0-9 ]', ' ', 'g'), ' ')"
    return f"CASE WHEN regexp_matches({low}, '[^a-z0-9 ]| {{2}}|\\A | \\z') THEN {changed} ELSE {low} END"


def with_normal(source: Source, relation: str, column: Column) -> str:
    """What stands after FROM to have a relation's rows whose value isn't null, with its normal form as ``n``.

    Raises:
        DataError: if the data are damaged, or don't fit the memory that is allowed.
    """
    text = column.sql
    plain, other = (f"{text} IS NOT NULL AND strlen({text}) {sign} length({text})" for sign in ("=", "<>"))
    forms = scratch_name("normal", relation, column.name)
    if not has_table(source, forms):
        map_values(source, forms, f"SELECT DISTINCT {text} FROM {relation} WHERE {other}", normal)
    simple = f"SELECT *, {ascii_normal(text)} AS n FROM {relation} WHERE {plain}"
    if first_row(source, f"SELECT count(*) FROM {forms}") == (0,):
        return f"({simple})"
    mapped = f"(SELECT * FROM {relation} WHERE {other}) AS r JOIN {forms} AS f ON r.{text} = f.v"
    return f"({simple} UNION ALL SELECT r.*, f.n FROM {mapped})"
