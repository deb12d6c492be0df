"""Which rows break which expectations, for all rows and in bounded memory: a stretch of rows at a time.

An outcome keeps the numbers of some rows only. What the fused engine evaluated is asked for again by its predicate, in
the order of the rows; what Great Expectations evaluated has named all of its rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.errors import DataError
from airflow_mlsecops.core.validation.compilers import compile_item
from airflow_mlsecops.core.validation.evaluation import Evaluation
from airflow_mlsecops.core.validation.fused import Answers
from airflow_mlsecops.core.validation.outcome import Outcome
from airflow_mlsecops.core.validation.plans import Plan, Table
from airflow_mlsecops.core.validation.source import ROW, Source, open_source

if TYPE_CHECKING:
    import numpy

_FETCHED = 65_536


class Marks:
    """Marks rows by the expectations that they break. Stretches are asked for in order, each row once.

    Use it as a context manager::

        with Marks(path, found, broken, memory_limit="512MB") as marks:
            broken_by = marks.between(0, 1000)
    """

    def __init__(
        self,
        path: Path,
        found: Evaluation,
        broken: Sequence[Outcome],
        *,
        memory_limit: str,
    ) -> None:
        """Nothing is read yet.

        Args:
            path: the table that was evaluated.
            found: what was found in it.
            broken: the outcomes whose rows are wanted, each with unexpected rows.
            memory_limit: how much memory DuckDB may use.
        """
        self._path = path
        self._items = found.items
        self._listed = [place for place, each in enumerate(broken) if each.index in found.by_gx]
        self._asked = [place for place, each in enumerate(broken) if each.index not in found.by_gx]
        self._broken = broken
        self._memory_limit = memory_limit
        self._stack = ExitStack()
        self._rows: dict[int, Any] = {}
        self._stream: Iterator[tuple[Any, Any]] = iter(())
        self._held: tuple[Any, Any] | None = None

    def __enter__(self) -> Marks:
        import numpy as np

        for place in self._listed:
            self._rows[place] = np.unique(np.asarray(self._broken[place].rows, dtype=np.int64))
        if self._asked:
            source = self._stack.enter_context(open_source(self._path, memory_limit=self._memory_limit))
            if source is None:
                raise DataError("the rows that fail can't be told", "validate with engine='gx'")
            self._stream = self._ask(source)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def between(self, start: int, stop: int) -> numpy.ndarray[Any, Any]:
        """Booleans of shape (stop - start, outcomes): whether a row breaks an outcome's expectation.

        Args:
            start: number of the first row; the ``stop`` of the call before.
            stop: number of the row after the last one.
        """
        import numpy as np

        marked = np.zeros((stop - start, len(self._broken)), dtype=bool)
        for place, rows in self._rows.items():
            first, last = np.searchsorted(rows, (start, stop))
            marked[rows[first:last] - start, place] = True
        while True:
            if self._held is None:
                self._held = next(self._stream, None)
            if self._held is None:
                return marked
            rows, flags = self._held
            here = int(np.searchsorted(rows, stop))
            marked[np.ix_(rows[:here] - start, self._asked)] = flags[:here]
            if here < len(rows):
                self._held = (rows[here:], flags[here:])
                return marked
            self._held = None

    def _ask(self, source: Source) -> Iterator[tuple[Any, Any]]:
        """Row numbers through all parts, rising, each with one boolean per predicate."""
        import numpy as np

        plans = self._plans(source)
        for scan, before in source.numbered:
            predicates = [plan.bad or f"({before} + {ROW} IN (SELECT r FROM {plan.listed}))" for plan in plans]
            named = ", ".join(f"coalesce({sql}, false) AS m{place}" for place, sql in enumerate(predicates))
            query = f"SELECT {ROW} AS n, {named} FROM {scan} WHERE {' OR '.join(predicates)} ORDER BY n"
            for batch in _batches(source, query):
                flags = [batch.column(k + 1).to_numpy(zero_copy_only=False) for k in range(len(predicates))]
                yield before + batch.column(0).to_numpy().astype(np.int64), np.stack(flags, axis=1)

    def _plans(self, source: Source) -> list[Plan]:
        """The plans, with the scratch tables that their predicates read made anew."""
        table, plans = Table(source.relation, source.rows, source.columns), []
        for outcome in (self._broken[place] for place in self._asked):
            plan = compile_item(self._items[outcome.index], table)
            if plan is None or not (plan.bad or plan.listed):
                raise DataError(
                    f"{outcome.type} counts {outcome.unexpected} rows and can't tell which", "validate with engine='gx'"
                )
            plans.append(plan)
        ask = Answers(source)
        ask.compute([sql for plan in plans if plan.prepare for sql in plan.aggregates])
        for plan in plans:
            if plan.prepare is not None:
                plan.prepare(ask, source)
        return plans


def _batches(source: Source, query: str) -> Iterator[Any]:
    """A query's result in Arrow batches, as they are asked for.

    Raises:
        DataError: if the data are damaged, or don't fit the memory that is allowed.
    """
    import duckdb

    try:
        # DuckDB 2 renamed it.
        relation = source.connection.sql(query)
        reader = getattr(relation, "to_arrow_reader", None) or relation.fetch_arrow_reader
        yield from reader(_FETCHED)
    except duckdb.OutOfMemoryException as error:
        raise DataError(
            "the rows that fail don't fit the memory that is allowed", "raise memory_limit, or split the data set"
        ) from error
    except duckdb.Error as error:
        raise DataError(
            f"the data could not be read ({type(error).__name__})", "they are truncated or damaged; write them again"
        ) from error
