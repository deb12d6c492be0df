"""Tables of a page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_mlsecops.core.html.text import Html, element


def table(headings: Sequence[Any], rows: Iterable[Sequence[Any]]) -> Html:
    """A table; numbers are aligned to the right."""
    head = element("tr", *(element("th", heading, attributes={"scope": "col"}) for heading in headings))
    body = [element("tr", *(_cell(value) for value in row)) for row in rows]
    return element("table", element("thead", head), element("tbody", *body))


def facts(pairs: Mapping[str, Any]) -> Html:
    """Names and their values, one below the other."""
    items: list[Html] = []
    for name, value in pairs.items():
        items += [element("dt", name), element("dd", value)]
    return element("dl", *items)


def _cell(value: Any) -> Html:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return element("td", value, attributes={"class": "number"} if number else None)
