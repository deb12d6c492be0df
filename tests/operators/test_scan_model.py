"""The model scan as a task: what it signs, whom it compares with, whose allow-lists count."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import control_run, vsa
from airflow_mlsecops.core.predicates.control_run import CONTROL_RUN
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.signing import signer_from_uri
from airflow_mlsecops.operators.scan_model import ScanModelOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from tests.support import pickle_assembler as p
from tests.support.deployment import Deployment
from tests.support.hostile_models import EVIL4
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow

CUSTOM = p.proto(4) + p.stacked("acme.models", "Scorer") + p.EMPTY_TUPLE + p.NEWOBJ + p.STOP
ALLOW = {"package": "acme", "version": "1", "modules": {"acme.models": {"Scorer": "new"}}}


def scan(artifact: Any, deployment: Deployment, **kwargs: Any) -> OpRun:
    operator = ScanModelOperator(task_id="scan", artifact=str(artifact), artifact_name="m", **kwargs)
    return run_op(operator, connections=deployment.connections)


def result_of(path: Path, deployment: Deployment) -> tuple[control_run.ControlResult, dict[str, Any]]:
    items = deployment.about(pin(str(path)).artifact.digest).of("test-result")
    newest = max(items, key=lambda item: control_run.parse(item.statement).finished_at)
    return control_run.parse(newest.statement), dict(newest.statement.predicate[CONTROL_RUN])


def written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def released(path: Path, deployment: Deployment, name: str = "m") -> None:
    """A gate's YES to this model."""
    artifact = pin(str(path), name=name, kind=Kind.MODEL).artifact
    statement = vsa.build(
        artifact, passed=True, verified_at=datetime.now(UTC), policy_name="p", policy_digest="0" * 64,
        trust_digest="0" * 64, evidence=[], reasons=[], run={},
    )  # fmt: skip
    deployment.store.put(signer_from_uri(f"file:{deployment.key}").sign(statement))


def test_clean_model_passes_with_its_imports_as_evidence(tmp_path: Path, deployment: Deployment) -> None:
    path = written(tmp_path, "model.pkl", pickle.dumps({"weights": [1.0, 2.0], "at": datetime(2020, 1, 1)}))
    done = scan(path, deployment)
    assert done.state == "success"
    result, run = result_of(path, deployment)
    assert (result.control, result.verdict) == ("model-scan", Verdict.PASS)
    assert (result.metrics["status"], result.metrics["judgement"], result.metrics["coverage_share"]) == (
        "complete",
        "clean",
        1,
    )
    assert result.metrics["imports"] == ["datetime.datetime"]
    blobs = {item["name"]: item["digest"]["sha256"] for item in run["blobs"]}
    sarif = json.loads(deployment.store.get_blob(blobs["findings.sarif.json"]))
    assert sarif["version"] == "2.1.0"
    assert sarif["runs"][0]["results"] == []


def test_trojan_is_refused_signed_and_never_retried(tmp_path: Path, deployment: Deployment) -> None:
    path = written(tmp_path, "model.pkl", EVIL4)
    done = scan(path, deployment, retries=3)
    assert done.state == "failed"
    assert "os.system" in str(done.error)
    result, run = result_of(path, deployment)
    assert result.verdict is Verdict.FAIL
    assert result.metrics["judgement"] == "refused"
    assert result.findings[0]["techniques"] == ["AML.T0011.000", "ML06:2023"]
    blobs = {item["name"]: item["digest"]["sha256"] for item in run["blobs"]}
    sarif = json.loads(deployment.store.get_blob(blobs["findings.sarif.json"]))
    assert sarif["runs"][0]["results"][0]["level"] == "error"


def test_folder_with_one_bad_file_is_refused(tmp_path: Path, deployment: Deployment) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    written(folder, "config.json", b'{"a": 1}')
    written(folder, "weights.bin", EVIL4)
    assert scan(folder, deployment).state == "failed"
    (folder / "weights.bin").write_bytes(p.proto(4) + p.text("weights") + p.STOP)
    assert scan(folder, deployment).state == "success"


@pytest.mark.parametrize("change", ["unknown", "truncated", "empty"])
def test_what_cannot_be_followed_is_a_fail(change: str, tmp_path: Path, deployment: Deployment) -> None:
    data = {"unknown": bytes(range(200, 256)) * 4, "truncated": EVIL4[:9], "empty": b""}[change]
    path = written(tmp_path, "model.bin", data)
    assert scan(path, deployment).state == "failed"
    assert result_of(path, deployment)[0].verdict is Verdict.FAIL


class TestPinnedImports:
    def test_a_new_import_goes_to_a_person(self, tmp_path: Path, deployment: Deployment) -> None:
        first = written(tmp_path, "first.pkl", pickle.dumps(datetime(2020, 1, 1)))
        scan(first, deployment)
        released(first, deployment)
        same = written(tmp_path, "same.pkl", pickle.dumps(datetime(2021, 1, 1)))
        scan(same, deployment)
        assert result_of(same, deployment)[0].verdict is Verdict.PASS
        other = written(tmp_path, "other.pkl", pickle.dumps([datetime(2021, 1, 1), complex(1, 2)]))
        assert scan(other, deployment).state == "success"
        result = result_of(other, deployment)[0]
        assert result.verdict is Verdict.WARN
        assert [(item["rule"], item["where"]) for item in result.findings] == [
            ("model-scan/new-import", "builtins.complex")
        ]

    def test_so_does_one_that_is_gone(self, tmp_path: Path, deployment: Deployment) -> None:
        first = written(tmp_path, "first.pkl", pickle.dumps([datetime(2020, 1, 1), complex(1, 2)]))
        scan(first, deployment)
        released(first, deployment)
        other = written(tmp_path, "other.pkl", pickle.dumps(datetime(2021, 1, 1)))
        assert scan(other, deployment).state == "success"
        result = result_of(other, deployment)[0]
        assert result.verdict is Verdict.WARN
        assert [(item["rule"], item["where"]) for item in result.findings] == [
            ("model-scan/gone-import", "builtins.complex")
        ]

    def test_only_a_release_of_the_same_name_counts(self, tmp_path: Path, deployment: Deployment) -> None:
        first = written(tmp_path, "first.pkl", pickle.dumps([1.0]))
        scan(first, deployment)
        released(first, deployment, name="another")
        second = written(tmp_path, "second.pkl", pickle.dumps(complex(1, 2)))
        scan(second, deployment)
        assert result_of(second, deployment)[0].verdict is Verdict.PASS

    def test_a_named_release_that_never_was_is_an_error(self, tmp_path: Path, deployment: Deployment) -> None:
        path = written(tmp_path, "m.pkl", pickle.dumps([1.0]))
        done = scan(path, deployment, compare_with="0" * 64)
        assert done.state == "failed"
        assert "[configuration]" in str(done.error)

    def test_nothing_is_compared_when_told_so(self, tmp_path: Path, deployment: Deployment) -> None:
        first = written(tmp_path, "first.pkl", pickle.dumps([1.0]))
        scan(first, deployment)
        released(first, deployment)
        second = written(tmp_path, "second.pkl", pickle.dumps(complex(1, 2)))
        scan(second, deployment, compare_with="none")
        assert result_of(second, deployment)[0].verdict is Verdict.PASS


class TestAllowLists:
    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        return written(tmp_path, "model.pkl", CUSTOM)

    @pytest.fixture
    def allow_list(self, tmp_path: Path) -> Path:
        return written(tmp_path, "allow.json", json.dumps(ALLOW).encode())

    def signed(self, path: Path, deployment: Deployment, kind: str) -> None:
        operator = SignArtifactOperator(task_id="sign", artifact=str(path), artifact_kind=kind)
        assert run_op(operator, connections=deployment.connections).state == "success"

    def test_signed_list_counts(self, model: Path, allow_list: Path, deployment: Deployment) -> None:
        assert scan(model, deployment).state == "failed"
        self.signed(allow_list, deployment, "dataset")
        assert scan(model, deployment, allow_lists=[str(allow_list)]).state == "success"

    def test_unsigned_list_is_refused(self, model: Path, allow_list: Path, deployment: Deployment) -> None:
        done = scan(model, deployment, allow_lists=[str(allow_list)])
        assert done.state == "failed"
        assert "[trust]" in str(done.error)

    def test_list_that_was_signed_as_a_model_is_refused(
        self, model: Path, allow_list: Path, deployment: Deployment
    ) -> None:
        self.signed(allow_list, deployment, "model")
        assert "[trust]" in str(scan(model, deployment, allow_lists=[str(allow_list)]).error)

    @pytest.mark.parametrize(
        "text",
        [
            "{}",
            '{"package": "a", "version": "1", "modules": {"os": {"system": "rebuild"}}}',
            '{"package": "a", "version": "1", "modules": {"os": {"path.join": "name"}}}',
            '{"package": "a", "version": "1", "modules": {"os": {"x": "everything"}}}',
        ],
    )
    def test_signed_nonsense_is_an_error(
        self, text: str, model: Path, allow_list: Path, deployment: Deployment
    ) -> None:
        allow_list.write_text(text)
        self.signed(allow_list, deployment, "dataset")
        assert "[configuration]" in str(scan(model, deployment, allow_lists=[str(allow_list)]).error)
