"""A flood of copies: texts that are equal, or nearly so, once case, punctuation, width and the invisible are gone.

Equal ones are counted over all rows. Nearly equal ones are looked for in a sample of rows; see
:mod:`airflow_mlsecops.core.validation.security.sample`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.validation.plans import Answer, Ask, Plan, Table
from airflow_mlsecops.core.validation.reading import reading
from airflow_mlsecops.core.validation.security.frames import normal_forms
from airflow_mlsecops.core.validation.security.hashes import hash_rows, read_rows
from airflow_mlsecops.core.validation.security.near import largest_near_group
from airflow_mlsecops.core.validation.security.normal import normal
from airflow_mlsecops.core.validation.security.sample import chosen_sql, is_chosen, threshold
from airflow_mlsecops.core.validation.security.values import arguments_of, rows_of_table, scratch_name, with_defaults
from airflow_mlsecops.core.validation.source import ROW, Source

if TYPE_CHECKING:
    import pandas

DEFAULTS = {"max_share": 0.5, "max_group": 0.01, "min_group": 10, "similarity": 0.7, "sample_rows": 100_000}
"""Share of rows that repeat another one; share of the rows in one group; groups smaller than this never count."""

_PORTION = 2_000_000
"""How many hashes are counted at a time."""


def judge_duplicates(frame: pandas.DataFrame, kwargs: Mapping[str, Any]) -> Answer:
    """Decide about a frame."""
    chosen = with_defaults(kwargs, DEFAULTS)
    forms = normal_forms(frame, kwargs["column"])
    sizes = forms.value_counts()
    limit = _limit(chosen, len(forms))
    flooded = set(sizes.index[sizes > limit])
    rows = tuple(forms.index[forms.isin(flooded)].tolist())
    cut = threshold(len(frame), chosen["sample_rows"])
    sample = [form for row, form in zip(forms.index.tolist(), forms, strict=True) if is_chosen(row, cut)]
    largest = int(sizes.max()) if len(sizes) else 0
    return _decide(chosen, len(frame), len(forms), len(sizes), largest, len(rows), sample, rows)


def plan_duplicates(kwargs: Mapping[str, Any], table: Table) -> Plan | None:
    """The plan."""
    column = table.columns[kwargs["column"]]
    if column.kind != "text":
        return None
    chosen = with_defaults(kwargs, DEFAULTS)
    groups, bad_values = (
        scratch_name(each, "duplicates", column.name, arguments_of(kwargs)) for each in ("groups", "bad")
    )
    present = column.count
    bad = f"({column.sql} IN (SELECT v FROM {bad_values}))"
    sample: list[str] = []

    def prepare(ask: Ask, source: Source) -> None:
        limit, run = _limit(chosen, ask(present)), source.connection.execute
        hashes = hash_rows(source, table, column)
        with reading():
            _count_hashes(source, hashes, groups, limit, table.rows)
        many = f"SELECT r FROM {hashes} WHERE h IN (SELECT h FROM {groups} WHERE h IS NOT NULL)"
        read_rows(source, column, many, f"maybe_{bad_values}")
        with reading():
            exact = f"SELECT n FROM maybe_{bad_values} GROUP BY n HAVING count(*) > {limit}"
            run(f"CREATE OR REPLACE TABLE {bad_values} AS SELECT r, v FROM maybe_{bad_values} WHERE n IN ({exact})")
            run(f"DROP TABLE maybe_{bad_values}")
        sample.extend(_sample(source, column.sql, threshold(table.rows, chosen["sample_rows"])))

    def decide(ask: Ask) -> Answer:
        distinct, largest = (
            ask(f"SELECT {each} FROM {groups}") for each in ("coalesce(sum(times), 0)", "coalesce(max(c), 0)")
        )
        flooded, rows = rows_of_table(ask, bad_values)
        return _decide(chosen, table.rows, ask(present), int(distinct), largest, flooded, sample, rows)

    return Plan(decide, (present,), (), bad, prepare)


def _count_hashes(source: Source, hashes: str, groups: str, limit: int, rows: int) -> None:
    """Make the table of how many groups there are of which size, with the hashes of those above the limit.

    Hashes are counted, for they are small; what decides, the rows of large groups, is compared itself afterwards. They
    are counted in portions, because DuckDB can't spill all of what it counts.
    """
    run = source.connection.execute
    run(f"CREATE OR REPLACE TABLE {groups} (h UBIGINT, c BIGINT, times BIGINT)")
    portions = rows // _PORTION + 1
    for portion in range(portions):
        sizes = f"SELECT h, count(*) AS c FROM {hashes} WHERE h % {portions} = {portion} GROUP BY h"
        few = f"SELECT CASE WHEN c > {limit} THEN h END AS h, c, count(*) FROM ({sizes}) GROUP BY ALL"
        run(f"INSERT INTO {groups} {few}")


def _limit(chosen: Mapping[str, Any], seen: int) -> int:
    """Groups of more rows than this are a flood."""
    return max(int(chosen["max_group"] * seen), int(chosen["min_group"]) - 1)


def _sample(source: Source, text: str, cut: int) -> list[str]:
    found: list[str] = []
    for scan, before in source.numbered:
        inside = f"{text} IS NOT NULL AND {chosen_sql(f'{ROW} + {before}', cut)}"
        with reading():
            rows = source.connection.execute(f"SELECT {text} FROM {scan} WHERE {inside} ORDER BY {ROW}").fetchall()
        found += [normal(row[0]) for row in rows]
    return found


def _decide(
    chosen: Mapping[str, Any],
    elements: int,
    seen: int,
    distinct: int,
    largest: int,
    flooded: int,
    sample: list[str],
    rows: tuple[int, ...],
) -> Answer:
    near = largest_near_group(sample, chosen["similarity"])
    share = (seen - distinct) / seen if seen else 0.0
    observed = {
        "largest_group": largest,
        "repeated_share": round(share, 6),
        "largest_near_group_in_sample": near,
        "sample": len(sample),
    }
    held = not flooded and share <= chosen["max_share"] and near <= _limit(chosen, len(sample))
    return Answer(held, seen, flooded, observed, elements, rows=rows)
