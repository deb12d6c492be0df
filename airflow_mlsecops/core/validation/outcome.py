"""What became of one expectation, whichever engine evaluated it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_mlsecops.core.canonical import jsonable
from airflow_mlsecops.core.findings import Severity
from airflow_mlsecops.core.profile.compare import Compared


@dataclass(frozen=True)
class Outcome:
    """What became of one expectation. No attribute but ``compared`` holds a cell's value.

    Attributes:
        index: its place in the suite.
        type: its type.
        columns: the columns it looks at.
        severity: what its author gave it.
        held: whether it is a success by GX's own rules, which call it one when nothing was seen.
        trouble: why it couldn't be evaluated: a missing column, an exception; else empty.
        saw: how many values or rows it rests on; ``None`` for what looks at the table as a whole.
        unexpected: how many of them break it; ``None`` for what has one observed value.
        observed: the observed value if it is a count, a share, a type or column names; else ``None``.
        rows: 0-based numbers of the rows that break it, in order; the first ones when there are very many.
        elements: how many rows were looked at, with nulls; ``None`` where GX counts none.
        conditional: whether it has a row condition.
        missing_column: whether the trouble is a column that isn't there.
        compared: what a comparison with a baseline found. Its drawing may quote values of the baseline.
    """

    index: int
    type: str
    columns: tuple[str, ...]
    severity: Severity
    held: bool
    trouble: str = ""
    saw: int | None = None
    unexpected: int | None = None
    observed: Any = None
    rows: tuple[int, ...] = ()
    elements: int | None = None
    conditional: bool = False
    missing_column: bool = False
    compared: Compared | None = None

    def __bool__(self) -> bool:
        return self.held and not self.trouble and self.saw != 0


def gx_result(outcome: Outcome, item: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome in the shape of GX's ``ExpectationValidationResult.to_json_dict()``, without cell values.

    Source: great_expectations 1.24, ``expectation._format_map_output`` (the shares are percentages there).
    """
    result: dict[str, Any] = {}
    if outcome.elements is not None and outcome.saw is not None and outcome.unexpected is not None:
        missing = outcome.elements - outcome.saw
        result = {
            "element_count": outcome.elements,
            "unexpected_count": outcome.unexpected,
            "unexpected_percent": _percent(outcome.unexpected, outcome.saw),
            "missing_count": missing,
            "missing_percent": _percent(missing, outcome.elements),
            "unexpected_percent_total": _percent(outcome.unexpected, outcome.elements),
            "unexpected_percent_nonmissing": _percent(outcome.unexpected, outcome.saw),
        }
    if outcome.observed is not None:
        result |= {"observed_value": jsonable(outcome.observed)}
    raised = bool(outcome.trouble)
    return {
        "success": outcome.held and not raised,
        "expectation_config": {key: item[key] for key in ("type", "kwargs", "severity")} | {"meta": {}},
        "result": result,
        "meta": {},
        "exception_info": {
            "raised_exception": raised,
            "exception_message": outcome.trouble or None,
            "exception_traceback": None,
        },
    }


def _percent(part: int, whole: int) -> float | None:
    return part / whole * 100 if whole else None
