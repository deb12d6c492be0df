"""The parts of the report that go row by row and class by class: accused rows, their neighbours, the noise matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.html.page import folded, paragraph, section
from airflow_mlsecops.core.html.plot import meter
from airflow_mlsecops.core.html.table import Figure, cell, table
from airflow_mlsecops.core.html.text import Html, element

if TYPE_CHECKING:
    from airflow_mlsecops.core.poisoning.analysis import Analysis
    from airflow_mlsecops.core.poisoning.labelled_table import LabelledTable

SHOWN_SUSPECTS = 100
NEIGHBOURS = 5
_OPEN = 20
_SMALL_MATRIX = 30
_MOST_LETTERS = 40
_HEAT = ((0.2, "heat3"), (0.05, "heat2"), (0.001, "heat1"))
"""From which share on a cell of the noise matrix has which colour."""


def chip(label: Any, tone: str, note: Any = "") -> Html:
    """A label, a source or a neighbour, cut, in a colour."""
    told = str(label)
    told = told if len(told) <= _MOST_LETTERS else f"{told[:_MOST_LETTERS]}…"
    noted = [" ", element("small", str(note)[:_MOST_LETTERS])] if note else []
    return element("span", told, *noted, attributes={"class": f"chip {tone}"})


def share(value: float) -> Html:
    """Per cent, with a meter."""
    return cell(f"{value:.1%}", meter(value), kind="short")


def accused_rows(rows: LabelledTable, found: Analysis, suspects: Sequence[Mapping[str, Any]]) -> Html:
    """The worst of the accused rows, each with its nearest neighbours and who accuses it."""
    if not suspects:
        return section("Accused rows", [paragraph("None.")])
    shown = suspects[:SHOWN_SUSPECTS]
    place = {row_id: index for index, row_id in enumerate(rows.row_ids)}
    accusers = [each.detector for each in found.detections if any(each.detector in item["detectors"] for item in shown)]
    head = ["row", "given", "the others say", "belief in it", *(["source"] if "source" in shown[0] else [])]
    head += [] if found.near is None else [f"nearest {NEIGHBOURS} rows: label, row"]
    head += [each.partition("/")[0].replace("-", " ") for each in accusers]
    lines = [_line(rows, found, place[item["row_id"]], item, accusers) for item in shown]
    more = (
        f" The worst {len(lines)}; {len(suspects) - len(lines):,} more are in suspects.json."
        if len(suspects) > len(lines)
        else ""
    )
    note = paragraph(
        "The least believable label first: the belief is the models' probability of the label that was given, judged "
        f"without that row. A dot stands for each detector that accuses the row.{more}"
    )
    content = [note, table(head, lines[:_OPEN], label="Accused rows")]
    if lines[_OPEN:]:
        content.append(
            folded(f"{len(lines) - _OPEN} more rows", [table(head, lines[_OPEN:], label="More accused rows")])
        )
    return section("Accused rows", content)


def _line(
    rows: LabelledTable, found: Analysis, index: int, item: Mapping[str, Any], accusers: Sequence[str]
) -> list[Any]:
    line: list[Any] = [item["row_id"], chip(item["given"], "bad"), chip(item["suggested"], "plain")]
    line.append(Figure(f"{item['quality']:.3f}"))
    if "source" in item:
        line.append(item["source"])
    if found.near is not None:
        line.append(cell(*_neighbours(rows, found, index), kind="short"))
    yes = element("span", "●", attributes={"role": "img", "aria-label": "yes"})
    return [*line, *(cell(yes if each in item["detectors"] else "", kind="mark") for each in accusers)]


def _neighbours(rows: LabelledTable, found: Analysis, index: int) -> list[Html]:
    """Neighbours with the row's own label in the colour of what is given, the others in that of what is suggested."""
    nearest = [] if found.near is None else found.near.indices[index, :NEIGHBOURS].tolist()
    given = rows.labels[index]
    return [
        chip(rows.classes[rows.labels[i]], "bad" if rows.labels[i] == given else "plain", rows.row_ids[i])
        for i in nearest
    ]


def noise_matrix(full: Mapping[str, Any]) -> list[Html]:
    """How often rows of each class carry each label, as far as that is believed; nothing with many classes."""
    matrix, classes = full["noise_matrix"], full["classes"]
    if matrix is None or len(classes) > _SMALL_MATRIX:
        return []
    lines = [
        [
            cell(chip(each, "plain"), kind="short", head=True),
            *(_heat(share, here == there) for there, share in enumerate(row)),
        ]
        for here, (each, row) in enumerate(zip(classes, matrix, strict=True))
    ]
    note = paragraph("Of rows that are believed to be of a class (line), the share that carries each label (column).")
    grid = table(
        ["believed to be", *(str(each)[:_MOST_LETTERS] for each in classes)], lines, label="Noise matrix", kind="matrix"
    )
    return [section("Noise matrix", [note, grid])]


def _heat(share: float, same: bool) -> Html:
    tone = "diagonal" if same else next((name for limit, name in _HEAT if share >= limit), "")
    told = f"{share:.1%}" if share >= _HEAT[-1][0] else ""
    return cell(told, kind=f"short {tone}".strip())
