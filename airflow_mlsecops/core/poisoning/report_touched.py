"""What the accused rows touch, for the report: classes, parts of the data, and what models gain without them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_mlsecops.core.html.page import paragraph
from airflow_mlsecops.core.html.table import Figure, cell, table
from airflow_mlsecops.core.html.text import Html, element
from airflow_mlsecops.core.poisoning.report_rows import chip, share

SHOWN_CLASSES = 30
SHOWN_PARTS = 8
_NOTABLE = 0.5
"""Deviations from the mean of all rows from which on a feature tells where a part of the data lies."""


def touched(full: Mapping[str, Any]) -> list[Html]:
    """Tables and sentences, as far as there is anything to tell.

    Args:
        full: the document of the analysis.
    """
    return [
        *_classes(full["blast_radius"]["classes"]),
        *_parts(full["blast_radius"]["parts"]),
        *_models(full["models"]),
    ]


def _classes(classes: list[dict[str, Any]]) -> list[Html]:
    if not classes:
        return []
    lines = [
        (chip(each["label"], "plain"), each["rows"], each["accused"], share(each["accused"] / each["rows"]))
        for each in classes[:SHOWN_CLASSES]
    ]
    return [
        element("h3", "Classes touched"),
        table(["label", "rows", "accused", "share"], lines, label="Classes touched"),
    ]


def _parts(parts: list[dict[str, Any]]) -> list[Html]:
    """Where in the data the accused rows lie."""
    if not parts:
        return []
    lines = [
        (
            cell(*_unlike(part["unlike"]), kind="long"),
            part["rows"],
            part["accused"],
            share(part["accused"] / part["rows"]),
        )
        for part in parts[:SHOWN_PARTS]
    ]
    more = f" The most accused {SHOWN_PARTS} of {len(parts)}." if len(parts) > SHOWN_PARTS else ""
    note = paragraph(
        "The data fall into parts of rows that lie close together. What is unlike the rest in each, in standard "
        f"deviations from the mean of all rows.{more}"
    )
    heads = ["what is unlike the rest", "rows", "accused", "share"]
    return [element("h3", "Parts of the data touched"), note, table(heads, lines, label="Parts of the data touched")]


def _unlike(features: list[dict[str, Any]]) -> list[Any]:
    told = [each for each in features if abs(each["deviations"]) >= _NOTABLE]
    if not told:
        return ["nothing: it lies in the midst"]
    return [chip(each["feature"], "plain", f"{each['deviations']:+.1f}") for each in told]


def _models(models: Mapping[str, Any]) -> list[Html]:
    before, after = models["accuracy_on_the_rest"], models["accuracy_on_the_rest_without_suspects"]
    if before is None:
        return []
    told = paragraph(
        f"On the other rows, models are right in {before:.2%} when they learn with the accused rows, and in "
        f"{after:.2%} without them."
    )
    recall = models["recall_on_the_rest"]
    changed = [each for each in recall if _change(each)]
    changed.sort(key=lambda each: (-abs(_change(each)), str(each["label"])))
    if not changed:
        return [element("h3", "What models gain without them"), told]
    lines = [
        (
            chip(each["label"], "plain"),
            Figure(f"{each['with_suspects']:.1%}"),
            Figure(f"{each['without_suspects']:.1%}"),
            Figure(f"{100 * _change(each):+.1f}"),
        )
        for each in changed[:SHOWN_CLASSES]
    ]
    heads = ["label", "right with the accused rows", "without them", "points"]
    return [
        element("h3", "What models gain without them"),
        told,
        table(heads, lines, label="How often models are right about each label"),
    ]


def _change(recall: Mapping[str, Any]) -> float:
    return round(float(recall["without_suspects"] - recall["with_suspects"]), 4)
