"""The model card as Markdown (CommonMark, with GitHub's tables)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from airflow_mlsecops.core.describe.card import Bars, Block, Facts, Grid, Points, Section, Words
from airflow_mlsecops.core.html.text import MAX_TEXT, visible

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$:@-])")


def as_markdown(title: str, subtitle: str, card: Sequence[Section]) -> bytes:
    """The document, UTF-8. In foreign text each character that means something is escaped: no link, no HTML."""
    lines = [f"# {escaped(title)}", "", escaped(subtitle), ""]
    for each in card:
        lines += [f"## {escaped(each.heading)}", ""]
        for block in each.blocks:
            lines += [*_block(block), ""]
    return ("\n".join(lines).rstrip("\n") + "\n").encode()


def escaped(value: Any) -> str:
    """Text as text, on one line."""
    text = visible(str(value)[:MAX_TEXT]).replace("\r", " ").replace("\n", " ")
    # A number at the start of a line, followed by a point, would begin a list.
    return re.sub(r"^(\d+)\.", r"\1\\.", _SPECIAL.sub(r"\\\1", text))


def _block(block: Block) -> Iterable[str]:
    match block:
        case Words(text):
            return [escaped(text)]
        case Points(items):
            return [f"- {escaped(item)}" for item in items]
        case Facts(pairs):
            return _table(["", ""], [[name, value] for name, value in pairs.items()])
        case Grid(headings, rows):
            return _table(headings, rows)
        case Bars(caption, labels, series):
            rows = [[label, *(f"{v[place]:.4g}" for v in series.values())] for place, label in enumerate(labels)]
            return _table([caption, *series], rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    head = [line(map(escaped, headings)), line("---" for _ in headings)]
    return [*head, *(line(map(escaped, row)) for row in rows)]
