"""Hashes of normal forms by row number, made once for a column; the few rows that they point at are then read again.

A hash is DuckDB's, of 64 bits. It only finds candidates: what decides are the forms of the rows themselves.
"""

from __future__ import annotations

from airflow_mlsecops.core.validation.plans import Table
from airflow_mlsecops.core.validation.reading import reading
from airflow_mlsecops.core.validation.security.normal_sql import with_normal
from airflow_mlsecops.core.validation.security.values import has_table, scratch_name
from airflow_mlsecops.core.validation.source import ROW, Column, Source


def hash_rows(source: Source, table: Table, column: Column) -> str:
    """The table of row number ``r`` and hash ``h`` of each value that isn't null; it is made if it isn't there.

    Raises:
        DataError: if the data are damaged, or don't fit the memory that is allowed.
    """
    name = scratch_name("hashes", table.relation, column.name)
    if not has_table(source, name):
        rows = " UNION ALL ".join(
            f"SELECT {ROW} + {before} AS r, {column.sql} FROM {scan}" for scan, before in source.numbered
        )
        forms = with_normal(source, f"({rows})", column)
        with reading():
            source.connection.execute(f"CREATE TABLE {name} AS SELECT r, hash(n) AS h FROM {forms}")
    return name


def read_rows(source: Source, column: Column, rows: str, into: str, where: str = "true") -> None:
    """Make a table of row number ``r``, value ``v`` and normal form ``n`` of some rows.

    Args:
        source: the data.
        column: whose value isn't null in these rows.
        rows: a query that gives their numbers.
        into: the new table.
        where: a predicate that they have to meet, too.

    Raises:
        DataError: if the data are damaged, or don't fit the memory that is allowed.
    """
    run, raw = source.connection.execute, f"raw_{into}"
    with reading():
        run(f"CREATE OR REPLACE TABLE {raw} (r BIGINT, {column.sql} VARCHAR)")
        for scan, before in source.numbered:
            those = f"{ROW} + {before} IN ({rows}) AND {column.sql} IS NOT NULL AND {where}"
            run(f"INSERT INTO {raw} SELECT {ROW} + {before}, {column.sql} FROM {scan} WHERE {those}")
    forms = with_normal(source, raw, column)
    with reading():
        run(f"CREATE OR REPLACE TABLE {into} AS SELECT r, {column.sql} AS v, n FROM {forms}")
        run(f"DROP TABLE {raw}")
