"""Tables of a page. One that is wider than the screen scrolls in itself, also by keyboard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_mlsecops.core.html.text import Html, element, text

_SHORT = 24
"""Up to so many letters a cell is not broken into lines."""


class Figure(str):
    """A number in words, as ``12.5%``: it is aligned like numbers."""

    __slots__ = ()


class Cell(Html):
    """A whole cell, with attributes of its own."""

    __slots__ = ()


def table(headings: Sequence[Any], rows: Iterable[Sequence[Any]], *, label: Any = "Table", kind: str = "") -> Html:
    """A table; numbers are aligned to the right, and so are their headings.

    Args:
        headings: of the columns.
        rows: as many cells each.
        label: what the table is, for those who hear the page.
        kind: a class of the style sheet.
    """
    lines = [list(row) for row in rows]
    numeric = [bool(lines) and all(_is_number(line[place]) for line in lines) for place in range(len(headings))]
    heads = (
        element("th", heading, attributes={"scope": "col"} | ({"class": "number" if number else "head"}))
        for heading, number in zip(headings, numeric, strict=True)
    )
    body = [element("tr", *(_cell(value) for value in line)) for line in lines]
    parts = element("thead", element("tr", *heads)), element("tbody", *body)
    whole = element("table", *parts, attributes={"class": kind} if kind else None)
    around = {"class": "scroll", "tabindex": 0, "role": "group", "aria-label": label}
    return element("div", whole, attributes=around)


def cell(*content: Any, kind: str, head: bool = False) -> Cell:
    """A cell with a class of the style sheet; ``head`` makes it the heading of its line."""
    scope = {"scope": "row"} if head else {}
    return Cell(element("th" if head else "td", *content, attributes={"class": kind} | scope))


def name(value: Any) -> Html:
    """An identifier that may be broken after its ``_``, ``/`` and ``.`` instead of anywhere."""
    told = text(value)
    for letter in "_/.":
        told = Html(told.replace(letter, f"{letter}<wbr>"))
    return told


def facts(pairs: Mapping[str, Any]) -> Html:
    """Names and their values, one below the other."""
    items: list[Html] = []
    for term, value in pairs.items():
        items += [element("dt", term), element("dd", value)]
    return element("dl", *items)


def _cell(value: Any) -> Html:
    if isinstance(value, Cell):
        return value
    if _is_number(value):
        return element("td", value, attributes={"class": "number"})
    if isinstance(value, Html):
        return element("td", value)
    length = len(str(value))
    kind = "short" if length <= _SHORT else "long"
    return element("td", value, attributes={"class": kind} if length else None)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, Figure)) and not isinstance(value, bool)
