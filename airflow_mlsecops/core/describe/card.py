"""The model card: what a reader wants to know, in sections, before it becomes Markdown or HTML.

The sections follow Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, with what evidence adds: lineage,
controls and the exact bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.describe.content import Content
from airflow_mlsecops.core.describe.evaluation import MIN_GROUP_ROWS, Evaluation, Metric
from airflow_mlsecops.core.describe.lineage import as_text


@dataclass(frozen=True)
class Words:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Points:
    """A list."""

    items: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Names and their values."""

    pairs: Mapping[str, Any]


@dataclass(frozen=True)
class Grid:
    """A table."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Bars:
    """A bar plot; where there are no pictures it is a table of the same numbers."""

    caption: str
    labels: Sequence[str]
    series: Mapping[str, Sequence[float]]


Block = Words | Points | Facts | Grid | Bars


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it."""

    heading: str
    blocks: Sequence[Block]


def sections(content: Content) -> list[Section]:
    """The whole card; a section of which nothing is known isn't there, except where its absence matters."""
    return [
        _model(content),
        *_use(content),
        *_performance(content),
        *([_subgroups(content.evaluation)] if content.evaluation and content.evaluation.groups else []),
        *([_calibration(content.evaluation)] if content.evaluation and content.evaluation.calibration else []),
        *([_attributions(content.evaluation)] if content.evaluation and content.evaluation.attributions else []),
        _data(content),
        _training(content),
        _controls(content),
        *_people(content),
        Section("Known limits", [Points(content.limits or ["None are known."])]),
    ]


def _model(content: Content) -> Section:
    told = content.told.model
    pairs = {
        "Version": told.get("version"),
        "Licence": told.get("licence", "none given"),
        "Task": content.task,
        "Architecture": content.architecture,
        "Family": told.get("family"),
        "Authors": ", ".join(told.get("authors", ())),
        "SHA-256": content.artifact.digest,
        "Size": f"{content.artifact.size} bytes in {content.artifact.files} files",
        "Described": to_text(content.made_at),
    }
    words = [Words(told["description"])] if told.get("description") else []
    return Section("Model", [*words, Facts({name: value for name, value in pairs.items() if value})])


def _use(content: Content) -> list[Section]:
    parts = (("Meant for", "use_cases"), ("Users", "users"), ("Trade-offs", "tradeoffs"))
    blocks: list[Block] = []
    for name, key in parts:
        if content.told.words(key):
            blocks += [Words(f"{name}:"), Points(content.told.words(key))]
    return [Section("Use", blocks)] if blocks else []


def _performance(content: Content) -> list[Section]:
    found, on = content.evaluation, content.evaluated_on
    blocks: list[Block] = []
    if found is not None and on is not None:
        where = f"Measured when this was written, on {found.rows} rows of {on.name} (sha256:{on.digest})."
        blocks += [Words(where), Grid(["metric", "value", "95% interval"], [_row(each) for each in found.metrics])]
    said = content.told.model.get("metrics", {})
    if said:
        rows = [[name, value] for name, value in sorted(said.items())]
        blocks += [Words("As the author says; not measured here:"), Grid(["metric", "value"], rows)]
    return [Section("Performance", blocks or [Words("Not measured when this was written.")])]


def _row(metric: Metric) -> list[Any]:
    interval = f"{metric.low:.4g} to {metric.high:.4g}" if metric.low is not None and metric.high is not None else ""
    return [metric.name, f"{metric.value:.4g}", interval]


def _subgroups(found: Evaluation) -> Section:
    rows, labels, values = [], [], []
    for group in found.groups:
        name = f"{group.column} = {group.value}"
        first = group.metrics[0] if group.metrics else None
        told = f"{first.name} {first.value:.4g}" if first else f"fewer than {MIN_GROUP_ROWS} rows: nothing to say"
        rows.append([name, group.rows, told])
        if first is not None:
            labels.append(name)
            values.append(first.value)
    blocks: list[Block] = [Grid(["subgroup", "rows", "result"], rows)]
    if values:
        blocks.insert(0, Bars("by subgroup", labels, {found.metrics[0].name: values}))
    return Section("Performance by subgroup", blocks)


def _calibration(found: Evaluation) -> Section:
    labels = [f"{each.confidence:.2f} ({each.rows} rows)" for each in found.calibration]
    series = {
        "how sure": [each.confidence for each in found.calibration],
        "how often right": [each.accuracy for each in found.calibration],
    }
    told = f"Expected calibration error {found.calibration_error:.3f}: 0 is a model that is right as often as it says."
    return Section("Calibration", [Words(told), Bars("confidence", labels, series)])


def _attributions(found: Evaluation) -> Section:
    labels = [each.feature for each in found.attributions]
    series = {"importance": [max(each.value, 0.0) for each in found.attributions]}
    return Section(
        "What it rests on",
        [Words(f"By {found.attribution_method}. It says what the model uses, not what causes what."),
         Bars("feature", labels, series)],
    )  # fmt: skip


def _data(content: Content) -> Section:
    rows = []
    for item in content.lineage.inputs:
        told = content.told.data.get(item.name, {})
        sensitive = ", ".join(told.get("sensitive", ()))
        rows.append([item.name, item.kind, told.get("licence", "none given"), told.get("description", ""), sensitive,
                     f"sha256:{item.digest}"])  # fmt: skip
    if not rows:
        return Section("Made from", [Words("No trusted provenance names its data.")])
    return Section("Made from", [Grid(["name", "kind", "licence", "what it is", "sensitive", "digest"], rows)])


def _training(content: Content) -> Section:
    found = content.lineage
    blocks: list[Block] = []
    if found.trained_at is not None:
        run = found.run or {}
        places = [str(run[key]) for key in ("dag_id", "run_id", "task_id") if run.get(key)]
        code = {f"Code: {name}": f"sha256:{digest}" for name, digest in (found.code or {}).items()}
        by = " / ".join(places) or "an unnamed task"
        blocks.append(Facts({"Trained": to_text(found.trained_at), "By": by, **code}))
    if found.parameters:
        rows = [[name, as_text(value)] for name, value in sorted(found.parameters.items())]
        blocks.append(Grid(["parameter", "value"], rows))
    if found.imports is not None:
        needed = sorted(f"{name} {content.packages[name]}" for name in content.needed)
        of = f"Packages that its files import, of {content.packages_of}"
        blocks.append(Words(f"{of}: {', '.join(needed) or 'none'}."))
    return Section("Training", blocks or [Words("No trusted provenance says how it was trained.")])


def _controls(content: Content) -> Section:
    rows = [
        [said.about, said.result.control, said.result.verdict.upper(), said.result.summary, f"sha256:{said.evidence}"]
        for said in content.lineage.controls
    ]
    if not rows:
        return Section("Controls", [Words("No trusted statement of a control was there when this was written.")])
    return Section("Controls", [Grid(["about", "control", "verdict", "what it said", "evidence"], rows)])


def _people(content: Content) -> list[Section]:
    told = content.told.considerations
    blocks: list[Block] = []
    if told.get("ethical"):
        rows = [[item["risk"], item.get("mitigation", "")] for item in told["ethical"]]
        blocks.append(Grid(["risk", "what is done about it"], rows))
    if told.get("fairness"):
        keys = ("group", "benefits", "harms", "mitigation")
        blocks.append(Grid(["group at risk", "benefits", "harms", "mitigation"],
                           [[item.get(key, "") for key in keys] for item in told["fairness"]]))  # fmt: skip
    found = [Section("Risks to people", blocks)] if blocks else []
    if content.told.environment:
        energy = content.told.environment
        pairs = {
            "Activity": energy.get("activity", "training"),
            "Energy": f"{energy['energy_kwh']} kWh",
            "Source": f"{energy.get('source', 'unknown')}, of {energy.get('provider', 'unknown')}",
            **({"Carbon": f"{energy['co2_kg']} kg CO2 equivalent"} if "co2_kg" in energy else {}),
        }
        found.append(Section("Environment", [Facts(pairs)]))
    return found
