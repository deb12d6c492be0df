"""Choose an engine, run it, and say why.

``fused`` is the fast one and needs DuckDB; whatever it can't do exactly it leaves to GX on pandas, with only the
columns that GX needs. ``gx`` is the library as it is. ``auto`` takes the fused one where it can do anything.
``spark`` is GX on Spark; it is never chosen by itself, because a cluster costs. What is read from a database lies in a
Parquet file then, and ``gx`` judges it in the database itself, through ``in_database``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.controls.suite import named_columns
from airflow_mlsecops.core.errors import ConfigurationError, DataError, MissingExtraError
from airflow_mlsecops.core.findings import Severity
from airflow_mlsecops.core.profile.baseline import current, using
from airflow_mlsecops.core.profile.table_schema import Schema, schema_of
from airflow_mlsecops.core.validation.compilers import COMPILERS
from airflow_mlsecops.core.validation.evaluation import Evaluation, evaluate_expanded
from airflow_mlsecops.core.validation.memory import bytes_of, read_for_gx
from airflow_mlsecops.core.validation.outcome import Outcome
from airflow_mlsecops.core.validation.plain import is_plain
from airflow_mlsecops.core.validation.selectors import probe
from airflow_mlsecops.core.validation.source import DEFAULT_MEMORY, Source, open_source

if TYPE_CHECKING:
    from airflow_mlsecops.core.validation.gx_spark import SparkSettings

ENGINES = ("auto", "fused", "gx", "spark")


InDatabase = Callable[[Mapping[str, Any], str, bool], Evaluation]


def evaluate(
    path: Path,
    document: Mapping[str, Any],
    *,
    engine: str = "auto",
    memory_limit: str = DEFAULT_MEMORY,
    max_rows: int = 10_000,
    without_rows: Callable[[Outcome], bool] = lambda outcome: False,
    allow_empty: bool = False,
    in_database: InDatabase | None = None,
    spark: SparkSettings | None = None,
) -> Evaluation:
    """Evaluate a suite.

    Args:
        path: the table, also if it was read from a database.
        document: of a suite that ``load_suite`` read.
        engine: one of :data:`ENGINES`.
        memory_limit: how much memory DuckDB may use, and what has to be held as a whole may take.
        max_rows: how many row numbers to keep for one expectation.
        without_rows: of which outcomes nobody wants the row numbers, so that they needn't be looked for.
        allow_empty: judge a table without rows, too.
        in_database: how ``gx`` evaluates a suite where the data lie; called with document, why and ``allow_empty``.
        spark: how Spark is reached.

    Raises:
        ConfigurationError: for an unknown engine, or a limit that is none.
        MissingExtraError: if ``engine="fused"`` and DuckDB isn't installed.
        DataError: if the table can't be read whole, or is empty.
    """
    bytes_of(memory_limit)  # one that is none is told before anything is read
    chosen, why = choose(engine, document)
    if chosen == "spark":
        from airflow_mlsecops.core.validation.gx_spark import SparkSettings, evaluate_on_spark

        return evaluate_on_spark(path, document, settings=spark or SparkSettings(), why=why, allow_empty=allow_empty)
    if chosen == "gx" and in_database is not None:
        return in_database(document, why, allow_empty)
    if in_database is not None and engine == "auto":
        why = f"the rows lie in a file anyway, and {why}"
    if chosen == "fused":
        from airflow_mlsecops.core.validation.fused import run_fused

        with open_source(path, memory_limit=memory_limit, allow_empty=allow_empty) as source:
            if source is not None:
                types = {name: column.type for name, column in source.columns.items()}

                def run(expanded: Mapping[str, Any]) -> Evaluation:
                    found = run_fused(source, expanded, max_rows=max_rows, without_rows=without_rows)
                    return _with_gx(path, expanded, found, source, why, memory_limit)

                return evaluate_expanded(document, types, run)
        why = "the fused engine can't read these files exactly: their parts differ, or names stand twice"
    table = read_for_gx(path, memory_limit=memory_limit, allow_empty=allow_empty)
    check_names([str(name) for name in table.column_names])
    schema, frame = schema_of(table.schema), table.to_pandas(ignore_metadata=True)
    del table
    return evaluate_expanded(document, dict(schema), lambda expanded: _gx(frame, schema, expanded, why))


def _gx(frame: Any, schema: Schema, document: Mapping[str, Any], why: str) -> Evaluation:
    from airflow_mlsecops.core.controls.gx_pandas import run_suite

    everything = tuple(range(len(document["expectations"])))
    with using(current().baseline, schema):
        outcomes = tuple(run_suite(frame, document))
    return Evaluation(outcomes, len(frame), tuple(map(str, frame.columns)), "gx", why, everything)


def check_rows(rows: int, allow_empty: bool) -> None:
    """Refuse a table without rows.

    Raises:
        DataError: if there are none, and nobody allowed that.
    """
    if rows == 0 and not allow_empty:
        raise DataError(
            "the table holds no rows", "nothing can be said about an empty data set; look at the task that wrote it"
        )


def check_names(names: list[str]) -> None:
    """GX takes ``A`` for ``a`` where both stand (seen with 1.24.1), and would judge one by the other's values."""
    folded = Counter(name.casefold() for name in names)
    twice = [name for name in names if folded[name.casefold()] > 1]
    if twice:
        raise DataError(
            f"columns {', '.join(map(repr, twice[:20]))} differ in upper and lower case only",
            "rename them: Great Expectations and SQL engines take one for the other",
        )


def choose(engine: str, document: Mapping[str, Any]) -> tuple[str, str]:
    """The engine and why it is chosen.

    Raises:
        ConfigurationError: for an unknown one.
        MissingExtraError: if ``fused`` is asked for and DuckDB isn't installed.
    """
    if engine not in ENGINES:
        raise ConfigurationError(f"unknown engine {str(engine)[:50]!r}", f"known: {', '.join(ENGINES)}")
    if engine in ("gx", "spark"):
        return engine, "asked for"
    installed = find_spec("duckdb") is not None
    if engine == "fused":
        if not installed:
            raise MissingExtraError(
                "the fused engine needs DuckDB", "install airflow-mlsecops[duckdb], or use engine='gx'"
            )
        return "fused", "asked for"
    if not installed:
        return "gx", "DuckDB isn't installed; airflow-mlsecops[duckdb] brings the fused engine"
    able = sum(item["type"] in COMPILERS and is_plain(probe(item)) for item in document["expectations"])
    if not able:
        return "gx", "no expectation of the suite can be computed exactly in SQL"
    return "fused", f"{able} of {len(document['expectations'])} expectations can be computed in one scan"


def _with_gx(
    path: Path, document: Mapping[str, Any], fused: Mapping[int, Outcome], source: Source, why: str, memory_limit: str
) -> Evaluation:
    """What the fused engine found, and what it left to GX."""
    items, outcomes = document["expectations"], dict(fused)
    for index, item in enumerate(items):
        absent = sorted({name for name in named_columns(item) if name not in source.columns})
        if absent and index not in outcomes and is_plain(item):
            outcomes[index] = _missing(index, item, absent, source)
    left = tuple(index for index in range(len(items)) if index not in outcomes)
    if left:
        outcomes |= _by_gx(path, document, left, source, memory_limit)
    ordered = tuple(outcomes[index] for index in range(len(items)))
    return Evaluation(ordered, source.rows, tuple(source.columns), "fused", why, left)


def _missing(index: int, item: Mapping[str, Any], absent: list[str], source: Source) -> Outcome:
    """A plain expectation of a column that isn't there needs no GX to say so."""
    severity = Severity(item["severity"])
    trouble = missing_columns(absent, list(source.columns))
    columns = tuple(named_columns(item))
    return Outcome(index, item["type"], columns, severity, held=False, trouble=trouble, missing_column=True)


def missing_columns(absent: list[str], found: list[str]) -> str:
    """What to say when columns aren't there."""
    named = [repr(name) for name in found[:20]] + (["…"] if len(found) > 20 else [])
    return f"the data has no column {', '.join(map(repr, absent))}; it has {', '.join(named)}"


def _by_gx(
    path: Path, document: Mapping[str, Any], left: tuple[int, ...], source: Source, memory_limit: str
) -> dict[int, Outcome]:
    """Let GX evaluate some of a suite. It gets all columns only if one of them may look at any column."""
    from airflow_mlsecops.core.controls.gx_pandas import run_suite

    items = [document["expectations"][index] for index in left]
    about_columns = all(item["type"].startswith("expect_column") and named_columns(item) for item in items)
    narrow = about_columns and not any("row_condition" in item["kwargs"] for item in items)
    needed = {name for item in items for name in named_columns(item)}
    present = [name for name in source.columns if name in needed]
    narrow = narrow and len(present) == len(needed) and not any(i["type"] == "expect_column_to_exist" for i in items)
    columns = present if narrow else None
    table = read_for_gx(path, memory_limit=memory_limit, columns=columns, allow_empty=source.rows == 0)
    frame = table.to_pandas(ignore_metadata=True)
    part = {**document, "expectations": items}
    return {left[each.index]: replace(each, index=left[each.index]) for each in run_suite(frame, part)}
