"""The normal form of texts in SQL: ASCII by an expression, anything else through a table that Python made.

The expression equals :func:`~airflow_mlsecops.core.validation.security.normal.normal` for ASCII (a test compares them).
"""

from __future__ import annotations

from airflow_mlsecops.core.validation.security.normal import normal
from airflow_mlsecops.core.validation.security.values import has_table, map_values, scratch_name
from airflow_mlsecops.core.validation.source import Column, Source


def ascii_normal(text: str) -> str:
    """The expression. Single spaces are left alone, because a match costs much more than passing over one."""
    return f"trim(regexp_replace(lower({text}), '[^a-z0-9]{{2,}}|[^a-z0-9 ]', ' ', 'g'), ' ')"


def with_normal(source: Source, relation: str, column: Column) -> str:
    """What stands after FROM to have a relation's rows whose value isn't null, with its normal form as ``n``.

    Raises:
        DataError: if the data are damaged, or don't fit the memory that is allowed.
    """
    text = column.sql
    other = f"SELECT DISTINCT {text} FROM {relation} WHERE strlen({text}) <> length({text})"
    forms = scratch_name("normal", relation, column.name)
    if not has_table(source, forms):
        map_values(source, forms, other, normal)
    if not source.connection.execute(f"SELECT count(*) FROM {forms}").fetchone()[0]:
        return f"(SELECT *, {ascii_normal(text)} AS n FROM {relation} WHERE {text} IS NOT NULL)"
    joined = f"{relation} AS r LEFT JOIN (SELECT v AS mapped, n AS form FROM {forms}) AS f ON r.{text} = f.mapped"
    form = f"CASE WHEN f.mapped IS NULL THEN {ascii_normal(f'r.{text}')} ELSE f.form END"
    return f"(SELECT r.*, {form} AS n FROM {joined} WHERE r.{text} IS NOT NULL)"
