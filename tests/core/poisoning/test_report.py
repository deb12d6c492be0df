"""The analysis by its schema, and the page: complete, escaped, self-contained."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

import airflow_mlsecops.core.poisoning
from airflow_mlsecops.core.controls.label_poisoning import detect_label_poisoning
from airflow_mlsecops.core.errors import ConfigurationError, DataError
from airflow_mlsecops.core.poisoning.report_touched import touched
from airflow_mlsecops.core.poisoning.roles import Roles
from airflow_mlsecops.core.report import Report
from tests.core.validation.payloads import PAYLOADS
from tests.support.browser import look_at, needs_browser
from tests.support.labelled import dataset, flip, frame_of, two_clouds, write

SCHEMA = Path(airflow_mlsecops.core.poisoning.__path__[0]) / "schemas" / "poisoning-analysis-v1.json"
EVIL = "<script>alert('x')</script>"
ATTACKS = [payload for payload in PAYLOADS if payload.isprintable() and payload.strip() == payload]


def poisoned() -> pd.DataFrame:
    features, labels = two_clouds(160)
    changed, rows = flip(labels, 0.15, old=1, new=0)
    frame = frame_of(features, [("safe", EVIL)[k] for k in changed])
    frame = frame.rename(columns={"f1": f"{EVIL} 1"})
    frame["source"] = [EVIL if row in rows else f"s{row % 5}" for row in range(160)]
    frame["day"] = [f"2026-02-{1 + row // 20:02d}" for row in range(160)]
    frame["row_id"] = [f"{ATTACKS[row % len(ATTACKS)]} {row:03d}" for row in range(160)]
    return frame


def detect(frame: pd.DataFrame, tmp_path: Path, **arguments: Any) -> Report:
    path = write(frame, tmp_path / "rows.csv")
    return detect_label_poisoning(dataset(path), path, label_column="label", id_column="row_id", **arguments)


def validate(analysis: dict[str, Any]) -> None:
    schema = json.loads(SCHEMA.read_bytes())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(analysis)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return detect(poisoned(), tmp_path_factory.mktemp("report"), roles=Roles(source="source", time="day"))


def test_the_analysis_is_valid_and_names_source_and_pair(report: Report) -> None:
    analysis = json.loads(report.blobs["analysis.json"])
    validate(analysis)
    assert analysis["verdict"]["judgement"] == "targeted attack"
    assert set(analysis["verdict"]["decided_by"]) >= {"source"}
    assert analysis["suspects"]["sources"] == [EVIL]
    assert analysis["suspects"]["pairs"][0]["given"] == "safe"
    assert analysis["suspects"]["pairs"][0]["suggested"] == EVIL
    assert analysis["blast_radius"]["classes"][0]["accused"] >= 10
    assert np.allclose(np.sum(analysis["noise_matrix"], axis=1), 1, atol=1e-4)
    assert {item["name"] for item in analysis["detectors"]} >= {
        "noise-model",
        "confident-learning/prune_by_noise_rate",
        "near-duplicate-flood",
        "spatial-blocks",
        "label-pair",
        "source",
        "time-run",
    }
    before, after = (analysis["models"][key] for key in sorted(analysis["models"])[:2])
    assert after >= before > 0.9


def test_the_page_holds_it_all_and_runs_nothing(report: Report) -> None:
    page = report.blobs["report.html"].decode()
    headings = re.findall("<h2>([^<]*)", page)
    assert headings == [
        "Verdict: ", "Who and what", "What to do", "Sources", "Time line", "Accused rows", "Noise matrix",
        "What each detector saw", "What was done",
    ]  # fmt: skip
    assert ">targeted attack</span>" in page
    assert f"sha256:{report.subject.digest}" in page
    assert page.count("<circle") == 6  # the guilty source and five others
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert not re.search(r"""<[^>]*\s(src|href|style|on\w+)\s*=""", page)
    assert "AML.T0020" in page
    assert len(page) < 500_000


def test_it_says_what_was_flipped_by_whom_and_what_was_done(report: Report) -> None:
    page = html.unescape(re.sub(r"<[^>]+>", " ", report.blobs["report.html"].decode()))
    page = re.sub(r"\s+", " ", page)
    pair = json.loads(report.blobs["analysis.json"])["suspects"]["pairs"][0]
    assert f"{pair['rows']} rows that look like {EVIL[:20]} are labelled safe" in page
    assert f"{EVIL} the guilty source, by the numbers" in page
    assert f"Find out who can write as {EVIL}, and what else came from there." in page
    assert f"The control says FAIL : {report.summary}." in page
    assert "5 folds, seed 0" in page
    assert f"{report.metrics['suspect_share']:.2%} of the labels; the budget is 2.00%" in page


def test_it_says_what_the_accused_rows_touch(report: Report) -> None:
    analysis = json.loads(report.blobs["analysis.json"])
    page = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", report.blobs["report.html"].decode())))
    _, _, parts = page.partition("Parts of the data touched ")
    for part in analysis["blast_radius"]["parts"]:
        lies = [f"{each['feature'][:40]}" for each in part["unlike"] if abs(each["deviations"]) >= 0.5]
        assert lies
        assert all(each in parts for each in lies)
        assert f"{part['rows']} {part['accused']} {part['accused'] / part['rows']:.1%}" in parts
    assert "What models gain without them" in page


def test_a_region_without_a_say_is_told(tmp_path: Path) -> None:
    features, labels = load_digits(return_X_y=True)
    features, labels = features[:500], labels[:500].copy()
    labels[np.flatnonzero(labels == 4)[:15]] = 9
    found = detect(frame_of(features, [f"<i>{label}" for label in labels]), tmp_path)
    region = next(
        each for each in json.loads(found.blobs["analysis.json"])["detectors"] if each["name"] == "contiguous-region"
    )
    assert region["rows"] >= 15
    page = found.blobs["report.html"].decode()
    assert f"Worth a look, without a say in the verdict: {region['message']}." in html.unescape(page)
    assert "<i>" not in page


def test_labels_that_models_gain_most_on_come_first() -> None:
    recall = [
        {"label": "same", "with_suspects": 0.9, "without_suspects": 0.9},
        {"label": "little", "with_suspects": 0.9, "without_suspects": 0.89},
        {"label": EVIL, "with_suspects": 0.5, "without_suspects": 0.75},
    ]
    models = {
        "accuracy_on_the_rest": 0.8,
        "accuracy_on_the_rest_without_suspects": 0.9,
        "recall_on_the_rest": recall,
    }
    document = {"blast_radius": {"classes": [], "parts": []}, "models": models}
    page = "".join(map(str, touched(document)))
    assert "<script" not in page
    told = html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page)))
    assert "right in 80.00% when they learn with the accused rows, and in 90.00% without them" in told
    assert re.search(f"{re.escape(EVIL)} 50.0% 75.0% \\+25.0 little 90.0% 89.0% -1.0", told)
    assert "same" not in told


@needs_browser
def test_a_real_browser_runs_nothing_and_people_can_read_it(report: Report, tmp_path: Path) -> None:
    assert look_at(report.blobs["report.html"], tmp_path) == {"active": [], "did": [], "unreadable": []}


def test_suspects_with_their_neighbours(report: Report) -> None:
    rows = json.loads(report.blobs["suspects.json"])
    page = report.blobs["report.html"].decode()
    assert rows[0]["source"] == EVIL
    assert rows[0]["detectors"]
    assert f"{rows[0]['quality']:.3f}" in page
    assert "nearest 5 rows" in page
    assert page.count('<td class="short"><span class="chip') == len(rows)  # each with its neighbours
    assert page.count('aria-label="yes"') == sum(len(row["detectors"]) for row in rows)


def test_clean_data_and_given_probabilities(tmp_path: Path) -> None:
    features, labels = two_clouds(60)
    frame = frame_of(features, labels)
    frame["p0"], frame["p1"] = np.where(labels == 0, 0.9, 0.2), np.where(labels == 0, 0.1, 0.8)
    found = detect(frame, tmp_path, roles=Roles(probabilities={"0": "p0", "1": "p1"}))
    analysis = json.loads(found.blobs["analysis.json"])
    validate(analysis)
    assert analysis["verdict"]["judgement"] == "clean"
    assert analysis["models"]["estimator"] == "probabilities given in the data"
    assert analysis["noise_matrix"] is None
    assert b"Nobody and nothing is accused" in found.blobs["report.html"]
    assert b"What to do" not in found.blobs["report.html"]
    assert found.details["feature_columns"] == ["f0", "f1", "f2"]


@pytest.mark.parametrize(
    ("roles", "error", "message"),
    [
        (Roles(source="nowhere"), DataError, "no column 'nowhere'"),
        (Roles(source="gaps"), DataError, "1 of 60 values in column 'gaps' are missing"),
        (Roles(time="gaps"), DataError, "1 of 60 values in column 'gaps' are missing"),
        (Roles(source="label"), ConfigurationError, "column 'label' has two roles"),
        (Roles(source="f0", time="f0"), ConfigurationError, "column 'f0' has two roles"),
        (Roles(probabilities={"0": "f0"}), DataError, "probability columns and labels differ in '1'"),
        (Roles(probabilities={"0": "f0", "1": "f1", "2": "gaps"}), DataError, "differ in '2'"),
        (Roles(probabilities={"0": "f0", "1": "f1"}), DataError, "rows hold no probabilities"),
        (Roles(embeddings=["gaps"]), DataError, "features must be numbers"),
    ],
)
def test_columns_that_cannot_play_their_role(tmp_path: Path, roles: Roles, error: Any, message: str) -> None:
    frame = frame_of(*two_clouds(60))
    frame["gaps"] = [None, *["x"] * 59]
    with pytest.raises(error, match=message) as caught:
        detect(frame, tmp_path, roles=roles)
    assert caught.value.advice


def test_a_baseline_needs_ids(tmp_path: Path) -> None:
    path = write(frame_of(*two_clouds(60)), tmp_path / "rows.csv")
    with pytest.raises(ConfigurationError, match="a baseline is given, but no id_column"):
        detect_label_poisoning(dataset(path), path, label_column="label", baseline=path)
