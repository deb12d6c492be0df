"""The model card as one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_mlsecops.core.describe.card import Bars, Block, Facts, Grid, Points, Section, Words
from airflow_mlsecops.core.html.bars import bars
from airflow_mlsecops.core.html.page import page, paragraph, section
from airflow_mlsecops.core.html.table import facts, table
from airflow_mlsecops.core.html.text import Html, element


def as_html(title: str, subtitle: str, card: Sequence[Section]) -> bytes:
    """The page, UTF-8; everything foreign is escaped."""
    return page(title, [section(each.heading, map(_block, each.blocks)) for each in card], subtitle=subtitle)


def _block(block: Block) -> Html:
    match block:
        case Words(text):
            return paragraph(text)
        case Points(items):
            return element("ul", *(element("li", item) for item in items))
        case Facts(pairs):
            return facts(pairs)
        case Grid(headings, rows):
            return table(headings, rows)
        case Bars(_, labels, series):
            return bars(labels, series)
