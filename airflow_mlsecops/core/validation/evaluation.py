"""What an engine found in a table; and a suite made ready for one: selectors expanded, the clock stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from airflow_mlsecops.core.findings import Severity
from airflow_mlsecops.core.validation.outcome import Outcome
from airflow_mlsecops.core.validation.security.timestamps import with_clock
from airflow_mlsecops.core.validation.selectors import expand


@dataclass(frozen=True)
class Evaluation:
    """What an engine found.

    Attributes:
        outcomes: one for each expectation, in the suite's order.
        rows: how many rows the table has.
        columns: its columns' names, in order.
        engine: ``fused``, ``gx`` (on pandas), ``gx-sql`` or ``gx-spark``.
        why: why that one.
        by_gx: indices of the expectations that GX evaluated.
        items: the expectations as they were evaluated.
        selected: what the selectors of columns chose.
    """

    outcomes: tuple[Outcome, ...]
    rows: int
    columns: tuple[str, ...]
    engine: str
    why: str
    by_gx: tuple[int, ...]
    items: tuple[Mapping[str, Any], ...] = ()
    selected: tuple[Mapping[str, Any], ...] = ()


def evaluate_expanded(
    document: Mapping[str, Any], types: Mapping[str, str], run: Callable[[Mapping[str, Any]], Evaluation]
) -> Evaluation:
    """Expand the suite's selectors of columns, and let an engine evaluate what has one.

    Args:
        document: of a suite that ``load_suite`` read.
        types: column -> the name of its type.
        run: the engine; it is given the document with the expanded expectations.

    Raises:
        DataError: if no expectation found a column; and whatever the engine raises.
    """
    made = expand(document, types)
    items = [with_clock(item) for item in made.items]
    runnable = [index for index in range(len(items)) if index not in made.trouble]
    found = run({**document, "expectations": [items[index] for index in runnable]})
    outcomes = {runnable[each.index]: replace(each, index=runnable[each.index]) for each in found.outcomes}
    for index, (why, nothing) in made.trouble.items():
        severity = Severity(items[index]["severity"])
        outcomes[index] = Outcome(
            index, items[index]["type"], (), severity, held=False, trouble=why, missing_column=nothing
        )
    return replace(
        found,
        outcomes=tuple(outcomes[index] for index in range(len(items))),
        by_gx=tuple(runnable[index] for index in found.by_gx),
        items=tuple(items),
        selected=tuple(made.selected),
    )
