"""The report of a validation that people look at: one HTML file, examples by row number, cell values only if asked.

Column names, arguments of expectations and messages come from strangers' data; all of it goes through the page frame,
which escapes everything. Values of cells aren't masked here but absent: no outcome carries any. Those that the Dag's
author asks for come in beside the outcomes, and are cut.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_mlsecops.core.atlas import named
from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.findings import Finding
from airflow_mlsecops.core.html.page import badge, folded, page, paragraph, quiet, section, verdict
from airflow_mlsecops.core.html.plot import meter
from airflow_mlsecops.core.html.table import Figure, facts, name, table
from airflow_mlsecops.core.html.text import Html, element
from airflow_mlsecops.core.report import Report
from airflow_mlsecops.core.validation.distributions_html import told_baseline
from airflow_mlsecops.core.validation.examples import EXAMPLES, MAX_BROKEN, Example
from airflow_mlsecops.core.validation.outcome import Outcome
from airflow_mlsecops.core.validation.security.threats import THREATS

MAX_ALL = 1000
_OPEN = 25
"""How many of those that don't hold are told before the reader has to open the rest."""


def report_page(
    report: Report,
    outcomes: Iterable[Outcome],
    told: Mapping[int, Finding],
    others: Sequence[Finding],
    examples: Mapping[int, Sequence[Example]] | None = None,
    *,
    more: Iterable[Html] = (),
) -> bytes:
    """The page.

    Args:
        report: what the control returns; its blobs aren't looked at.
        outcomes: in the suite's order.
        told: the finding about each of them that doesn't hold by the verdict rules, by the outcome's index.
        others: findings that are about no expectation.
        examples: some values that aren't as expected, by the outcome's index; none are shown without.
        more: further sections, which come before the list of all expectations.
    """
    ordered = list(outcomes)
    broken = sorted((each for each in ordered if each.index in told), key=lambda each: -told[each.index].severity.rank)
    content = [_verdict(report, broken)]
    if others or broken:
        content.append(_broken(broken, others, report.details["evaluated"], told, examples))
    content += more
    content += [_all(ordered, told), _checked(report)]
    subtitle = element("code", f"sha256:{report.subject.digest}")
    return page(f"Data validation: {report.subject.name}", content, subtitle=subtitle)


def _verdict(report: Report, broken: Sequence[Outcome]) -> Html:
    metrics = report.metrics
    figures: list[tuple[Any, Any]] = [
        (f"{len(broken):,}", f"of {metrics['expectations']:,} expectations don't hold"),
        (f"{metrics['rows']:,}", "rows were looked at"),
        (f"{metrics['columns']:,}", "columns"),
    ]
    if metrics["expectations_not_evaluated"]:
        figures.append((f"{metrics['expectations_not_evaluated']:,}", "couldn't be evaluated, which counts as NO"))
    if "rows_quarantined" in metrics:
        figures.append((f"{metrics['rows_quarantined']:,}", "rows are set apart in the quarantine"))
    relaxed = report.parameters["rules"]["relaxed"]
    weak = [paragraph("Let pass by the Dag's author: ", badge(", ".join(relaxed), "warn"))] if relaxed else []
    word = report.verdict.value
    return verdict(word.upper(), report.verdict.tone, f"{report.summary}.", figures, weak)


def _broken(
    broken: Sequence[Outcome],
    others: Sequence[Finding],
    items: Sequence[Mapping[str, Any]],
    told: Mapping[int, Finding],
    examples: Mapping[int, Sequence[Example]] | None,
) -> Html:
    drawn = [_other(finding) for finding in others]
    for outcome in broken[:MAX_BROKEN]:
        some = None if examples is None else examples.get(outcome.index, ())
        drawn.append(_one(outcome, items[outcome.index], told[outcome.index], some))
    content: list[Html] = [element("ul", *drawn[:_OPEN], attributes={"class": "items"})]
    if drawn[_OPEN:]:
        rest = element("ul", *drawn[_OPEN:], attributes={"class": "items"})
        content.append(folded(f"{len(drawn) - _OPEN} more that don't hold", [rest]))
    if len(broken) > MAX_BROKEN:
        content.append(paragraph(f"… and {len(broken) - MAX_BROKEN} more in the full report"))
    content.append(quiet("Rows are numbered from 0, through all part files in the order of their names."))
    return section("What doesn't hold", content)


def _other(finding: Finding) -> Html:
    """A finding that is about no expectation: too few rows, no baseline."""
    return element("li", element("h3", badge(finding.severity.value, finding.severity.tone), " ", finding.message))


def _one(outcome: Outcome, item: Mapping[str, Any], finding: Finding, examples: Sequence[Example] | None) -> Html:
    where = f"{finding.where}: " if finding.where else ""
    content = [
        element("h3", badge(finding.severity.value, finding.severity.tone), f" {where}{_words(outcome.type)}"),
        paragraph(
            finding.message, *([meter(outcome.unexpected / outcome.saw)] if outcome.unexpected and outcome.saw else [])
        ),
    ]
    if outcome.rows:
        some = ", ".join(map(str, outcome.rows[:EXAMPLES])) + (", …" if len(outcome.rows) > EXAMPLES else "")
        content.append(paragraph(element("span", "Rows, for example: ", attributes={"class": "quiet"}), some))
    if examples:
        rows = [(each.row, each.column, each.value) for each in examples]
        content += [
            quiet("Values, for example; long ones are cut:"),
            table(("row", "column", "value"), rows, label="Values"),
        ]
    if outcome.type in THREATS:
        content.append(quiet(f"Against {THREATS[outcome.type].words}: {named(finding.techniques)}"))
    asked = canonical_json(item["kwargs"]).decode()[:500]
    content.append(quiet(element("code", f"{outcome.index}: ", name(outcome.type), f" {asked}")))
    return element("li", *content)


def _words(kind: str) -> str:
    """An expectation's type as words: ``values to not be null``."""
    return kind.removeprefix("expect_").removeprefix("column_").replace("_", " ")


def _all(outcomes: list[Outcome], told: Mapping[int, Finding]) -> Html:
    rows = [
        [
            each.index,
            name(each.type),
            ", ".join(each.columns),
            each.severity.value,
            badge("doesn't hold", "bad") if each.index in told else badge("holds", "good"),
            Figure("" if each.saw is None else f"{each.saw:,}"),
            Figure("" if each.unexpected is None else f"{each.unexpected:,}"),
        ]
        for each in outcomes[:MAX_ALL]
    ]
    more = len(outcomes) - len(rows)
    left_out = [paragraph(f"… and {more} more in the full report")] if more else []
    headings = ("no.", "expectation", "columns", "severity", "result", "saw", "unexpected")
    return section("All expectations", [table(headings, rows, label="All expectations"), *left_out])


def _checked(report: Report) -> Html:
    given = report.parameters
    told: dict[str, Any] = {
        "Data set": report.subject.uri,
        "Suite": f"{given['suite']} (sha256:{given['suite_sha256']})",
        "Engine": f"{given['engine']}: {given['engine_why']}",
    }
    if "baseline" in given:
        told["Baseline"] = told_baseline(given["baseline"])
    told["Computed with"] = ", ".join(f"{tool} {of}" for tool, of in report.tools.items())
    return section("What was checked", [facts(told)])
