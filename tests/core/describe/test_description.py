"""Bill and cards: valid by the strict schema, complete, and harmless to whoever opens them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from airflow_mlsecops.core.artifact import Form
from airflow_mlsecops.core.describe.bom import check
from airflow_mlsecops.core.describe.card_markdown import escaped
from airflow_mlsecops.core.describe.content import Content
from airflow_mlsecops.core.describe.description import BOM_FILE, HTML_FILE, MARKDOWN_FILE, describe
from airflow_mlsecops.core.describe.told import Told
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import ConfigurationError, StatementError
from airflow_mlsecops.core.manifest import FileEntry, Manifest
from airflow_mlsecops.core.predicates import bom
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.telling import Tone, run_of
from airflow_mlsecops.core.telling import describe as tell


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_bill_says_what_is_known(full: Content) -> None:
    found = describe(full).bom
    model = found["metadata"]["component"]
    assert model["licenses"] == [{"license": {"id": "Apache-2.0"}}]
    assert model["hashes"] == [{"alg": "SHA-256", "content": full.artifact.digest}]
    parts = {item["name"]: item for item in found["components"]}
    assert parts["digits"]["licenses"] == [{"license": {"id": "CC-BY-4.0"}}]
    assert parts["digits"]["data"][0]["sensitiveData"] == ["handwriting"]
    assert parts["base"]["type"] == "machine-learning-model"
    assert {name: parts[name]["scope"] for name in ("scikit-learn", "numpy", "pytest")} == {
        "scikit-learn": "required", "numpy": "required", "pytest": "optional",
    }  # fmt: skip
    assert parts["numpy"]["purl"] == "pkg:pypi/numpy@2.4.0"
    needed = found["dependencies"][0]["dependsOn"]
    assert "pkg:pypi/pytest@9.0.0" not in needed
    assert f"sha256:{full.lineage.inputs[0].digest}" in needed
    card = model["modelCard"]
    assert card["quantitativeAnalysis"]["performanceMetrics"][0] == {
        "type": "accuracy", "value": "0.95", "confidenceInterval": {"lowerBound": "0.93", "upperBound": "0.97"},
    }  # fmt: skip
    considered = card["considerations"]
    assert considered["ethicalConsiderations"][0]["mitigationStrategy"] == "Measured"
    energy = considered["environmentalConsiderations"]["energyConsumptions"][0]
    assert energy["co2CostEquivalent"] == {"value": 0.008 / 1000, "unit": "tCO2eq"}
    assert any("ended in WARN" in item for item in considered["technicalLimitations"])
    values = {item["name"]: item["value"] for item in model["properties"]}
    assert values["airflow-mlsecops:parameter:C"] == "0.05"


def test_bill_is_the_same_for_the_same_content(full: Content) -> None:
    assert describe(full).files == describe(full).files


def test_installed_packages_are_asked_once_for_their_modules(full: Content, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each asking reads the metadata of everything that is installed; a bill has hundreds of packages."""
    asked: list[int] = []

    def owners() -> dict[str, list[str]]:
        asked.append(1)
        return {"sklearn": ["scikit-learn"], "numpy": ["numpy"]}

    monkeypatch.setattr("airflow_mlsecops.core.describe.packages.packages_distributions", owners)
    bill = describe(full).bom
    assert [item["name"] for item in bill["components"] if item.get("scope") == "required"] == ["numpy", "scikit-learn"]
    assert asked == [1]


def test_bill_with_nothing_known_is_valid_and_says_so(bare: Content) -> None:
    written = describe(bare)
    limits = written.bom["metadata"]["component"]["modelCard"]["considerations"]["technicalLimitations"]
    assert len(limits) == 3
    for document in (written.files[MARKDOWN_FILE].decode(), written.files[HTML_FILE].decode()):
        assert "Not measured when this was written" in document
        assert "none given" in document


def test_folder_lists_its_files(bare: Content) -> None:
    files = Manifest((FileEntry("model.bin", 10, bare.artifact.digest),))
    tree = replace(bare, artifact=replace(bare.artifact, form=Form.TREE), manifest=files)
    component = describe(tree).bom["metadata"]["component"]
    assert [item["name"] for item in component["components"]] == ["model.bin"]
    assert "hashes" not in component


def test_cards_are_named_by_digest_and_read_back(full: Content) -> None:
    written = describe(full)
    statement = bom.build(full.artifact, written.bom)
    bill = bom.parse(Statement.parse(statement.payload))
    assert bill.cards == {name: sha256_bytes(data) for name, data in written.cards.items()}
    assert bill.subject.licences == ("Apache-2.0",)
    assert [part.name for part in bill.datasets()] == ["digits"]
    assert json.loads(written.files[BOM_FILE]) == statement.predicate
    told = tell(statement)
    assert (told.what, told.tone) == ("bill of materials", Tone.PLAIN)
    assert "Apache-2.0" in told.line


def test_a_bill_names_the_run_that_made_it(full: Content) -> None:
    run = {"dag_id": "train", "run_id": "r", "task_id": "describe", "map_index": -1, "try_number": 2}
    document = describe(replace(full, run={**run, "triggered_by": "somebody"})).bom
    check(document)
    assert run_of(bom.build(full.artifact, document)) == run
    assert run_of(bom.build(full.artifact, describe(full).bom)) == {}


@pytest.mark.parametrize(
    "properties", [None, "x", [7], [{"name": 7, "value": "x"}], [{"name": "dag_id", "value": "x"}]]
)
def test_a_bill_whose_run_cannot_be_read_names_none(full: Content, properties: Any) -> None:
    document = describe(full).bom
    document["metadata"]["properties"] = properties
    assert run_of(bom.build(full.artifact, document)) == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.update(bomFormat="SPDX"),
        lambda value: value["metadata"].pop("timestamp"),
        lambda value: value["metadata"].pop("component"),
        lambda value: value["metadata"]["component"].update(licenses=[{"license": {}}]),
        lambda value: value["metadata"]["component"].update(hashes=[{"alg": "SHA-256", "content": "x"}]),
        lambda value: value.update(components="none"),
        lambda value: value["components"].append({"type": "data"}),
    ],
)
def test_malformed_bill_is_an_error_and_told_as_unreadable(full: Content, change: Any) -> None:
    value = json.loads(json.dumps(describe(full).bom))
    change(value)
    statement = bom.build(full.artifact, value)
    with pytest.raises(StatementError):
        bom.parse(statement)
    assert tell(statement).verdict == "unreadable"


def test_hostile_words_stay_words(full: Content) -> None:
    written = describe(full)
    html, markdown = written.files[HTML_FILE].decode(), written.files[MARKDOWN_FILE].decode()
    tags = Tags()
    tags.feed(html)
    assert not tags.seen & {"img", "script", "a", "iframe", "link", "object"}
    assert not {name for name in tags.attributes if name.startswith("on")}
    assert "\u202e" not in html + markdown
    assert not re.search(r"(?<!\\)<", markdown)
    assert not re.search(r"(?<!\\)\]\(", markdown)
    (columns,) = {line.count("|") for line in markdown.splitlines() if line.startswith("| about")}
    rows = [line for line in markdown.splitlines() if "data\\-validation" in line and line.startswith("|")]
    assert rows
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {columns}


@pytest.mark.parametrize(("text", "wanted"), [("a\nb", "a b"), ("1. x", "1\\. x"), ("a_b*c", "a\\_b\\*c")])
def test_markdown_escapes(text: str, wanted: str) -> None:
    assert escaped(text) == wanted


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"modle": {}}, "modle"),
        ({"model": {"approach": "magic"}}, "magic"),
        ({"model": {"metrics": {"f1": "high"}}}, "metrics.f1"),
        ({"environment": {}}, "energy_kwh"),
        ({"considerations": {"ethical": [{"mitigation": "x"}]}}, "risk"),
    ],
)
def test_wrong_words_are_named(value: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Told.from_mapping(value)


def test_file_is_read_strictly() -> None:
    told = Told.from_bytes(b"model: {version: '1', licence: MIT}\n")
    assert told.model == {"version": "1", "licence": "MIT"}
    with pytest.raises(ConfigurationError, match="twice"):
        Told.from_bytes(b"model: {}\nmodel: {}\n")


def test_strict_schema_refuses_what_it_doesnt_know(full: Content) -> None:
    with pytest.raises(ConfigurationError, match="surprise"):
        check({**describe(full).bom, "surprise": 1})


@pytest.mark.parametrize(
    ("licence", "wanted"),
    [
        ("MIT", {"license": {"id": "MIT"}}),
        ("MIT OR Apache-2.0", {"expression": "MIT OR Apache-2.0"}),
        ("Our own terms", {"license": {"name": "Our own terms"}}),
    ],
)
def test_licences(bare: Content, licence: str, wanted: Any) -> None:
    found = describe(replace(bare, told=Told.from_mapping({"model": {"licence": licence}}))).bom
    assert found["metadata"]["component"]["licenses"] == [wanted]
