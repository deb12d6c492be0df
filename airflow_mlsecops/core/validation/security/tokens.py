"""A word, or a value, that gives the label away: the mark of a planted trigger.

A token is accused when it stands in at least ``min_count`` rows of the sample, at least ``min_share`` of them have one
label, and the one-sided z-test of that share against the label's share of all rows is significant after Bonferroni's
correction for the number of tests. Source of the statistic: Gardner et al., Competency Problems: On Finding and
Removing Artifacts in Language Data (EMNLP 2021), section 3; as a defence against backdoors: He et al., Mitigating
Backdoor Poisoning Attacks through the Lens of Spurious Correlation (EMNLP 2023).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.validation.plans import Answer, Ask, Plan, Table
from airflow_mlsecops.core.validation.reading import reading
from airflow_mlsecops.core.validation.security.frames import as_keys, normal_forms
from airflow_mlsecops.core.validation.security.normal_sql import with_normal
from airflow_mlsecops.core.validation.security.sample import chosen_sql, is_chosen, threshold
from airflow_mlsecops.core.validation.security.values import arguments_of, scratch_name, with_defaults
from airflow_mlsecops.core.validation.source import ROW, Column, Source, count_where, literal

if TYPE_CHECKING:
    import pandas

DEFAULTS = {"unit": "word", "min_count": 20, "min_share": 0.95, "alpha": 0.01, "sample_rows": 500_000}
UNITS = ("word", "value")
_KEYS = ("text", "int", "bool")
_FEW = 50
"""With up to so many accused words only the rows that may hold one are taken apart."""


def judge_tokens(frame: pandas.DataFrame, kwargs: Mapping[str, Any]) -> Answer:
    """Decide about a frame."""
    chosen = with_defaults(kwargs, DEFAULTS)
    column, label = kwargs["column"], kwargs["label_column"]
    values = normal_forms(frame, column) if chosen["unit"] == "word" else as_keys(frame, column)
    labels = as_keys(frame, label)
    rows = values.index[values.index.isin(labels.index)]
    whole = chosen["unit"] == "value"
    tokens = {row: {value} if whole else set(value.split(" ")) - {""} for row, value in values.loc[rows].items()}
    cut = threshold(len(frame), chosen["sample_rows"])
    counts: Counter[tuple[str, str]] = Counter()
    sizes: Counter[str] = Counter()
    for row in rows:
        if is_chosen(int(row), cut):
            sizes[labels[row]] += 1
            counts.update((token, labels[row]) for token in tokens[row])
    accused, best = accuse(((token, of, count) for (token, of), count in counts.items()), sizes, chosen)
    bad = tuple(int(row) for row in rows if any((token, labels[row]) in accused for token in tokens[row]))
    return _answer(accused, best, len(frame), len(rows), len(bad), sum(sizes.values()), bad)


def plan_tokens(kwargs: Mapping[str, Any], table: Table) -> Plan | None:
    """The plan."""
    chosen = with_defaults(kwargs, DEFAULTS)
    column, label = table.columns[kwargs["column"]], table.columns[kwargs["label_column"]]
    whole = chosen["unit"] == "value"
    if column.kind not in (_KEYS if whole else ("text",)) or label.kind not in _KEYS or column.name == label.name:
        return None
    bad_values = scratch_name("bad", "tokens", column.name, arguments_of(kwargs))
    key = f"CAST({label.sql} AS VARCHAR)"
    bad = f"(({column.sql}, {key}) IN (SELECT (v, l) FROM {bad_values}))"
    seen = count_where(f"{column.present} AND {label.present}")
    found: dict[str, Any] = {}

    def prepare(ask: Ask, source: Source) -> None:
        sizes, counts = _count(source, table, column, label, chosen)
        accused, best = accuse(counts, sizes, chosen)
        found.update(accused=accused, best=best, sample=sum(sizes.values()))
        _keep(source, table, column, key, bad_values, accused, whole)

    def decide(ask: Ask) -> Answer:
        unexpected = ask(f"SELECT count(*) FROM {table.relation} WHERE {bad}") if found["accused"] else 0
        return _answer(found["accused"], found["best"], table.rows, ask(seen), unexpected, found["sample"], ())

    return Plan(decide, (seen,), (), bad, prepare)


def accuse(
    counts: Iterable[tuple[str, str, int]], sizes: Mapping[str, int], chosen: Mapping[str, Any]
) -> tuple[set[tuple[str, str]], float]:
    """The (token, label) pairs that give the label away, and the highest z of all.

    Args:
        counts: token, label, and how many rows of that label hold the token.
        sizes: how many rows each label has.
        chosen: the options.
    """
    pairs = {(token, label): count for token, label, count in counts}
    rows: Counter[str] = Counter()
    for (token, _), count in pairs.items():
        rows[token] += count
    tests = [(pair, count, rows[pair[0]]) for pair, count in pairs.items() if rows[pair[0]] >= chosen["min_count"]]
    total, accused, best = sum(sizes.values()), set(), 0.0
    for (token, label), count, of in tests:
        base = sizes[label] / total
        if base == 1:
            continue  # with one label nothing can be told
        z = (count - of * base) / math.sqrt(of * base * (1 - base))
        best = max(best, z)
        p = math.erfc(z / math.sqrt(2)) / 2
        if count / of >= chosen["min_share"] and p * len(tests) <= chosen["alpha"]:
            accused.add((token, label))
    return accused, best


def _count(
    source: Source, table: Table, column: Column, label: Column, chosen: Mapping[str, Any]
) -> tuple[dict[str, int], list[tuple[str, str, int]]]:
    """Rows of each label in the sample, and of each token with it."""
    run = source.connection.execute
    cut = threshold(table.rows, chosen["sample_rows"])
    sample = scratch_name("sample", column.name, label.name, cut)
    with reading():
        run(f"CREATE TABLE IF NOT EXISTS {sample} ({column.sql} VARCHAR, label VARCHAR)")
        run(f"DELETE FROM {sample}")
        for scan, before in source.numbered:
            both = f"{column.present} AND {label.present} AND {chosen_sql(f'{ROW} + {before}', cut)}"
            kept = f"SELECT CAST({column.sql} AS VARCHAR), CAST({label.sql} AS VARCHAR) FROM {scan} WHERE {both}"
            run(f"INSERT INTO {sample} {kept}")
        sizes = dict(run(f"SELECT label, count(*) FROM {sample} GROUP BY label").fetchall())
        if chosen["unit"] == "value":
            tokens = f"SELECT {column.sql} AS t, label FROM {sample}"
        else:
            normalised = with_normal(source, sample, column)
            tokens = f"SELECT unnest(list_distinct(string_split(n, ' '))) AS t, label FROM {normalised} WHERE n <> ''"
        floor = int(chosen["min_count"])
        grouped = f"SELECT t, label, count(*) AS c FROM ({tokens}) GROUP BY t, label"
        often = f"SELECT * FROM (SELECT *, sum(c) OVER (PARTITION BY t) AS s FROM ({grouped})) WHERE s >= {floor}"
        counts = run(f"SELECT t, label, c FROM ({often})").fetchall()
        run(f"DROP TABLE {sample}")
    return sizes, counts


def _keep(
    source: Source, table: Table, column: Column, key: str, bad: str, accused: set[tuple[str, str]], whole: bool
) -> None:
    """Make the table of the values and labels of the rows that hold an accused token, over the whole table."""
    import pyarrow as pa

    run = source.connection.execute
    with reading():
        if not accused:
            run(f"CREATE OR REPLACE TABLE {bad} (v VARCHAR, l VARCHAR)")
            return
        pairs = list(zip(*sorted(accused), strict=True))
        # Registered, for a label may hold what no SQL literal can.
        source.connection.register(f"accused_{bad}", pa.table({"t": list(pairs[0]), "l": list(pairs[1])}))
        if whole:
            rows = f"SELECT {column.sql} AS v, {key} AS l, CAST({column.sql} AS VARCHAR) AS t FROM {table.relation}"
        else:
            # In ASCII a word of the normal form stands in the text as it is, but for its case.
            words = {token for token, _ in accused}
            there = " OR ".join(f"contains(lower({column.sql}), {literal(word)})" for word in sorted(words))
            maybe = f"strlen({column.sql}) <> length({column.sql}) OR {there}" if len(words) <= _FEW else "true"
            kept = (
                f"SELECT DISTINCT {column.sql}, {key} AS l FROM {table.relation} WHERE {column.present} AND ({maybe})"
            )
            run(f"CREATE OR REPLACE TABLE maybe_{bad} AS {kept}")
            normalised = with_normal(source, f"maybe_{bad}", column)
            rows = f"SELECT {column.sql} AS v, l, unnest(string_split(n, ' ')) AS t FROM {normalised}"
        held = f"(t, l) IN (SELECT (t, l) FROM accused_{bad})"
        run(f"CREATE OR REPLACE TABLE {bad} AS SELECT DISTINCT v, l FROM ({rows}) WHERE {held}")


def _answer(
    accused: set[tuple[str, str]], best: float, elements: int, seen: int, bad: int, sample: int, rows: tuple[int, ...]
) -> Answer:
    observed = {"accused_tokens": len({token for token, _ in accused}), "highest_z": round(best, 3), "sample": sample}
    return Answer(not accused, seen, bad, observed, elements, rows=rows)
