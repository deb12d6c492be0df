"""Profiling a data set, and validating a later version against it, as tasks over real evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from airflow_mlsecops.core.evidence import Evidence
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import control_run
from airflow_mlsecops.core.profile.model import Profile
from airflow_mlsecops.core.signing import generate_key
from airflow_mlsecops.core.trust_document import trust_document
from airflow_mlsecops.operators.profile_dataset import ProfileDatasetOperator
from airflow_mlsecops.operators.validate_data import ValidateDataOperator
from tests.core.profile.tables import sample
from tests.support.deployment import Deployment
from tests.support.released_data import release
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow

SUITE = {
    "name": "stable",
    "expectations": [
        {"type": "expect_table_schema_to_match_baseline", "kwargs": {}},
        {"type": "expect_column_labels_to_match_baseline", "kwargs": {"column": "name"}},
        {"type": "expect_column_distribution_to_match_baseline", "kwargs": {"column": "x"}},
    ],
}


def write(folder: Path, seed: int, **kwargs: Any) -> Path:
    """A version of the data set; each lies in a folder of its own and has the same name."""
    path = folder / str(seed) / "customers.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(sample(3000, seed, **kwargs), path)
    return path


def profile(artifact: Any, deployment: Deployment, **kwargs: Any) -> OpRun:
    operator = ProfileDatasetOperator(task_id="profile", artifact=artifact, **kwargs)
    return run_op(operator, connections=deployment.connections)


def validate(artifact: Any, deployment: Deployment, **kwargs: Any) -> OpRun:
    operator = ValidateDataOperator(task_id="validate", artifact=artifact, **{"suite": SUITE, **kwargs})
    return run_op(operator, connections=deployment.connections)


def statement_of(run: OpRun, deployment: Deployment) -> Evidence:
    """The evidence that the task's reference, or the only one that the failed task's XCom, names."""
    reference = run.xcoms.get("return_value") or run.xcoms["mlsecops"]
    (item,) = [
        item
        for item in deployment.about(reference["artifact"]["digest"]).of("test-result")
        if item.digest == reference["evidence"]
    ]
    return item


def parameters(item: Evidence) -> dict[str, Any]:
    found: dict[str, Any] = item.statement.predicate["configuration"][0]["annotations"]
    return found


def test_a_profile_is_a_signed_result_with_a_blob(tmp_path: Path, deployment: Deployment) -> None:
    done = profile(str(write(tmp_path, 1)), deployment, label_column="name")
    assert done.state == "success"
    item = statement_of(done, deployment)
    assert control_run.parse(item.statement).control == "data-profile"
    (blob,) = item.statement.predicate[control_run.CONTROL_RUN]["blobs"]
    assert blob["name"] == "profile.json"
    read = Profile.from_bytes(deployment.store.get_blob(blob["digest"]["sha256"]))
    assert (read.rows, read.label) == (3000, "name")
    assert parameters(item)["schema_sha256"] == read.schema_digest
    assert len(json.dumps(done.xcoms["return_value"])) < 4096


@pytest.mark.parametrize("kwargs", [{"label_column": "gone"}, {"label_column": "x"}])
def test_a_label_that_cannot_be_counted_is_a_signed_fail(
    kwargs: dict[str, Any], tmp_path: Path, deployment: Deployment
) -> None:
    done = profile(str(write(tmp_path, 1)), deployment, **kwargs)
    assert done.state == "failed"
    assert control_run.parse(statement_of(done, deployment).statement).verdict.value == "fail"


@pytest.mark.parametrize("how", ["digest", "path", "reference", "last-released"])
def test_a_later_version_is_compared_with_what_was_named(how: str, tmp_path: Path, deployment: Deployment) -> None:
    was = write(tmp_path, 1)
    profiled = profile(str(was), deployment).xcoms["return_value"]
    release(was, deployment)
    named = {"digest": pin(str(was)).artifact.digest, "path": str(was), "reference": profiled}.get(how, how)
    good = validate(str(write(tmp_path, 2)), deployment, artifact_name="customers", baseline=named)
    assert good.state == "success", good.logs
    told = parameters(statement_of(good, deployment))["baseline"]
    assert told["dataset_sha256"] == pin(str(was)).artifact.digest
    assert told["profile_evidence_sha256"] == profiled["evidence"]
    assert ("released_model_sha256" in told) is (how == "last-released")
    bad = validate(
        str(write(tmp_path, 3, scale=1.4, flipped=0.2)), deployment, artifact_name="customers", baseline=named
    )
    assert bad.state == "failed"
    result = control_run.parse(statement_of(bad, deployment).statement)
    assert [finding["rule"].split("/")[1] for finding in result.findings] == [
        "expect_column_labels_to_match_baseline",
        "expect_column_distribution_to_match_baseline",
    ]


@pytest.mark.parametrize("named", ["last-released", "0" * 64, "/nowhere/data.csv", "", "{{ none }}"])
def test_without_one_it_is_a_signed_fail_that_says_why(named: str, tmp_path: Path, deployment: Deployment) -> None:
    done = validate(str(write(tmp_path, 1)), deployment, baseline=named)
    assert done.state == "failed"
    item = statement_of(done, deployment)
    assert control_run.parse(item.statement).verdict.value == "fail"
    assert parameters(item)["baseline"]["missing"]
    rules = {finding["rule"].split("/")[1] for finding in control_run.parse(item.statement).findings}
    assert rules == {"no-baseline", *(each["type"] for each in SUITE["expectations"])}  # type: ignore[index]


def test_without_the_argument_what_needs_one_fails(tmp_path: Path, deployment: Deployment) -> None:
    done = validate(str(write(tmp_path, 1)), deployment)
    assert done.state == "failed"
    findings = control_run.parse(statement_of(done, deployment).statement).findings
    assert {finding["message"] for finding in findings} == {"no baseline was given"}


def test_a_forged_profile_and_a_signer_without_the_role_do_not_count(tmp_path: Path, deployment: Deployment) -> None:
    was, now = write(tmp_path, 1), write(tmp_path, 2)
    pem, _ = generate_key()
    own = deployment.key.read_bytes()
    deployment.key.write_bytes(pem)
    profile(str(was), deployment)  # by a key that nobody knows
    deployment.key.write_bytes(own)
    done = validate(str(now), deployment, baseline=str(was))
    assert done.state == "failed"
    assert "no profile" in parameters(statement_of(done, deployment))["baseline"]["missing"]
    profile(str(was), deployment)
    assert validate(str(now), deployment, baseline=str(was)).state == "success"
    deployment.trust_file.write_text(
        trust_document("pipeline", deployment.public, ("control:data-validation", "provenance"))
    )
    done = validate(str(now), deployment, baseline=str(was))
    assert done.state == "failed"
    assert "no profile" in parameters(statement_of(done, deployment))["baseline"]["missing"]
