"""Choose an engine, run it, and say why.

``fused`` is the fast one and needs DuckDB; whatever it can't do exactly it leaves to GX on pandas, with only the
columns that GX needs. ``gx`` is the library as it is. ``auto`` takes the fused one where it can do anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.controls.suite import named_columns
from airflow_mlsecops.core.controls.tables import read_arrow_table, read_table
from airflow_mlsecops.core.errors import ConfigurationError, DataError, MissingExtraError
from airflow_mlsecops.core.findings import Severity
from airflow_mlsecops.core.validation.compilers import COMPILERS
from airflow_mlsecops.core.validation.outcome import Outcome
from airflow_mlsecops.core.validation.plain import is_plain
from airflow_mlsecops.core.validation.selectors import expand, probe
from airflow_mlsecops.core.validation.source import DEFAULT_MEMORY, Source, open_source

ENGINES = ("auto", "fused", "gx")


@dataclass(frozen=True)
class Evaluation:
    """What an engine found.

    Attributes:
        outcomes: one for each expectation, in the suite's order.
        rows: how many rows the table has.
        columns: its columns' names, in order.
        engine: ``fused`` or ``gx``.
        why: why that one.
        by_gx: indices of the expectations that GX evaluated.
        items: the expectations, with all selectors of columns expanded.
        selected: what the selectors chose.
    """

    outcomes: tuple[Outcome, ...]
    rows: int
    columns: tuple[str, ...]
    engine: str
    why: str
    by_gx: tuple[int, ...]
    items: tuple[Mapping[str, Any], ...] = ()
    selected: tuple[Mapping[str, Any], ...] = ()


def evaluate(
    path: Path,
    document: Mapping[str, Any],
    *,
    engine: str = "auto",
    memory_limit: str = DEFAULT_MEMORY,
    max_rows: int = 10_000,
    allow_empty: bool = False,
) -> Evaluation:
    """Evaluate a suite.

    Raises:
        ConfigurationError: for an unknown engine.
        MissingExtraError: if ``engine="fused"`` and DuckDB isn't installed.
        DataError: if the table can't be read whole, or is empty.
    """
    chosen, why = choose(engine, document)
    if chosen == "fused":
        with open_source(path, memory_limit=memory_limit, allow_empty=allow_empty) as source:
            if source is not None:
                types = {name: column.type for name, column in source.columns.items()}

                def run(expanded: Mapping[str, Any]) -> Evaluation:
                    return _fused(path, expanded, source, why, max_rows)

                return _expanded(document, types, run)
        why = "the fused engine can't read these files exactly: their parts differ, or names stand twice"
    table = read_arrow_table(path, allow_empty=allow_empty)
    types = {field.name: str(field.type) for field in table.schema}
    frame = table.to_pandas(ignore_metadata=True)
    del table
    _check_names(list(types))
    return _expanded(document, types, lambda expanded: _gx(frame, expanded, why))


def _gx(frame: Any, document: Mapping[str, Any], why: str) -> Evaluation:
    from airflow_mlsecops.core.controls.gx_pandas import run_suite

    everything = tuple(range(len(document["expectations"])))
    outcomes = tuple(run_suite(frame, document))
    return Evaluation(outcomes, len(frame), tuple(map(str, frame.columns)), "gx", why, everything)


def _expanded(
    document: Mapping[str, Any], types: Mapping[str, str], run: Callable[[Mapping[str, Any]], Evaluation]
) -> Evaluation:
    """Expand the suite's selectors of columns, and let the engine evaluate what has one."""
    made = expand(document, types)
    runnable = [index for index in range(len(made.items)) if index not in made.trouble]
    found = run({**document, "expectations": [made.items[index] for index in runnable]})
    outcomes = {runnable[each.index]: replace(each, index=runnable[each.index]) for each in found.outcomes}
    for index, (why, nothing) in made.trouble.items():
        item = made.items[index]
        severity = Severity(item["severity"])
        outcomes[index] = Outcome(index, item["type"], (), severity, held=False, trouble=why, missing_column=nothing)
    return replace(
        found,
        outcomes=tuple(outcomes[index] for index in range(len(made.items))),
        by_gx=tuple(runnable[index] for index in found.by_gx),
        items=tuple(made.items),
        selected=tuple(made.selected),
    )


def _check_names(names: list[str]) -> None:
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
    if engine == "gx":
        return "gx", "asked for"
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


def _fused(path: Path, document: Mapping[str, Any], source: Source, why: str, max_rows: int) -> Evaluation:
    from airflow_mlsecops.core.validation.fused import run_fused

    items = document["expectations"]
    outcomes = run_fused(source, document, max_rows=max_rows)
    for index, item in enumerate(items):
        absent = sorted({name for name in named_columns(item) if name not in source.columns})
        if absent and index not in outcomes and is_plain(item):
            outcomes[index] = _missing(index, item, absent, source)
    left = tuple(index for index in range(len(items)) if index not in outcomes)
    if left:
        outcomes |= _by_gx(path, document, left, source)
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


def _by_gx(path: Path, document: Mapping[str, Any], left: tuple[int, ...], source: Source) -> dict[int, Outcome]:
    """Let GX evaluate some of a suite. It gets all columns only if one of them may look at any column."""
    from airflow_mlsecops.core.controls.gx_pandas import run_suite

    items = [document["expectations"][index] for index in left]
    about_columns = all(item["type"].startswith("expect_column") and named_columns(item) for item in items)
    narrow = about_columns and not any("row_condition" in item["kwargs"] for item in items)
    needed = {name for item in items for name in named_columns(item)}
    present = [name for name in source.columns if name in needed]
    narrow = narrow and len(present) == len(needed) and not any(i["type"] == "expect_column_to_exist" for i in items)
    frame = read_table(path, columns=present if narrow else None, allow_empty=source.rows == 0)
    part = {**document, "expectations": items}
    return {left[each.index]: replace(each, index=left[each.index]) for each in run_suite(frame, part)}
