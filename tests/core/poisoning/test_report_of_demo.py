"""The demo's poisoned data: the report names the flipped pair and the guilty source, and people can read it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import make_demo_data
import pytest

from airflow_mlsecops.core.controls.label_poisoning import detect_label_poisoning
from airflow_mlsecops.core.pinning.pin import pin
from airflow_mlsecops.core.poisoning.roles import Roles
from airflow_mlsecops.core.report import Report, Verdict
from tests.support.browser import look_at, needs_browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """As ``dags/secure_training_pipeline.py`` judges it."""
    path = make_demo_data.write_poisoned(tmp_path_factory.mktemp("demo") / "digits_poisoned.csv").path
    artifact = pin(str(path), name="digits").artifact
    return detect_label_poisoning(
        artifact, path, label_column="label", id_column="row_id", roles=Roles(source="source"), budget=0.02
    )


def test_pair_and_source_are_named(report: Report) -> None:
    assert report.verdict is Verdict.FAIL
    suspects = json.loads(report.blobs["analysis.json"])["suspects"]
    old, new = str(make_demo_data.FROM_LABEL), str(make_demo_data.TO_LABEL)
    assert (suspects["pairs"][0]["suggested"], suspects["pairs"][0]["given"]) == (old, new)
    assert suspects["sources"] == [make_demo_data.GUILTY]
    top, *_ = report.blobs["report.html"].decode().split("</section>")
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", top))
    for told in ("targeted attack", f"look like {old} are labelled {new}", make_demo_data.GUILTY, "FAIL"):
        assert told in words


@needs_browser
def test_its_page_runs_nothing_and_people_can_read_it(report: Report, tmp_path: Path) -> None:
    assert look_at(report.blobs["report.html"], tmp_path, axe=False) == {"active": [], "did": [], "unreadable": []}
