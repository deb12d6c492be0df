"""The two controls as tasks: what they sign, and what they do when they can't judge."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import task

from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import control_run, provenance
from airflow_mlsecops.core.predicates.control_run import CONTROL_RUN
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.operators.control import ControlOperator
from airflow_mlsecops.operators.detect_label_poisoning import DetectLabelPoisoningOperator
from airflow_mlsecops.operators.validate_data import ValidateDataOperator
from tests.support.deployment import Deployment
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow

SUITE = {
    "name": "small",
    "expectations": [
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "a", "min_value": 0, "max_value": 50}},
    ],
}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Forty rows, two classes that a line separates."""
    rows = [f"r{i:02},{i},{i % 7},{'low' if i < 20 else 'high'}" for i in range(40)]
    path = tmp_path / "table.csv"
    path.write_text("id,a,b,label\n" + "\n".join(rows) + "\n")
    return path


def validate(artifact: Any, deployment: Deployment, **kwargs: Any) -> OpRun:
    operator = ValidateDataOperator(task_id="validate", artifact=artifact, **{"suite": SUITE, **kwargs})
    return run_op(operator, connections=deployment.connections)


def poisoning(artifact: Any, deployment: Deployment, **kwargs: Any) -> OpRun:
    given = {"label_column": "label", "id_column": "id", "estimator": "sklearn.naive_bayes:GaussianNB", **kwargs}
    operator = DetectLabelPoisoningOperator(task_id="poisoning", artifact=artifact, **given)
    return run_op(operator, connections=deployment.connections)


def results(path: Path, deployment: Deployment) -> list[control_run.ControlResult]:
    """What signed evidence says about the file, oldest first."""
    found = deployment.about(pin(str(path)).artifact.digest).of("test-result")
    return sorted((control_run.parse(item.statement) for item in found), key=lambda result: result.finished_at)


class TestValidation:
    def test_pass_is_signed_about_the_files_sha256(self, table: Path, deployment: Deployment) -> None:
        done = validate(str(table), deployment)
        assert done.state == "success"
        (result,) = results(table, deployment)
        assert (result.control, result.verdict) == ("data-validation", Verdict.PASS)
        assert done.xcoms["return_value"]["verdict"] == "pass"
        assert len(json.dumps(done.xcoms["return_value"])) < 4096

    def test_fail_is_signed_too_and_never_retried(self, table: Path, deployment: Deployment) -> None:
        table.write_text(table.read_text().replace("r39,39,", "r39,3900,"))
        done = validate(str(table), deployment, retries=3)
        assert done.state == "failed"
        (result,) = results(table, deployment)
        assert result.verdict is Verdict.FAIL
        assert result.findings[0]["where"] == "a"
        assert "3900" not in json.dumps([dict(finding) for finding in result.findings])  # no cell values

    @pytest.mark.parametrize(("on_fail", "state"), [("skip", "skipped"), ("continue", "success")])
    def test_fail_can_skip_or_go_on_but_stays_a_fail(
        self, on_fail: Any, state: str, table: Path, deployment: Deployment
    ) -> None:
        table.write_text(table.read_text().replace("r39,39,", "r39,-1,"))
        assert validate(str(table), deployment, on_fail=on_fail).state == state
        assert results(table, deployment)[0].verdict is Verdict.FAIL

    def test_suite_from_a_callable_made_in_execute(self, table: Path, deployment: Deployment) -> None:
        assert validate(str(table), deployment, suite=lambda: SUITE).state == "success"

    @pytest.mark.parametrize(
        ("suite", "named"),
        [
            ("no_such_suite", "no_such_suite"),
            ("/nowhere/suite.json", "/nowhere/suite.json"),
            ({"name": "empty", "expectations": []}, "expectations"),
            ({"name": "x", "expectations": [{"type": "expect_nothing_at_all", "kwargs": {}}]}, "expect_nothing_at_all"),
        ],
    )
    def test_suite_that_checks_nothing_is_an_error(
        self, suite: Any, named: str, table: Path, deployment: Deployment
    ) -> None:
        done = validate(str(table), deployment, suite=suite, retries=2)
        assert done.state == "failed"
        assert "[suite]" in str(done.error)
        assert named in str(done.error)
        assert not deployment.bundles()

    def test_missing_data_set(self, tmp_path: Path, deployment: Deployment) -> None:
        done = validate(str(tmp_path / "nothing.csv"), deployment)
        assert done.state == "failed"
        assert "artifact-not-found" in str(done.error)

    @pytest.mark.parametrize("text", ["", "id,a,b,label\n"])
    def test_empty_data_set_is_a_signed_fail(self, text: str, table: Path, deployment: Deployment) -> None:
        table.write_text(text)
        assert validate(str(table), deployment).state == "failed"
        (result,) = results(table, deployment)
        assert result.verdict is Verdict.FAIL
        assert result.findings[0]["rule"] == "data-validation/cannot-judge"

    def test_missing_column_is_a_signed_fail_that_names_it(self, table: Path, deployment: Deployment) -> None:
        table.write_text(table.read_text().replace("id,a,b,", "id,x,b,", 1))
        assert validate(str(table), deployment).state == "failed"
        (result,) = results(table, deployment)
        assert result.verdict is Verdict.FAIL
        assert "'a'" in json.dumps([dict(finding) for finding in result.findings])


class TestPoisoning:
    def test_pass_and_chain_by_reference(self, table: Path, deployment: Deployment) -> None:
        first = validate(str(table), deployment)
        done = poisoning(first.xcoms["return_value"], deployment, budget=0.2)
        assert done.state == "success"
        assert [result.control for result in results(table, deployment)] == ["data-validation", "label-poisoning"]
        assert first.xcoms["_link_ValidationReportLink"].endswith(f"/reports/{first.xcoms['return_value']['evidence']}")
        assert done.xcoms["_link_ReportLink"].endswith(f"/reports/{done.xcoms['return_value']['evidence']}")

    def test_flipped_labels_fail_and_their_rows_are_a_blob(self, table: Path, deployment: Deployment) -> None:
        lines = table.read_text().splitlines()
        flipped = [f"r{i:02}" for i in (25, 30, 35)]
        text = [line.replace("high", "low") if line[:3] in flipped else line for line in lines]
        table.write_text("\n".join(text) + "\n")
        done = poisoning(str(table), deployment)
        assert done.state == "failed"
        (item,) = deployment.about(pin(str(table)).artifact.digest).of("test-result")
        blobs = {blob["name"]: blob["digest"]["sha256"] for blob in item.statement.predicate[CONTROL_RUN]["blobs"]}
        suspects = json.loads(deployment.store.get_blob(blobs["suspects.json"]))
        assert set(flipped) <= {suspect["row_id"] for suspect in suspects}
        assert not any(row in done.logs + json.dumps(done.xcoms) for row in flipped)

    @pytest.mark.parametrize(
        ("change", "named"),
        [
            (lambda text: text.replace("high", "low"), "1 classes"),
            (lambda text: text.replace("r03,3,3,low", "r03,3,3,"), "label"),
            (lambda text: text.replace("id,a,b,label", "id,a,b,y"), "label"),
            (lambda text: text.replace("r01,", "r00,"), "share their id"),
        ],
        ids=["one class", "missing label", "no label column", "duplicate id"],
    )
    def test_labels_that_cannot_be_judged_are_a_signed_fail(
        self, change: Any, named: str, table: Path, deployment: Deployment
    ) -> None:
        table.write_text(change(table.read_text()))
        assert poisoning(str(table), deployment).state == "failed"
        (result,) = results(table, deployment)
        assert result.verdict is Verdict.FAIL
        assert result.findings[0]["rule"] == "label-poisoning/cannot-judge"
        assert named in result.summary

    def test_budget_from_a_template(self, table: Path, deployment: Deployment) -> None:
        operator = DetectLabelPoisoningOperator(
            task_id="poisoning",
            artifact=str(table),
            label_column="{{ params.label }}",
            id_column="id",
            estimator="sklearn.naive_bayes:GaussianNB",
            budget="{{ params.budget }}",  # type: ignore[arg-type]
        )
        done = run_op(operator, connections=deployment.connections, params={"label": "label", "budget": 0.5})
        assert done.state == "success"


class TestWhatEveryControlDoes:
    def test_crash_is_a_signed_fail_and_may_be_retried(self, table: Path, deployment: Deployment) -> None:
        class Crashing(ControlOperator):
            control_name = "crashing"

            def control(self, artifact: Any, path: Path) -> Any:
                raise ZeroDivisionError("detector bug")

        done = run_op(Crashing(task_id="c", artifact=str(table), retries=1), connections=deployment.connections)
        assert done.state == "up_for_retry"
        (result,) = results(table, deployment)
        assert (result.verdict, result.findings[0]["rule"]) == (Verdict.FAIL, "crashing/crashed")

    def test_data_changed_between_two_tasks_is_refused(self, table: Path, deployment: Deployment) -> None:
        first = validate(str(table), deployment)
        table.write_text(table.read_text() + "r99,1,1,low\n")
        done = poisoning(first.xcoms["return_value"], deployment, retries=2)
        assert done.state == "failed"
        assert "artifact-changed" in str(done.error)

    def test_two_tasks_writing_the_same_evidence_at_once(self, table: Path, deployment: Deployment) -> None:
        pinned = pin(str(table)).artifact
        blob = json.dumps(pinned.to_dict()).encode()
        with ThreadPoolExecutor(8) as pool:
            digests = set(pool.map(lambda _: deployment.store.put_blob(blob), range(64)))
        assert len(digests) == 1
        assert deployment.store.get_blob(digests.pop()) == blob

    def test_task_killed_half_way_and_run_again(self, table: Path, deployment: Deployment) -> None:
        """Killed after its blobs are written and before its statement is: nothing counts until the retry."""
        script = textwrap.dedent(
            f"""
            import os, signal
            from airflow_mlsecops.core.store.evidence_store import EvidenceStore
            put = EvidenceStore.put
            EvidenceStore.put = lambda self, bundle: os.kill(os.getpid(), signal.SIGKILL)
            from tests.operators.test_controls import validate
            from tests.support.deployment import Deployment
            deployment = Deployment.__new__(Deployment)
            deployment.root, deployment.passphrase = __import__("pathlib").Path({str(deployment.root)!r}), ""
            validate({str(table)!r}, deployment)
            """
        )
        root = Path(__file__).resolve().parents[2]
        environment = {**os.environ, "PYTHONPATH": str(root), "AIRFLOW_HOME": str(deployment.root / "home")}
        killed = subprocess.run(
            [sys.executable, "-c", script], env=environment, cwd=root, capture_output=True, check=False
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        assert any((deployment.evidence / "blobs").iterdir())
        assert not results(table, deployment)
        assert validate(str(table), deployment).state == "success"
        assert [result.verdict for result in results(table, deployment)] == [Verdict.PASS]


class TestTaskFlow:
    def test_attest_signs_where_a_model_came_from(self, table: Path, tmp_path: Path, deployment: Deployment) -> None:
        from airflow_mlsecops import taskflow

        @task
        def train(data: str) -> Any:
            reference = taskflow.pin(data, name="table")
            with taskflow.verified_copy(reference) as path:
                (tmp_path / "model").write_bytes(path.read_bytes()[::-1])
            return taskflow.attest(str(tmp_path / "model"), name="m", inputs=[reference], parameters={"depth": 3})

        done = run_op(train(str(table)), connections=deployment.connections)
        assert done.state == "success"
        (item,) = deployment.about(pin(str(tmp_path / "model")).artifact.digest).of("provenance")
        value = provenance.parse(item.statement)
        assert [(d.name, d.digest) for d in value.datasets()] == [("table", pin(str(table)).artifact.digest)]
        assert value.parameters == {"depth": 3}
        assert value.run["task_id"] == "train"
