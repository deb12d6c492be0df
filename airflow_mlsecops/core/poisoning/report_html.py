"""The report as a page to read: the verdict first, then who and what, then what each detector saw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.html.page import badge, page, paragraph, section
from airflow_mlsecops.core.html.table import facts, table
from airflow_mlsecops.core.html.text import Html, element
from airflow_mlsecops.core.poisoning.detectors.sources import NAME as SOURCE
from airflow_mlsecops.core.poisoning.detectors.time_runs import NAME as TIME_RUN
from airflow_mlsecops.core.poisoning.plots import funnel, time_line

if TYPE_CHECKING:
    from airflow_mlsecops.core.poisoning.analysis import Analysis
    from airflow_mlsecops.core.poisoning.labelled_table import LabelledTable

SHOWN_SUSPECTS = 100
NEIGHBOURS = 5
_SMALL_MATRIX = 30
_TONES = {"clean": "good", "natural noise": "warn", "targeted attack": "bad", "inconclusive": "warn"}


def report_html(
    rows: LabelledTable,
    found: Analysis,
    full: Mapping[str, Any],
    suspects: Sequence[Mapping[str, Any]],
    *,
    name: str,
) -> bytes:
    """One self-contained page; all that comes from the data is escaped.

    Args:
        rows: the table that was judged.
        found: what was found.
        full: the same as :func:`airflow_mlsecops.core.poisoning.document.document` tells it.
        suspects: the accused rows, the worst first.
        name: of the data set.
    """
    parts = [
        _verdict(full),
        _who(full),
        _detectors(full),
        *_sources(full),
        *_times(full),
        _suspects(rows, found, suspects),
        *_noise(full),
    ]
    return page(f"Labels of {name}", parts, subtitle=f"{full['rows']} rows, {len(full['classes'])} classes")


def _verdict(full: Mapping[str, Any]) -> Html:
    verdict = full["verdict"]
    told: dict[str, Any] = {
        "Verdict": badge(verdict["judgement"], _TONES[verdict["judgement"]]),
        "Decided by": ", ".join(verdict["decided_by"]) or "no detector",
        "Least corrected p-value": f"{verdict['p_value']:.3g}",
        "Accused rows": full["suspects"]["rows"],
    }
    if verdict["detectable_share"] is not None:
        told["Least poison among new rows seen 9 times of 10"] = f"{verdict['detectable_share']:.2%}"
    if verdict["techniques"]:
        told["Technique"] = f"{', '.join(verdict['techniques'])} (MITRE ATLAS {verdict['atlas_release']}, OWASP ML)"
    models = full["models"]
    told["Estimator"] = models["estimator"]
    told["Mean AUC, out of sample"] = f"{models['mean_auc']:.3f}"
    if models["accuracy_on_the_rest"] is not None:
        before, after = models["accuracy_on_the_rest"], models["accuracy_on_the_rest_without_suspects"]
        told["Accuracy on the other rows"] = f"{before:.2%} learned with the suspects, {after:.2%} without"
    return section("What it looks like", [facts(told)])


def _who(full: Mapping[str, Any]) -> Html:
    suspects, touched = full["suspects"], full["blast_radius"]["classes"]
    content: list[Html] = []
    if suspects["sources"]:
        content.append(paragraph("Guilty by the numbers: ", element("b", ", ".join(suspects["sources"][:10]))))
    if suspects["time_window"]:
        window = suspects["time_window"]
        content.append(paragraph(f"From {window['since']} to {window['until']}, {window['rows']} rows."))
    if suspects["pairs"]:
        pairs = [(p["given"], p["suggested"], p["rows"], f"{p['share']:.1%}") for p in suspects["pairs"][:15]]
        content.append(table(["labelled", "the other rows say", "rows", "of that label"], pairs))
    if touched:
        classes = [(c["label"], c["rows"], c["accused"], f"{c['accused'] / c['rows']:.1%}") for c in touched[:30]]
        content += [element("h3", "Classes touched"), table(["label", "rows", "accused", "share"], classes)]
    return section("Who and what", content or [paragraph("Nobody and nothing is accused.")])


def _detectors(full: Mapping[str, Any]) -> Html:
    corrected = full["verdict"]["corrected_p_values"]
    lines = [
        (
            item["name"],
            item["rows"],
            "-" if item["p_value"] is None else f"{item['p_value']:.3g}",
            f"{corrected[item['name']]:.3g}" if item["name"] in corrected else "-",
            item["message"],
        )
        for item in full["detectors"]
    ]
    head = ["detector", "rows", "p", "p, corrected", "what it saw"]
    note = paragraph("Each detector reports on its own: poison that vouches for itself beats any single view.")
    return section("What each detector saw", [note, table(head, lines)])


def _sources(full: Mapping[str, Any]) -> list[Html]:
    details = _details(full, SOURCE)
    if not details:
        return []
    lines = [(s["source"], s["rows"], s["suspects"], f"{s['p']:.3g}") for s in details["sources"][:15]]
    content = [funnel(details["sources"]), table(["source", "rows", "doubted", "p, corrected"], lines)]
    return [section("Sources", content)]


def _times(full: Mapping[str, Any]) -> list[Html]:
    details = _details(full, TIME_RUN)
    return [section("Time line", [time_line(details["time_line"])])] if details else []


def _details(full: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next((item["details"] for item in full["detectors"] if item["name"] == name), {})
    return found


def _suspects(rows: LabelledTable, found: Analysis, suspects: Sequence[Mapping[str, Any]]) -> Html:
    place = {row_id: index for index, row_id in enumerate(rows.row_ids)}
    lines = []
    for item in suspects[:SHOWN_SUSPECTS]:
        near = "-" if found.near is None else _neighbours(rows, found, place[item["row_id"]])
        quality = f"{item['quality']:.3f}"
        lines.append((item["row_id"], item["given"], item["suggested"], quality, near, ", ".join(item["detectors"])))
    if not lines:
        return section("Accused rows", [paragraph("None.")])
    head = ["row", "given", "suggested", "quality", f"nearest {NEIGHBOURS} rows (label)", "accused by"]
    more = len(suspects) - len(lines)
    note = [paragraph(f"The worst {len(lines)}; {more} more are in suspects.json.")] if more else []
    return section("Accused rows", [*note, table(head, lines)])


def _neighbours(rows: LabelledTable, found: Analysis, index: int) -> str:
    nearest = [] if found.near is None else found.near.indices[index, :NEIGHBOURS].tolist()
    return ", ".join(f"{rows.row_ids[i]} ({rows.classes[rows.labels[i]]})" for i in nearest)


def _noise(full: Mapping[str, Any]) -> list[Html]:
    matrix, classes = full["noise_matrix"], full["classes"]
    if matrix is None or len(classes) > _SMALL_MATRIX:
        return []
    lines = [(name, *(f"{cell:.1%}" for cell in row)) for name, row in zip(classes, matrix, strict=True)]
    note = paragraph("Of rows that are believed to be of a class (line), the share that carries each label (column).")
    return [section("Noise matrix", [note, table(["believed to be", *classes], lines)])]
