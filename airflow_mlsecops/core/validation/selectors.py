"""``columns`` instead of ``column``: one expectation for all columns of a kind, or whose names match.

A suite that ships can't know the names of columns. So its expectations say ``"columns": "text"``, or
``"columns": {"kind": "text", "matching": "^comment", "except": ["id"], "optional": true}``, which is expanded against
the table's schema when the suite is evaluated, and recorded. What matches nothing is not evaluated, which is a FAIL,
unless the selector itself says ``optional``. A column that can hold text and can't be read as text (binary, lists,
structs) is named as not evaluated too, until it is excepted by name: nothing hides in a column of another type.

>>> columns_of({"kind": "text", "except": ["b"]}, {"a": "string", "b": "string", "n": "int64"})
['a']
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_mlsecops.core.errors import DataError, SuiteError

KINDS = ("number", "text", "time")
_KEYS = {"kind", "matching", "except", "optional"}
_TEXT = re.compile(r"(large_)?string(_view)?|dictionary<values=(large_)?string(_view)?,.*")
_HOLDS_TEXT = re.compile(r"string|binary")
_NUMBER = re.compile(r"u?int(8|16|32|64)|halffloat|float|double|decimal.*")
_TIME = re.compile(r"timestamp\[.*|date(32|64)\[.*|date(32|64)")
_MAX_NAMED = 200


@dataclass(frozen=True)
class Expanded:
    """A suite's expectations, each of one column.

    Attributes:
        items: the expectations; those with trouble still have their selector.
        trouble: index -> why it can't be evaluated, and whether that is because nothing matches.
        selected: what each selector chose, for the record.
    """

    items: list[Mapping[str, Any]] = field(default_factory=list)
    trouble: dict[int, tuple[str, bool]] = field(default_factory=dict)
    selected: list[dict[str, Any]] = field(default_factory=list)


def probe(item: Mapping[str, Any]) -> Mapping[str, Any]:
    """The expectation as it is for one column, to check its other arguments by.

    Raises:
        SuiteError: for a selector that says nothing or something unknown.
    """
    if "columns" not in item["kwargs"]:
        return item
    if "column" in item["kwargs"]:
        raise SuiteError(f"{item['type']} has column and columns", "leave one of them out")
    _selector(item["kwargs"]["columns"])
    return _of_column(item, "selected")


def expand(document: Mapping[str, Any], types: Mapping[str, str]) -> Expanded:
    """Expand all selectors of a suite.

    Args:
        document: of a suite that ``load_suite`` read.
        types: column -> Arrow's name of its type.

    Raises:
        DataError: if all expectations were optional and matched nothing.
    """
    made = Expanded()
    for item in document["expectations"]:
        if "columns" not in item["kwargs"]:
            made.items.append(item)
            continue
        selector = _selector(item["kwargs"]["columns"])
        chosen = columns_of(selector, types)
        hidden = _unreadable(selector, types)
        told = {"expectation": item["type"], "columns": item["kwargs"]["columns"], "count": len(chosen)}
        made.selected.append({**told, "selected": chosen[:_MAX_NAMED]})
        made.items.extend(_of_column(item, name) for name in chosen)
        for name in hidden:
            _trouble(made, item, f"column {name!r} is {types[name]}, which can hold text and can't be checked", False)
        if not chosen and not hidden and not selector.get("optional"):
            _trouble(made, item, f"no column is what columns={item['kwargs']['columns']!r} asks for", True)
    if not made.items:
        raise DataError("no expectation of the suite found a column", "its selectors are all optional; name columns")
    return made


def columns_of(selector: Mapping[str, Any], types: Mapping[str, str]) -> list[str]:
    """The columns that a selector chooses, in the table's order."""
    patterns = {"text": _TEXT, "number": _NUMBER, "time": _TIME}
    kind = patterns.get(selector.get("kind", ""))
    return [name for name, of in types.items() if _named(selector, name) and (kind is None or kind.fullmatch(of))]


def _unreadable(selector: Mapping[str, Any], types: Mapping[str, str]) -> list[str]:
    if selector.get("kind") != "text":
        return []
    return [
        name
        for name, of in types.items()
        if _named(selector, name) and _HOLDS_TEXT.search(of) and not _TEXT.fullmatch(of)
    ]


def _named(selector: Mapping[str, Any], name: str) -> bool:
    matching = selector.get("matching")
    return name not in selector.get("except", ()) and (matching is None or re.search(matching, name) is not None)


def _trouble(made: Expanded, item: Mapping[str, Any], why: str, nothing: bool) -> None:
    made.trouble[len(made.items)] = (why, nothing)
    made.items.append(item)


def _of_column(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    others = {key: value for key, value in item["kwargs"].items() if key != "columns"}
    return {**item, "kwargs": {"column": name, **others}}


def _selector(given: Any) -> Mapping[str, Any]:
    """Read a selector.

    Raises:
        SuiteError: if it isn't one.
    """
    selector = {"kind": given} if isinstance(given, str) else given
    known = f"kinds: {', '.join(KINDS)}; keys: {', '.join(sorted(_KEYS))}"
    if not isinstance(selector, dict) or not {"kind", "matching"} & selector.keys() or selector.keys() - _KEYS:
        raise SuiteError(f"columns is {str(given)[:200]!r}, expected a kind or an object", known)
    if "kind" in selector and selector["kind"] not in KINDS:
        raise SuiteError(f"columns has the kind {str(selector['kind'])[:50]!r}", known)
    excepted = selector.get("except", [])
    if not isinstance(excepted, list) or not all(isinstance(each, str) for each in excepted):
        raise SuiteError("columns has an except that isn't a list of names", known)
    if not isinstance(selector.get("optional", False), bool):
        raise SuiteError("columns has an optional that is neither true nor false", known)
    try:
        re.compile(selector.get("matching", ""))
    except (re.error, TypeError, RecursionError, OverflowError) as error:
        raise SuiteError("columns has a matching that is no regular expression", known) from error
    return selector
