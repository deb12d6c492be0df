"""What travels through XCom has at most 4 KiB, whatever fails and whatever things are called."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.artifact import Artifact, Form, Kind
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.operators.approval_gate import ApprovalGateOperator
from airflow_mlsecops.operators.attest_provenance import AttestProvenanceOperator
from airflow_mlsecops.operators.base import MlsecopsOperator
from airflow_mlsecops.operators.control import ControlOperator
from airflow_mlsecops.operators.detect_label_poisoning import DetectLabelPoisoningOperator
from airflow_mlsecops.operators.reference import MAX_BYTES, bounded
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from airflow_mlsecops.operators.revoke import RevokeArtifactOperator
from airflow_mlsecops.operators.sanitize_dataset import SanitizeDatasetOperator
from airflow_mlsecops.operators.scan_model import ScanModelOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.operators.validate_data import ValidateDataOperator
from airflow_mlsecops.operators.verify_artifact import VerifyArtifactOperator
from tests.support.deployment import Deployment
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow

WIDE = "\U0001f4a3"
"""One letter, four bytes of UTF-8, twelve of JSON that is written in ASCII."""
NAME = WIDE * 2000


def sizes(run: OpRun) -> dict[str, int]:
    """Bytes of each XCom, as JSON in its longest form."""
    return {key: len(json.dumps(value)) for key, value in run.raw_xcoms.items()}


def small(run: OpRun) -> bool:
    found = sizes(run)
    assert "mlsecops" in found
    return max(found.values()) <= MAX_BYTES


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A hundred columns with very long names in a folder with a long one, each of which fails twice."""
    folder = tmp_path / ("d" * 200) / (WIDE * 60)
    folder.mkdir(parents=True)
    path = folder / f"{WIDE * 55}.parquet"
    pq.write_table(pa.table({f"{n} {WIDE * 250}": pa.array([None, n]) for n in range(100)}), path)
    return path


def test_hundreds_of_failing_expectations(data: Path, deployment: Deployment) -> None:
    items = [
        {"type": kind, "kwargs": {"column": f"{n} {WIDE * 250}", **more}}
        for n in range(100)
        for kind, more in (
            ("expect_column_values_to_not_be_null", {}),
            ("expect_column_values_to_be_between", {"min_value": 1000}),
        )
    ]
    operator = ValidateDataOperator(
        task_id="validate",
        artifact=str(data),
        artifact_name=NAME,
        suite={"name": WIDE * 2_000, "expectations": items},
        on_fail="continue",
        quarantine_uri=str(data.parent.parent / "q"),
        remainder_uri=str(data.parent.parent / "r"),
    )
    run = run_op(operator, connections=deployment.connections)
    assert run.state == "success"
    assert small(run)
    reference = run.xcoms["mlsecops"]
    assert reference["findings"] == 200
    assert Artifact.from_dict(reference["artifact"]).uri == data.as_uri()  # only what people read was cut
    assert reference["artifact"]["name"].endswith("…")
    assert "_link_ValidationReportLink" in run.xcoms


class Shouting(ControlOperator):
    """Says as much as a control can."""

    control_name = "shouting"

    def control(self, artifact: Artifact, path: Path) -> Report:
        findings = tuple(Finding(NAME, Severity.CRITICAL, NAME, NAME) for _ in range(500))
        return Report(artifact, self.control_name, Verdict.FAIL, NAME, findings)


def policy_at(artifact: str) -> str:
    """A release policy that asks for fifty things with long names, none of which is there."""
    asked = [{"evidence": "test-result", "of": "model", "control": f"c{n}{WIDE * 200}"} for n in range(50)]
    path = Path(artifact).with_name("policy.json")
    path.write_text(json.dumps({"version": 1, "name": WIDE * 500, "require": asked}, ensure_ascii=False))
    return str(path)


OPERATORS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "any control": lambda given: Shouting(on_fail="continue", **given),
    "poisoning": lambda given: DetectLabelPoisoningOperator(label_column=NAME, on_fail="continue", **given),
    "scan": lambda given: ScanModelOperator(on_fail="continue", **given),
    "sign": lambda given: SignArtifactOperator(**given),
    "verify": lambda given: VerifyArtifactOperator(on_fail="continue", **given),
    "release": lambda given: ReleaseGateOperator(on_fail="continue", policy=policy_at(given["artifact"]), **given),
    "attest": lambda given: AttestProvenanceOperator(materials=[], parameters={"x": NAME}, **given),
    "revoke": lambda given: RevokeArtifactOperator(reason=NAME[:400], **given),
}


@pytest.mark.parametrize("which", OPERATORS)
def test_every_operator(which: str, data: Path, tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "deployment", roles=("control", "provenance", "sign", "gate", "revoke"))
    given_: dict[str, Any] = {"task_id": "t", "artifact": str(data), "artifact_name": NAME}
    run = run_op(OPERATORS[which](given_), connections=deployment.connections)
    assert run.state == "success", run.error
    assert small(run)


@pytest.mark.parametrize("operator", [ApprovalGateOperator, SanitizeDatasetOperator])
def test_what_the_others_hand_on_goes_the_same_way(operator: Any) -> None:
    assert operator.end is MlsecopsOperator.end  # where all references are bounded
    assert "xcom_push" not in inspect.getsource(sys.modules[operator.__module__])


def test_a_path_that_no_reference_can_hold_is_refused_before_any_work(tmp_path: Path, deployment: Deployment) -> None:
    folder = tmp_path
    while len(str(folder)) < 3700:
        folder = folder / ("d" * 200)
    folder.mkdir(parents=True)
    (folder / "t.csv").write_text("a\n1\n")
    operator = Shouting(task_id="t", artifact=str(folder / "t.csv"))
    run = run_op(operator, connections=deployment.connections)
    assert run.state == "failed"
    assert "give the data a shorter path" in str(run.error)
    assert deployment.bundles() == []


TEXT = st.text(max_size=300) | st.integers(0, 3000).map(lambda n: WIDE * n)


@given(name=TEXT, summary=TEXT, reasons=st.lists(TEXT, max_size=12))
def test_bounded(name: str, summary: str, reasons: list[str]) -> None:
    """At most 4 KiB; what has room is left as it is; what must be exact is exact."""
    artifact = Artifact(name, "s3://b/" + "k" * 1000, Kind.DATASET, Form.FILE, sha256_bytes(b""), 0, 1, "v" * 100)
    reference = {"artifact": artifact.to_dict(), "summary": summary, "reasons": reasons, "evidence": "0" * 64}
    found = bounded(reference)
    assert len(json.dumps(found)) <= MAX_BYTES
    if len(json.dumps(reference)) <= MAX_BYTES:
        assert found == reference
    assert found["evidence"] == reference["evidence"]
    assert found["artifact"] | {"name": name} == artifact.to_dict()
    for cut, whole in zip([found["summary"], *found["reasons"]], [summary, *reasons], strict=True):
        assert cut == whole or (cut.endswith("…") and whole.startswith(cut[:-1]))


def test_what_must_not_be_cut_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="more than 4096 bytes"):
        bounded({"artifact": {"uri": "x" * 5000, "name": "n"}})
