"""The report of a model scan that people look at: one HTML file, in which names from strangers' files stay text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from airflow_mlsecops.core.atlas import named
from airflow_mlsecops.core.findings import Finding
from airflow_mlsecops.core.html.bars import bars
from airflow_mlsecops.core.html.page import badge, folded, page, paragraph, quiet, section, verdict
from airflow_mlsecops.core.html.table import Figure, facts, name, table
from airflow_mlsecops.core.html.text import Html, element
from airflow_mlsecops.core.report import Report
from airflow_mlsecops.core.scanning.outcome import Outcome, PartOutcome
from airflow_mlsecops.core.scanning.rules import CONTROL

MOST = 200
"""How many findings, parts and names are told; the full report has more."""
_OPEN, _GROUPS = 25, 12


def report_page(report: Report, outcome: Outcome) -> bytes:
    """The page.

    Args:
        report: what the control returns; its blobs aren't looked at.
        outcome: what the scan saw.
    """
    content = [_verdict(report, outcome)]
    if report.findings:
        content.append(_found(report.findings))
    content += [_parts(outcome.parts), _names(sorted(outcome.globals)), _checked(report)]
    subtitle = element("code", f"sha256:{report.subject.digest}")
    return page(f"Model scan: {report.subject.name}", content, subtitle=subtitle)


def _verdict(report: Report, outcome: Outcome) -> Html:
    figures = [
        (f"{outcome.coverage:.0%}", f"of {outcome.bytes_total:,} bytes were followed to their end"),
        (f"{len(outcome.parts):,}", "files, and members of containers"),
        (f"{len(outcome.globals):,}", "names that loading it needs"),
        (f"{len(report.findings):,}", "findings"),
    ]
    word = report.verdict.value
    lead = f"{report.summary}. Nothing was loaded, imported or run to find this out."
    return verdict(word.upper(), report.verdict.tone, lead, figures)


def _found(findings: Sequence[Finding]) -> Html:
    drawn = [_finding(each) for each in findings[:MOST]]
    content: list[Html] = [element("ul", *drawn[:_OPEN], attributes={"class": "items"})]
    if drawn[_OPEN:]:
        content.append(
            folded(f"{len(drawn) - _OPEN} more", [element("ul", *drawn[_OPEN:], attributes={"class": "items"})])
        )
    return section("What was found", [*content, *_left_out(len(findings))])


def _finding(finding: Finding) -> Html:
    content = [element("h3", badge(finding.severity.value, finding.severity.tone), " ", finding.message)]
    if finding.where:
        content.append(paragraph("In ", element("code", name(finding.where))))
    techniques = named(finding.techniques)
    content.append(quiet(element("code", name(finding.rule)), f" · {techniques}" if techniques else ""))
    return element("li", *content)


def _parts(parts: Sequence[PartOutcome]) -> Html:
    sizes: Counter[str] = Counter()
    for part in parts:
        sizes[part.format] += part.size
    most, total = sizes.most_common(_GROUPS), sum(sizes.values()) or 1
    rows = [
        [
            name(part.name),
            badge(part.format, "bad" if part.format == "unknown" else "plain"),
            Figure(f"{part.size:,}"),
            Figure(f"{part.findings:,}"),
        ]
        for part in sorted(parts, key=lambda part: -part.findings)[:MOST]
    ]
    return section(
        "What it consists of",
        [
            quiet("Share of bytes, in percent, by the format that they really have; members of containers too:"),
            bars([each for each, _ in most], {"percent": [100 * size / total for _, size in most]}),
            folded(f"{len(parts):,} parts", [table(("part", "format", "bytes", "findings"), rows, label="Parts")]),
            *_left_out(len(parts)),
        ],
    )


def _names(names: Sequence[str]) -> Html:
    if not names:
        return section("What loading it needs", [paragraph("No code by name: it holds data alone.")])
    packages = Counter(each.partition(".")[0] for each in names).most_common(_GROUPS)
    listed = element("ul", *(element("li", element("code", name(each))) for each in names[:MOST]))
    return section(
        "What loading it needs",
        [
            quiet("Names that its pickles import, by package:"),
            bars([each for each, _ in packages], {"names": [count for _, count in packages]}),
            folded(f"{len(names):,} names", [listed]),
            *_left_out(len(names)),
        ],
    )


def _checked(report: Report) -> Html:
    given = report.parameters
    told: dict[str, Any] = {
        "Model": report.subject.uri,
        "Allow-list": f"sha256:{given['allow_list_sha256']}",
        "Lists": ", ".join(given["allow_lists"]) or "the packaged ones",
        "Compared with": "the names of the last release" if given["pinned_imports"] else "no earlier release",
        "Scanned with": ", ".join(f"{tool} {of}" for tool, of in report.tools.items()),
    }
    note = f"{CONTROL} is default-deny: what isn't known, followed to its end and allowed by name doesn't pass."
    return section("What was checked", [facts(told), quiet(note)])


def _left_out(total: int) -> list[Html]:
    return [paragraph(f"… and {total - MOST:,} more in the full report")] if total > MOST else []
