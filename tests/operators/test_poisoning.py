"""Detection with sources and a baseline, and sanitizing, as tasks over real evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import control_run, provenance
from airflow_mlsecops.operators.detect_label_poisoning import DetectLabelPoisoningOperator
from airflow_mlsecops.operators.sanitize_dataset import SanitizeDatasetOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from tests.support.deployment import Deployment
from tests.support.labelled import flip, frame_of, two_clouds
from tests.support.released_data import release
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow

ROWS = 120


def write(path: Path, *, flipped: float = 0.15) -> tuple[Path, set[str]]:
    """Two clouds; a share of class 1, all of source ``mallory``, is called 0. The path, and the ids of the flipped."""
    features, labels = two_clouds(ROWS)
    changed, rows = flip(labels, flipped, old=1, new=0)
    frame = frame_of(features, [("low", "high")[k] for k in changed])
    frame["source"] = ["mallory" if row in rows else f"s{row % 4}" for row in range(ROWS)]
    frame.to_csv(path, index=False)
    return path, {f"r{row:05d}" for row in rows}


def detect(artifact: Any, deployment: Deployment, **kwargs: Any) -> OpRun:
    given = {
        "label_column": "label",
        "id_column": "row_id",
        "source_column": "source",
        "estimator": "sklearn.naive_bayes:GaussianNB",
        "on_fail": "continue",
        **kwargs,
    }
    operator = DetectLabelPoisoningOperator(task_id="poisoning", artifact=artifact, **given)
    return run_op(operator, connections=deployment.connections)


def sanitize(artifact: Any, target: Path, deployment: Deployment, **kwargs: Any) -> OpRun:
    given = {"label_column": "label", "id_column": "row_id", **kwargs}
    operator = SanitizeDatasetOperator(task_id="sanitize", artifact=artifact, target=str(target), **given)
    return run_op(operator, connections=deployment.connections)


def result_of(run: OpRun, deployment: Deployment) -> tuple[control_run.ControlResult, dict[str, bytes]]:
    """What the statement says, and the blobs that it names."""
    reference = run.xcoms["return_value"]
    (item,) = [
        item
        for item in deployment.about(reference["artifact"]["digest"]).of("test-result")
        if item.digest == reference["evidence"]
    ]
    blobs = item.statement.predicate[control_run.CONTROL_RUN]["blobs"]
    return control_run.parse(item.statement), {
        blob["name"]: deployment.store.get_blob(blob["digest"]["sha256"]) for blob in blobs
    }


def test_the_guilty_source_is_named_and_the_report_is_kept(tmp_path: Path, deployment: Deployment) -> None:
    path, flipped = write(tmp_path / "rows.csv")
    done = detect(str(path), deployment)
    result, blobs = result_of(done, deployment)
    assert result.metrics["judgement"] == "targeted attack"
    assert any(f["rule"] == "label-poisoning/source" and "'mallory'" in f["message"] for f in result.findings)
    assert {row["row_id"] for row in json.loads(blobs["suspects.json"])} == flipped
    assert json.loads(blobs["analysis.json"])["suspects"]["sources"] == ["mallory"]
    assert b"mallory" in blobs["report.html"]
    assert len(json.dumps(done.xcoms["return_value"])) < 4096


def test_accused_rows_are_removed_and_the_account_is_signed(tmp_path: Path, deployment: Deployment) -> None:
    path, flipped = write(tmp_path / "rows.csv")
    before = path.read_bytes()
    found = detect(str(path), deployment).xcoms["return_value"]
    done = sanitize(found, tmp_path / "made" / "clean.csv", deployment)
    assert done.state == "success"
    reference = done.xcoms["return_value"]
    kept = (tmp_path / "made" / "clean.csv").read_bytes().splitlines(keepends=True)
    assert kept == [line for line in before.splitlines(keepends=True) if line.split(b",")[0].decode() not in flipped]
    assert path.read_bytes() == before
    assert reference["artifact"]["digest"] == pin(str(tmp_path / "made" / "clean.csv")).artifact.digest
    account = json.loads(deployment.store.get_blob(reference["account"]))
    assert {row["row_id"] for row in account["rows"]} == flipped
    (item,) = deployment.about(reference["artifact"]["digest"]).of("provenance")
    said = provenance.parse(item.statement)
    assert [dataset.digest for dataset in said.datasets()] == [found["artifact"]["digest"]]
    assert said.parameters["account"] == reference["account"]
    assert said.parameters["verdict"] == found["evidence"]
    again = detect(reference, deployment)
    assert again.xcoms["return_value"]["verdict"] == "pass"


def test_nothing_is_written_over(tmp_path: Path, deployment: Deployment) -> None:
    path, _ = write(tmp_path / "rows.csv")
    found = detect(str(path), deployment).xcoms["return_value"]
    (tmp_path / "there.csv").write_text("mine")
    done = sanitize(found, tmp_path / "there.csv", deployment)
    assert done.state == "failed"
    assert "already" in str(done.error)
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_only_a_verified_verdict_about_these_bytes_counts(tmp_path: Path, deployment: Deployment) -> None:
    path, _ = write(tmp_path / "rows.csv")
    other, _ = write(tmp_path / "other.csv", flipped=0.2)
    found, foreign = (detect(str(each), deployment).xcoms["return_value"] for each in (path, other))
    for reference, message in (
        ({**found, "evidence": foreign["evidence"]}, "no verified label-poisoning statement"),
        ({"artifact": found["artifact"]}, "names no evidence"),
        (str(path), "names no evidence"),
    ):
        done = sanitize(reference, tmp_path / "clean.csv", deployment)
        assert done.state == "failed"
        assert message in str(done.error)
    deployment.trust_file.write_text(deployment.trust_file.read_text().replace("control", "approve"))
    assert "no verified label-poisoning statement" in str(sanitize(found, tmp_path / "clean.csv", deployment).error)
    assert not (tmp_path / "clean.csv").exists()


def test_bytes_that_changed_since_are_refused(tmp_path: Path, deployment: Deployment) -> None:
    path, _ = write(tmp_path / "rows.csv")
    found = detect(str(path), deployment).xcoms["return_value"]
    path.write_bytes(path.read_bytes().replace(b"high", b"low", 1))
    done = sanitize(found, tmp_path / "clean.csv", deployment)
    assert done.state == "failed"
    assert "artifact-changed" in str(done.error)


def test_a_list_of_suspects_that_was_swapped_in_the_store_is_refused(tmp_path: Path, deployment: Deployment) -> None:
    path, _ = write(tmp_path / "rows.csv")
    found = detect(str(path), deployment).xcoms["return_value"]
    (suspects,) = [
        blob for blob in (deployment.evidence / "blobs").iterdir() if blob.read_bytes().startswith(b'[{"detectors"')
    ]
    suspects.chmod(0o644)
    suspects.write_bytes(canonical_json([]))
    done = sanitize(found, tmp_path / "clean.csv", deployment)
    assert done.state == "failed"
    assert "evidence-broken" in str(done.error)


@pytest.mark.parametrize("how", ["digest", "last-released"])
@pytest.mark.parametrize("moved", [False, True])
def test_a_baseline_is_found_where_its_signature_says(
    how: str, moved: bool, tmp_path: Path, deployment: Deployment
) -> None:
    trusted, _ = write(tmp_path / "trusted.csv", flipped=0.0)
    digest = pin(str(trusted)).artifact.digest
    frame = pd.read_csv(trusted)
    frame.loc[3, "label"] = "low"
    frame.to_csv(tmp_path / "next.csv", index=False)
    named = {"baseline": how if how == "last-released" else digest, "artifact_name": "rows", "source_column": None}
    unsigned = detect(str(tmp_path / "next.csv"), deployment, **named)
    assert "[baseline]" in str(unsigned.error)
    signer = SignArtifactOperator(task_id="sign", artifact=str(trusted), artifact_kind="dataset")
    assert run_op(signer, connections=deployment.connections).state == "success"
    release(trusted, deployment, name="rows")
    if moved:
        frame.to_csv(trusted, index=False)
    done = detect(str(tmp_path / "next.csv"), deployment, **named, budget=0.5)
    if moved:
        assert "artifact-changed" in str(done.error)
        return
    result, _ = result_of(done, deployment)
    assert any(finding["rule"] == "label-poisoning/changed-labels" for finding in result.findings)


@pytest.mark.parametrize("sign", [True, False])
def test_a_baseline_counts_only_when_it_is_signed(tmp_path: Path, deployment: Deployment, sign: bool) -> None:
    trusted, _ = write(tmp_path / "trusted.csv", flipped=0.0)
    frame = pd.read_csv(trusted)
    frame.loc[3, "label"] = "low"
    frame.to_csv(tmp_path / "next.csv", index=False)
    if sign:
        signer = SignArtifactOperator(task_id="sign", artifact=str(trusted), artifact_kind="dataset")
        assert run_op(signer, connections=deployment.connections).state == "success"
    done = detect(str(tmp_path / "next.csv"), deployment, baseline=str(trusted), source_column=None, budget=0.5)
    if not sign:
        assert done.state == "failed"
        assert "signature-invalid" in str(done.error)
        return
    result, blobs = result_of(done, deployment)
    assert result.metrics["judgement"] == "targeted attack"
    (finding,) = [f for f in result.findings if f["rule"] == "label-poisoning/changed-labels"]
    assert finding["message"] == "1 of 120 known rows have another label than in the trusted version"
    assert [row["row_id"] for row in json.loads(blobs["suspects.json"])] == ["r00003"]
