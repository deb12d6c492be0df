"""The report of a validation that people look at: one HTML file, examples by row number, cell values only if asked.

Column names, arguments of expectations and messages come from strangers' data; all of it goes through the page frame,
which escapes everything. Values of cells aren't masked here but absent: no outcome carries any. Those that the Dag's
author asks for come in beside the outcomes, and are cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.html.bars import bars
from airflow_mlsecops.core.html.page import badge, page, paragraph, section
from airflow_mlsecops.core.html.table import facts, table
from airflow_mlsecops.core.html.text import Html
from airflow_mlsecops.core.report import Report
from airflow_mlsecops.core.validation.distributions_html import told_baseline
from airflow_mlsecops.core.validation.examples import EXAMPLES, MAX_BROKEN, Example
from airflow_mlsecops.core.validation.outcome import Outcome

MAX_ALL = 1000
_TONES = {"pass": "good", "warn": "warn", "fail": "bad"}
_SEVERITIES = {"critical": "bad", "warning": "warn", "info": "plain"}


def report_page(
    report: Report,
    outcomes: Iterable[Outcome],
    holds: Mapping[int, bool],
    examples: Mapping[int, Sequence[Example]] | None = None,
    *,
    more: Iterable[Html] = (),
) -> bytes:
    """The page.

    Args:
        report: what the control returns; its blobs aren't looked at.
        outcomes: in the suite's order.
        holds: whether each of them, by index, holds by the verdict rules.
        examples: some values that aren't as expected, by the outcome's index; none are shown without.
        more: further sections, which come before the list of all expectations.
    """
    items = report.details["evaluated"]
    ordered = list(outcomes)
    broken = [outcome for outcome in ordered if not holds[outcome.index]]
    content = [_summary(report)]
    if report.findings:
        content.append(_findings(report))
    if broken:
        content.append(_broken(broken, items))
    if examples is not None:
        content.append(_values(examples, broken))
    content += _shares(broken)
    content += more
    content.append(_all(ordered, holds))
    return page(f"{report.control}: {report.subject.name}", content, subtitle=report.summary)


def _summary(report: Report) -> Html:
    verdict = report.verdict.value
    told: dict[str, Any] = {
        "Verdict": badge(verdict.upper(), _TONES[verdict]),
        "Artifact": report.subject.uri,
        "SHA-256": report.subject.digest,
        "Suite": f"{report.parameters['suite']} (sha256:{report.parameters['suite_sha256']})",
        "Engine": f"{report.parameters['engine']}: {report.parameters['engine_why']}",
        "Rows": report.metrics["rows"],
        "Columns": report.metrics["columns"],
    }
    if "baseline" in report.parameters:
        told["Baseline"] = told_baseline(report.parameters["baseline"])
    relaxed = report.parameters["rules"]["relaxed"]
    if relaxed:
        told["Relaxed"] = badge(", ".join(relaxed), "warn")
    return section("Summary", [facts(told)])


def _findings(report: Report) -> Html:
    rows = [
        (badge(each.severity.value, _SEVERITIES[each.severity.value]), each.rule, each.where, each.message)
        for each in report.findings[:MAX_BROKEN]
    ]
    more = len(report.findings) - len(rows)
    left_out = [paragraph(f"… and {more} more in the full report")] if more else []
    return section("Findings", [table(("severity", "rule", "where", "message"), rows), *left_out])


def _broken(broken: list[Outcome], items: list[Mapping[str, Any]]) -> Html:
    rows = []
    for outcome in broken[:MAX_BROKEN]:
        examples = ", ".join(map(str, outcome.rows[:EXAMPLES])) + (", …" if len(outcome.rows) > EXAMPLES else "")
        expected = canonical_json(items[outcome.index]["kwargs"]).decode()
        rows.append((outcome.index, outcome.type, expected[:500], outcome.saw, outcome.unexpected, examples))
    note = paragraph("Rows are numbered from 0, through all part files in the order of their names.")
    headings = ("no.", "expectation", "arguments", "saw", "unexpected", "rows, for example")
    return section("Expectations that don't hold", [table(headings, [_blank(row) for row in rows]), note])


def _values(examples: Mapping[int, Sequence[Example]], broken: list[Outcome]) -> Html:
    rows = [
        (outcome.index, outcome.type, each.row, each.column, each.value)
        for outcome in broken[:MAX_BROKEN]
        for each in examples.get(outcome.index, ())
    ]
    note = paragraph(
        "These are cells of the data, shown because the task was asked to (show_values); long ones are cut."
    )
    return section("Values, for example", [table(("no.", "expectation", "row", "column", "value"), rows), note])


def _shares(broken: list[Outcome]) -> list[Html]:
    counted = [each for each in broken if each.saw and each.unexpected]
    if not counted:
        return []
    labels = [f"{each.index}: {', '.join(each.columns)}" for each in counted[:40]]
    shares = [100 * (each.unexpected or 0) / (each.saw or 1) for each in counted[:40]]
    return [section("Share of values that are not as expected, in percent", [bars(labels, {"unexpected": shares})])]


def _all(outcomes: list[Outcome], holds: Mapping[int, bool]) -> Html:
    rows = [
        (
            each.index,
            each.type,
            ", ".join(each.columns),
            each.severity.value,
            badge("holds", "good") if holds[each.index] else badge("doesn't hold", "bad"),
            each.saw,
            each.unexpected,
        )
        for each in outcomes[:MAX_ALL]
    ]
    more = len(outcomes) - len(rows)
    left_out = [paragraph(f"… and {more} more in the full report")] if more else []
    headings = ("no.", "expectation", "columns", "severity", "result", "saw", "unexpected")
    return section("All expectations", [table(headings, [_blank(row) for row in rows]), *left_out])


def _blank(row: tuple[Any, ...]) -> list[Any]:
    return ["" if value is None else value for value in row]
