"""The fused engine: one DuckDB scan computes what all expectations of a suite need, and GX isn't imported.

Procedure:

1. Compile each expectation to a plan; one that isn't exact in SQL is left to GX.
2. Compute the aggregates of all plans in one scan of the columns they name.
3. Drop the plans whose guards came out false: for these data they wouldn't be exact.
4. Decide; uniqueness asks its own query of one column then, and security checks look at candidates in Python.
5. Number the rows that break expectations, in one more scan for all, in the order of the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from airflow_mlsecops.core.controls.suite import named_columns
from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.findings import Severity
from airflow_mlsecops.core.validation.compilers import compile_item
from airflow_mlsecops.core.validation.outcome import Outcome
from airflow_mlsecops.core.validation.plans import Plan, Table
from airflow_mlsecops.core.validation.reading import reading
from airflow_mlsecops.core.validation.source import ROW, Source


def run_fused(
    source: Source,
    document: Mapping[str, Any],
    *,
    max_rows: int,
    without_rows: Callable[[Outcome], bool] = lambda outcome: False,
) -> dict[int, Outcome]:
    """The outcomes that equal GX's, by index; what isn't among them has to be evaluated by GX.

    Args:
        source: the table.
        document: of a suite that ``load_suite`` read.
        max_rows: how many row numbers to keep for one expectation.
        without_rows: of which outcomes nobody wants the row numbers.

    Raises:
        DataError: if the data turn out to be damaged while they are read, or don't fit the memory that is allowed.
    """
    table = Table(source.relation, source.rows, source.columns)
    # 1.
    outcomes: dict[int, Outcome] = {}
    plans: dict[int, Plan] = {}
    for index, item in enumerate(document["expectations"]):
        absent = [name for name in named_columns(item) if name not in source.columns]
        if absent and item["type"] != "expect_column_to_exist":
            continue
        plan = compile_item(item, table)
        if plan is not None:
            plans[index] = plan
    ask = Answers(source)
    # 2.
    ask.compute([sql for plan in plans.values() for sql in (*plan.aggregates, *plan.guards)])
    for index, plan in plans.items():
        # 3.
        if not all(ask(guard) is True for guard in plan.guards):
            continue
        # 4.
        if plan.prepare is not None:
            plan.prepare(ask, source)
        answer = plan.decide(ask)
        if answer is None:
            continue
        item = document["expectations"][index]
        outcome = Outcome(index, item["type"], tuple(named_columns(item)), Severity(item["severity"]), **vars(answer))
        outcomes[index] = replace(outcome, rows=outcome.rows[:max_rows])
    # 5.
    broken = {
        index: (plans[index].bad, min(max_rows, outcome.unexpected))
        for index, outcome in outcomes.items()
        if outcome.unexpected and plans[index].bad and not outcome.rows and not without_rows(outcome)
    }
    for index, rows in row_numbers(source, broken).items():
        outcomes[index] = replace(outcomes[index], rows=rows)
    return outcomes


def row_numbers(source: Source, broken: Mapping[int, tuple[str, int]]) -> dict[int, tuple[int, ...]]:
    """The 0-based numbers of the first rows for which predicates hold, counted through all parts, in one scan for all.

    Args:
        source: the table.
        broken: by any key a predicate, and how many rows of it to number.
    """
    found: dict[int, list[int]] = {key: [] for key in broken}
    for scan, before in source.numbered:
        wanted = {key: limit - len(found[key]) for key, (_, limit) in broken.items() if limit > len(found[key])}
        if not wanted:
            break
        firsts = [f"min({ROW}, {limit}) FILTER (WHERE {broken[key][0]})" for key, limit in wanted.items()]
        (row,) = rows_of(source, f"SELECT {', '.join(firsts)} FROM {scan}")
        for key, numbers in zip(wanted, row, strict=True):
            found[key] += [before + int(number) for number in numbers or ()]
    return {key: tuple(numbers) for key, numbers in found.items()}


def rows_of(source: Source, query: str) -> list[tuple[Any, ...]]:
    """Run a query.

    Raises:
        DataError: if the data are damaged, or don't fit the memory that is allowed. Its message quotes no cell.
    """
    with reading():
        rows: list[tuple[Any, ...]] = source.connection.execute(query).fetchall()
    return rows


class Answers:
    """Values by their SQL: the shared scan's aggregates, and queries that are run when they are asked for."""

    def __init__(self, source: Source) -> None:
        """Nothing is asked yet."""
        self._source = source
        self._known: dict[str, Any] = {"count(*)": source.rows}

    def __call__(self, sql: str) -> Any:
        """The value of an aggregate that was computed, or of a query."""
        if sql not in self._known:
            self._known[sql] = rows_of(self._source, sql)[0][0]
        return self._known[sql]

    def compute(self, aggregates: list[str]) -> None:
        """Compute each of them once, all in one scan; the rows are counted also if nothing else is asked.

        Raises:
            DataError: if there are other rows than the footers say.
        """
        wanted = list(dict.fromkeys(sql for sql in aggregates if sql not in self._known))
        (row,) = rows_of(self._source, f"SELECT {', '.join(['count(*)', *wanted])} FROM {self._source.relation}")
        if row[0] != self._source.rows:
            raise DataError(
                f"the data hold {row[0]} rows, and their footers say {self._source.rows}", "write them again"
            )
        self._known.update(zip(wanted, row[1:], strict=True))
