"""The report's plots of distributions against the baseline. Without ``show_values`` no value stands in them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_mlsecops.core.html.bars import bars
from airflow_mlsecops.core.html.columns import columns
from airflow_mlsecops.core.html.page import badge, paragraph, quiet, section
from airflow_mlsecops.core.html.text import Html, element
from airflow_mlsecops.core.profile.compare import CATEGORIES, Compared, Drawing, told
from airflow_mlsecops.core.validation.outcome import Outcome

MAX_PLOTS = 60


def distributions(outcomes: Iterable[Outcome], holds: Mapping[int, bool], *, show_values: bool = False) -> list[Html]:
    """One section with a plot for each comparison, those that don't hold first; nothing without comparisons.

    Args:
        outcomes: in the suite's order.
        holds: whether each of them, by index, holds by the verdict rules.
        show_values: name categories and edges, which are values of the baseline.
    """
    drawn = [(each, each.compared) for each in outcomes if each.compared is not None and each.compared.drawing]
    if not drawn:
        return []
    drawn.sort(key=lambda pair: (holds[pair[0].index], pair[0].index))
    plots = (_one(outcome, compared, holds[outcome.index], show_values) for outcome, compared in drawn[:MAX_PLOTS])
    content = [
        paragraph("Shares in percent, of the baseline and of this data set."),
        element("div", *plots, attributes={"class": "plots"}),
    ]
    if len(drawn) > MAX_PLOTS:
        content.append(paragraph(f"… and {len(drawn) - MAX_PLOTS} more in the full report"))
    return [section("Distributions against the baseline", content)]


def told_baseline(baseline: Mapping[str, Any]) -> str:
    """The baseline in a line of the summary."""
    if "missing" in baseline:
        return badge(f"none: {baseline['missing']}", "bad")
    by = ", ".join(baseline["signed_by"])
    return (
        f"{baseline['dataset']} sha256:{baseline['dataset_sha256']}, profile signed by {by}, evidence "
        f"sha256:{baseline['profile_evidence_sha256']}"
    )


def _one(outcome: Outcome, compared: Compared, held: bool, show_values: bool) -> Html:
    drawing: Drawing | None = compared.drawing
    assert drawing is not None
    verdict = badge("holds", "good") if held else badge("doesn't hold", "bad")
    heading = element("h3", f"{drawing.column}, {drawing.what} ", verdict)
    said = quiet(f"{outcome.index}: {told(compared.statistics)}")
    labels = drawing.labels if show_values else drawing.masked
    series = {"baseline": [100 * each for each in drawing.baseline], "now": [100 * each for each in drawing.now]}
    drawn = bars(labels, series) if drawing.what == CATEGORIES else columns(labels, series, unit="%")
    return element("div", heading, said, drawn)
