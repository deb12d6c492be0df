"""The analysis by its schema, and the page: complete, escaped, self-contained."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pandas as pd
import pytest

import airflow_mlsecops.core.poisoning
from airflow_mlsecops.core.controls.label_poisoning import detect_label_poisoning
from airflow_mlsecops.core.errors import ConfigurationError, DataError
from airflow_mlsecops.core.poisoning.roles import Roles
from airflow_mlsecops.core.report import Report
from tests.support.labelled import dataset, flip, frame_of, two_clouds, write

SCHEMA = Path(airflow_mlsecops.core.poisoning.__path__[0]) / "schemas" / "poisoning-analysis-v1.json"
EVIL = "<script>alert('x')</script>"


def poisoned() -> pd.DataFrame:
    features, labels = two_clouds(160)
    changed, rows = flip(labels, 0.15, old=1, new=0)
    frame = frame_of(features, [("safe", EVIL)[k] for k in changed])
    frame["source"] = [EVIL if row in rows else f"s{row % 5}" for row in range(160)]
    frame["day"] = [f"2026-02-{1 + row // 20:02d}" for row in range(160)]
    frame["row_id"] = [f"{EVIL}{row:03d}" for row in range(160)]
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
    for heading in ("What it looks like", "Who and what", "What each detector saw", "Sources", "Time line"):
        assert f"<h2>{heading}</h2>" in page
    assert "targeted attack" in page
    assert "<circle" in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert not re.search(r"""(src|href)\s*=|url\(|@import|\son\w+=""", page)
    assert "AML.T0020" in page
    assert len(page) < 500_000


def test_suspects_with_their_neighbours(report: Report) -> None:
    rows = json.loads(report.blobs["suspects.json"])
    page = report.blobs["report.html"].decode()
    assert rows[0]["source"] == EVIL
    assert rows[0]["detectors"]
    assert f"{rows[0]['quality']:.3f}" in page
    assert page.count("<tr>") > len(rows)
    assert "nearest 5 rows" in page


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
