"""Which of the field's frames each control speaks to, with the evidence of one release."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airflow_mlsecops.core.compliance import Frame, Item, Mapped, load
from airflow_mlsecops.core.predicates import TEST_RESULT
from airflow_mlsecops.core.telling import Tone, worst
from airflow_mlsecops.plugin.rows import Row
from airflow_mlsecops.plugin.view import ArtifactView


@dataclass(frozen=True)
class Line:
    """One control, and what was said by it; empty rows if it left no evidence that counts."""

    mapped: Mapped
    rows: tuple[tuple[str, Row], ...]


@dataclass(frozen=True)
class FrameLine:
    """One item of a frame; the controls that speak to it with evidence, and the worst that it says; those without."""

    item: Item
    with_evidence: tuple[tuple[str, Tone], ...]
    without: tuple[str, ...]


@dataclass(frozen=True)
class FrameView:
    """One frame with its items, as far as any control speaks to them."""

    frame: Frame
    lines: tuple[FrameLine, ...]


@dataclass(frozen=True)
class ComplianceView:
    """What the page shows: by control, and by frame."""

    frames: tuple[Frame, ...]
    lines: tuple[Line, ...]
    by_frame: tuple[FrameView, ...]
    unmapped: tuple[str, ...]


def compliance_view(view: ArtifactView | None) -> ComplianceView:
    """Lay the mapping out, beside the evidence of an artifact and its data sets if there is one."""
    mapping = load()
    said: dict[str, list[tuple[str, Row]]] = {}
    for name, table in view.tables if view is not None else ():
        for row in table.current:
            said.setdefault(row.what if row.predicate == TEST_RESULT.slug else row.predicate, []).append((name, row))
    lines = tuple(Line(mapped, tuple(said.get(mapped.control, ()))) for mapped in mapping.controls)
    frames = []
    for frame in mapping.frames:
        by_item: dict[Item, tuple[list[tuple[str, Tone]], list[str]]] = {}
        for line in lines:
            for item in line.mapped.speaks_to.get(frame.id, ()):
                has, lacks = by_item.setdefault(item, ([], []))
                if line.rows:
                    has.append((line.mapped.title, worst(row.tone for _, row in line.rows)))
                else:
                    lacks.append(line.mapped.title)
        ordered = sorted(by_item.items(), key=lambda pair: _order(pair[0].id))
        frames.append(FrameView(frame, tuple(FrameLine(item, tuple(a), tuple(b)) for item, (a, b) in ordered)))
    known = {mapped.control for mapped in mapping.controls}
    return ComplianceView(mapping.frames, lines, tuple(frames), tuple(sorted(said.keys() - known)))


def _order(number: str) -> tuple[object, ...]:
    """Article 9 before article 10."""
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in re.findall(r"\d+|\D+", number))
