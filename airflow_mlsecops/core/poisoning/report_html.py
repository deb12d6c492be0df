"""The report as a page to read: the verdict first, then who and what, then what each detector saw and what was done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.html.page import badge, folded, page, paragraph, section, verdict
from airflow_mlsecops.core.html.table import Figure, facts, name, table
from airflow_mlsecops.core.html.text import Html, element
from airflow_mlsecops.core.poisoning.detectors.regions import NAME as REGION
from airflow_mlsecops.core.poisoning.detectors.sources import NAME as SOURCE
from airflow_mlsecops.core.poisoning.detectors.time_runs import NAME as TIME_RUN
from airflow_mlsecops.core.poisoning.plots import funnel, time_line
from airflow_mlsecops.core.poisoning.report_rows import accused_rows, chip, noise_matrix, share
from airflow_mlsecops.core.poisoning.report_touched import touched
from airflow_mlsecops.core.poisoning.verdict import Judgement
from airflow_mlsecops.core.report import Verdict

if TYPE_CHECKING:
    from airflow_mlsecops.core.poisoning.analysis import Analysis
    from airflow_mlsecops.core.poisoning.labelled_table import LabelledTable
    from airflow_mlsecops.core.report import Report

_TONES = {"clean": "good", "natural noise": "warn", "targeted attack": "bad", "inconclusive": "warn"}
_LEADS = {
    Judgement.CLEAN: "Nothing speaks against these labels. That is no proof: poison that vouches for itself is seen "
    "against a trusted version only.",
    Judgement.NATURAL_NOISE: "Some labels look wrong, spread as mistakes are, and not as somebody's work.",
    Judgement.TARGETED_ATTACK: "These labels look changed on purpose: mistakes aren't concentrated like this.",
    Judgement.INCONCLUSIVE: "The models learned nothing from these data, so that nothing can be said about the labels. "
    "A gate reads this as NO.",
}
_OPEN_SOURCES = 8


def report_html(
    rows: LabelledTable,
    found: Analysis,
    full: Mapping[str, Any],
    suspects: Sequence[Mapping[str, Any]],
    report: Report,
) -> bytes:
    """One self-contained page; all that comes from the data is escaped.

    Args:
        rows: the table that was judged.
        found: what was found.
        full: the same as :func:`airflow_mlsecops.core.poisoning.document.document` tells it.
        suspects: the accused rows, the worst first.
        report: what the control returns; its blobs aren't looked at.
    """
    parts = [
        _verdict(full, report),
        *_who(full, report),
        *_sources(full),
        *_times(full),
        accused_rows(rows, found, suspects),
        *noise_matrix(full),
        _detectors(full),
        _done(full, report),
    ]
    subtitle = element("code", f"sha256:{report.subject.digest}")
    return page(f"Label poisoning: {report.subject.name}", parts, subtitle=subtitle)


def _verdict(full: Mapping[str, Any], report: Report) -> Html:
    said, suspects = full["verdict"], full["suspects"]
    figures: list[tuple[Any, Any]] = [(f"{suspects['rows']:,}", f"of {full['rows']:,} rows are accused")]
    attack = said["judgement"] == Judgement.TARGETED_ATTACK
    if suspects["pairs"] and attack:
        top = suspects["pairs"][0]
        pair = Html(f"{chip(top['suggested'], 'plain')}→ {chip(top['given'], 'bad')}")
        told = f"{top['rows']:,} rows that look like {top['suggested'][:20]} are labelled {top['given'][:20]}"
        figures.append((pair, told))
    if suspects["sources"]:
        more = f" and {len(suspects['sources']) - 1} more" if len(suspects["sources"]) > 1 else ""
        figures.append((suspects["sources"][0][:40], f"the guilty source, by the numbers{more}"))
    if said["corrected_p_values"]:
        figures.append((f"{said['p_value']:.2g}", "the least p-value, corrected for the number of tests"))
    word = badge(report.verdict.value.upper(), report.verdict.tone)
    content = [paragraph("The control says ", word, f": {report.summary}.")]
    return verdict(said["judgement"], _TONES[said["judgement"]], _LEADS[Judgement(said["judgement"])], figures, content)


def _who(full: Mapping[str, Any], report: Report) -> list[Html]:
    suspects = full["suspects"]
    region = _detector(full, REGION)
    aside = []
    if region and region["rows"]:
        aside.append(paragraph(f"Worth a look, without a say in the verdict: {region['message']}."))
    if not suspects["rows"]:
        return [section("Who and what", [paragraph("Nobody and nothing is accused."), *aside])]
    content: list[Html] = aside
    if suspects["sources"]:
        content.append(paragraph("Guilty by the numbers: ", *(chip(each, "bad") for each in suspects["sources"][:10])))
    if suspects["time_window"]:
        window = suspects["time_window"]
        content.append(paragraph(f"From {window['since']} to {window['until']}, {window['rows']:,} rows."))
    if suspects["pairs"]:
        pairs = [
            (chip(p["given"], "bad"), chip(p["suggested"], "plain"), p["rows"], share(p["share"]))
            for p in suspects["pairs"][:15]
        ]
        heads = ["labelled", "the other rows say", "rows", "of all with that label"]
        content += [element("h3", "Flipped labels"), table(heads, pairs, label="Flipped labels")]
    content += touched(full)
    return [section("Who and what", content), section("What to do", [_advice(full, report)])]


def _advice(full: Mapping[str, Any], report: Report) -> Html:
    suspects, steps = full["suspects"], []
    if suspects["sources"]:
        names = ", ".join(suspects["sources"][:5])
        steps.append(f"Find out who can write as {names}, and what else came from there.")
    if suspects["time_window"]:
        steps.append(f"Look at who had access from {suspects['time_window']['since']} on.")
    steps += [
        "Look at the accused rows below, beside their nearest neighbours; suspects.json, kept with this page, has all.",
        "SanitizeDatasetOperator removes or relabels them by a stated rule, and signs what it did.",
    ]
    if report.verdict is Verdict.FAIL:
        steps.append(
            "A release policy that asks for this control, of a model's inputs too, refuses what is trained on them."
        )
    return element("ul", *(element("li", each) for each in steps))


def _detectors(full: Mapping[str, Any]) -> Html:
    corrected, decided = full["verdict"]["corrected_p_values"], full["verdict"]["decided_by"]
    lines = [
        (
            Html(f"{name(item['name'])} {badge('decided', 'bad') if item['name'] in decided else ''}"),
            item["rows"],
            Figure("-" if item["p_value"] is None else f"{item['p_value']:.2g}"),
            Figure(f"{corrected[item['name']]:.2g}" if item["name"] in corrected else "-"),
            item["message"],
        )
        for item in full["detectors"]
    ]
    head = ["detector", "rows", "p", "p, corrected", "what it saw"]
    note = paragraph("Each detector reports on its own: poison that vouches for itself beats any single view.")
    return section("What each detector saw", [note, table(head, lines, label="Detectors")])


def _sources(full: Mapping[str, Any]) -> list[Html]:
    found = _detector(full, SOURCE)
    if not found or not (details := found["details"]):
        return []
    lines = [
        (chip(s["source"], "bad" if s["accused"] else "plain"), s["rows"], s["suspects"],
         share(s["suspects"] / max(s["rows"], 1)), Figure(f"{s['p']:.2g}"))
        for s in details["sources"][:100]
    ]  # fmt: skip
    note = paragraph(
        f"Each of {details['sources_total']:,} sources by its rows and the share of its labels that are doubted. The "
        "dashed line is the share among sources that aren't accused; chance seldom leaves the band around it."
    )
    heads = ["source", "rows", "doubted", "share", "p, corrected"]
    content = [note, funnel(details["sources"]), table(heads, lines[:_OPEN_SOURCES], label="Sources")]
    if lines[_OPEN_SOURCES:]:
        rest = table(heads, lines[_OPEN_SOURCES:], label="More sources")
        content.append(folded(f"{len(lines) - _OPEN_SOURCES} more sources", [rest]))
    return [section("Sources", content)]


def _times(full: Mapping[str, Any]) -> list[Html]:
    found = _detector(full, TIME_RUN)
    if not found or not (details := found["details"]):
        return []
    note = paragraph(f"The share of doubted labels, in parts of equally many rows: {found['message']}.")
    return [section("Time line", [note, time_line(details["time_line"], details["window"])])]


def _done(full: Mapping[str, Any], report: Report) -> Html:
    said, models, given = full["verdict"], full["models"], report.parameters
    roles = {"label_column": "labels", "id_column": "names of rows", "source_column": "sources", "time_column": "times"}
    columns = "; ".join(f"{what}: {given[key]}" for key, what in roles.items() if given.get(key))
    told: dict[str, Any] = {
        "Data set": report.subject.uri,
        "Columns": f"{columns}; features: {report.metrics['features']:,}",
        "Judged by": f"{models['estimator']}; {given['folds']} folds, seed {given['seed']}",
        "Mean AUC, out of sample": f"{models['mean_auc']:.3f} (0.5 is chance)",
        "Doubted": f"{report.metrics['suspect_share']:.2%} of the labels; the budget is {given['budget']:.2%}",
        "Trusted version": "compared with" if given.get("baseline") else "none was given",
    }
    if said["detectable_share"] is not None:
        told["Least poison seen 9 times of 10"] = f"{said['detectable_share']:.2%} of the new rows"
    if said["techniques"]:
        told["Techniques"] = f"{', '.join(said['techniques'])} (MITRE ATLAS {said['atlas_release']}, OWASP ML)"
    told["Computed with"] = ", ".join(f"{tool} {of}" for tool, of in report.tools.items())
    left_out = report.details.get("ignored_columns") or []
    if left_out:
        told["Left out, no numbers"] = ", ".join(left_out[:20]) + (", …" if len(left_out) > 20 else "")
    note = paragraph("The data set itself was not changed.")
    return section("What was done", [facts(told), note])


def _detector(full: Mapping[str, Any], detector: str) -> Mapping[str, Any] | None:
    return next((item for item in full["detectors"] if item["name"] == detector), None)
