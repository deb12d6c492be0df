"""The secured pipeline on a really running Airflow, human approval included, and the example Dags."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import make_demo_data
import pytest
from airflow_api import AirflowApiError
from airflow_stack import AirflowStack
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.evidence import EvidenceSet, collect
from airflow_mlsecops.core.predicates import approval, bom, control_run
from airflow_mlsecops.core.store import open_store
from airflow_mlsecops.core.trust import TrustPolicy
from tests.support.people_browser import open_browser

pytestmark = pytest.mark.e2e

DAG, GATE = "secure_training_pipeline", "approve_model"
POLICY = Path(__file__).resolve().parents[2] / "dags" / "policies" / "digits_release.yaml"


@pytest.fixture(scope="module")
def data(airflow_stack: AirflowStack) -> Path:
    """The demo's data, where the example Dags look for it by default."""
    folder = airflow_stack.home / "data"
    folder.mkdir()
    make_demo_data.write_clean(folder / "digits_clean.csv")
    make_demo_data.write_poisoned(folder / "digits_poisoned.csv")
    airflow_stack.api("admin").wait_for_dag(DAG)
    return folder


@pytest.fixture(scope="module")
def clean_run(airflow_stack: AirflowStack, data: Path) -> str:
    """A run on clean data, triggered by alice and approved by bob."""
    api = airflow_stack.api("alice")
    run_id = api.trigger(DAG, {"dataset": str(data / "digits_clean.csv")})
    request = api.wait_for_request(DAG, run_id, GATE, timeout=600)
    digest = api.xcom(DAG, run_id, "describe_model")["artifact"]["digest"]
    assert digest in (request.body or "")
    assert "label\\-poisoning" in (request.body or "")
    with pytest.raises(AirflowApiError):
        airflow_stack.api("dave").respond(DAG, run_id, GATE, ["Approve"], {"reason": "a viewer"})
    airflow_stack.api("bob").respond(DAG, run_id, GATE, ["Approve"], {"reason": "looks right"})
    run = api.wait_for_run(DAG, run_id, timeout=600)
    assert run.state == "success", str(run)
    return run_id


def released_by(stack: AirflowStack, run_id: str) -> Path:
    """The folder that the run published."""
    return Path(unquote(urlsplit(stack.api("admin").xcom(DAG, run_id, "publish")).path))


def model_in(folder: Path) -> Path:
    (model,) = folder.glob("*.joblib")
    return model


def evidence_about(stack: AirflowStack, run_id: str, task_id: str) -> EvidenceSet:
    digest = stack.api("admin").xcom(DAG, run_id, task_id)["artifact"]["digest"]
    home = stack.home / "mlsecops"
    trust = TrustPolicy.from_bytes((home / "trust.yaml").read_bytes())
    return collect(open_store(str(home / "evidence")), digest, trust, utcnow())


def mlsecops_verify(stack: AirflowStack, model: Path, policy: Path = POLICY) -> subprocess.CompletedProcess[str]:
    home = stack.home / "mlsecops"
    command: list[Any] = [Path(sys.executable).with_name("mlsecops"), "verify", model, "--policy", policy]
    places: list[Any] = ["--store", home / "evidence", "--trust", home / "trust.yaml"]
    return subprocess.run([*command, *places], capture_output=True, text=True, check=False)


def test_clean_data_end_in_a_released_model(airflow_stack: AirflowStack, clean_run: str) -> None:
    about = evidence_about(airflow_stack, clean_run, "describe_model")
    slugs = {
        "provenance", "test-result", "bom", "signature", "approval-request", "approval", "verification-summary",
    }  # fmt: skip
    assert {item.slug for item in about.verified} == slugs
    (answer,) = (approval.parse(item.statement) for item in about.of("approval"))
    assert (answer.approver, answer.decision, answer.reason) == ("bob", "approved", "looks right")
    done = mlsecops_verify(airflow_stack, released_by(airflow_stack, clean_run))
    assert done.returncode == 0, done.stdout + done.stderr


def test_released_model_was_scanned_and_described_and_both_are_signed_for_other_tools(
    airflow_stack: AirflowStack, clean_run: str
) -> None:
    about = evidence_about(airflow_stack, clean_run, "train")
    (scan,) = (control_run.parse(item.statement) for item in about.of("test-result"))
    assert (scan.control, scan.verdict.value) == ("model-scan", "pass")
    (bill,) = (bom.parse(item.statement) for item in about.of("bom"))
    assert [part.name for part in bill.datasets()] == ["digits"]
    folder = released_by(airflow_stack, clean_run)
    names = {path.name for path in folder.iterdir()}
    assert names == {model_in(folder).name, "bom.cdx.json", "MODEL_CARD.md", "model-card.html", "model.sig"}
    card = (folder / "MODEL_CARD.md").read_text().replace("\\", "")  # which escapes what Markdown would read
    for told in ("balanced_accuracy", "labeller-07", "model-scan", "label-poisoning", "Measured by labeller"):
        assert told in card, told
    public = folder.parent / "signing.pub"
    key = load_pem_private_key((airflow_stack.home / "mlsecops" / "signing-key.pem").read_bytes(), None)
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    command: list[Any] = [Path(sys.executable).with_name("mlsecops"), "oms", "verify", folder, "--key", public]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    card_file = folder / "MODEL_CARD.md"
    whole = card_file.read_bytes()
    card_file.write_bytes(whole + b"\nBetter than it is.\n")
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    assert mlsecops_verify(airflow_stack, folder).returncode == 1
    card_file.write_bytes(whole)


def test_released_model_is_refused_after_one_changed_byte(
    airflow_stack: AirflowStack, clean_run: str, tmp_path: Path
) -> None:
    released = released_by(airflow_stack, clean_run)
    changed = shutil.copytree(released, tmp_path / "changed")
    model_in(changed).write_bytes(model_in(released).read_bytes()[:-1] + b"\x00")
    assert mlsecops_verify(airflow_stack, changed).returncode == 1

    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY.read_text() + "\n")
    assert mlsecops_verify(airflow_stack, released, policy).returncode == 1

    digest = airflow_stack.api("admin").xcom(DAG, clean_run, "describe_model")["artifact"]["digest"]
    store = airflow_stack.home / "mlsecops" / "evidence" / "bundles" / digest
    for bundle in sorted(store.rglob("*.sigstore.json")):
        whole = bundle.read_bytes()
        bundle.chmod(0o644)
        bundle.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
        done = mlsecops_verify(airflow_stack, released)
        assert done.returncode == 1, f"{bundle} was changed: {done.stdout}"
        bundle.write_bytes(whole)
    assert mlsecops_verify(airflow_stack, released).returncode == 0


def test_poisoned_data_are_stopped_before_training(airflow_stack: AirflowStack, data: Path) -> None:
    api = airflow_stack.api("alice")
    run_id = api.trigger(DAG, {"dataset": str(data / "digits_poisoned.csv")})
    run = api.wait_for_run(DAG, run_id, timeout=600)
    states = {task.task_id: task.state for task in run.tasks}
    assert run.state == "failed"
    assert states["validate_data"] == "success"
    assert states["detect_label_poisoning"] == "failed"
    assert states["train"] == states["hold_out"] == states["describe_model"] == "upstream_failed"
    results = [control_run.parse(i.statement) for i in evidence_about(airflow_stack, run_id, "ingest").verified]
    assert {result.control: result.verdict.value for result in results} == {
        "data-validation": "pass",
        "label-poisoning": "fail",
    }
    (judged,) = [result for result in results if result.control == "label-poisoning"]
    assert (judged.metrics["top_pair_given"], judged.metrics["top_pair_suggested"]) == ("8", "3")
    told = {finding["rule"]: finding["message"] for finding in judged.findings}
    assert make_demo_data.GUILTY in told["label-poisoning/source"]
    assert "'3' are labelled '8'" in told["label-poisoning/label-pair"]


def test_who_triggered_cannot_approve_and_a_gate_marked_success_releases_nothing(
    airflow_stack: AirflowStack, data: Path
) -> None:
    # One row less, and so another model: the first run's approval is of the first run's bytes.
    other = data / "digits_other.csv"
    other.write_text("".join((data / "digits_clean.csv").read_text().splitlines(keepends=True)[:-1]))
    api = airflow_stack.api("bob")
    run_id = api.trigger(DAG, {"dataset": str(other)})
    api.wait_for_request(DAG, run_id, GATE, timeout=600)
    api.respond(DAG, run_id, GATE, ["Approve"], {"reason": "my own"})
    api.wait_for_request(DAG, run_id, GATE, timeout=600)  # it is asked again: that was no answer
    assert "ALARM answer-refused" in api.task_log(DAG, run_id, GATE)
    digest = api.xcom(DAG, run_id, "describe_model")["artifact"]["digest"]
    with open_browser(airflow_stack.base_url, airflow_stack.passwords) as browser:
        assert digest in browser.question("carol", DAG, run_id, GATE).inner_text("body")
        browser.keep("carol", "pipeline", height=900)
    assert not evidence_about(airflow_stack, run_id, "describe_model").of("approval")
    airflow_stack.api("admin").set_task_state(DAG, run_id, GATE, "success")
    airflow_stack.api("admin").clear(DAG, run_id, ["release_gate"], downstream=True)
    run = api.wait_for_states(DAG, run_id, {"release_gate": "failed", "publish": "upstream_failed"}, timeout=300)
    assert run.task("publish").state == "upstream_failed"


def test_trojaned_model_is_stopped_before_it_is_signed(airflow_stack: AirflowStack, clean_run: str, data: Path) -> None:
    api, dag_id = airflow_stack.api("alice"), "example_scan_model"
    model = model_in(released_by(airflow_stack, clean_run))
    for place, states in (
        (model, {"scan": "success", "sign": "success"}),
        (make_demo_data.write_trojaned(data / "trojan.joblib", model), {"scan": "failed", "sign": "upstream_failed"}),
    ):
        run = api.wait_for_run(dag_id, api.trigger(dag_id, {"model": str(place)}), timeout=300)
        assert {task.task_id: task.state for task in run.tasks} == states


@pytest.mark.parametrize(
    ("dag_id", "states"),
    [
        ("example_validate_data", {"validate": "success"}),
        ("example_compare_with_baseline", {"profile": "success", "validate": "success"}),
        ("example_quarantine", {"validate": "success", "validate_remainder": "success"}),
        ("example_check_data_for_attacks", {"attacks": "success"}),
        ("example_detect_label_poisoning", {"poisoning": "success"}),
        ("example_sanitize_dataset", {"poisoning": "success", "sanitize": "success"}),
        ("example_sign_and_verify", {"sign": "success", "verify": "success"}),
        ("example_release_gate", {"release": "skipped"}),
    ],
)
def test_example_dag(airflow_stack: AirflowStack, data: Path, dag_id: str, states: dict[str, str]) -> None:
    api = airflow_stack.api("alice")
    run = api.wait_for_run(dag_id, api.trigger(dag_id), timeout=300)
    assert {task.task_id: task.state for task in run.tasks} == states


def test_example_approval_gate(airflow_stack: AirflowStack, data: Path) -> None:
    api = airflow_stack.api("alice")
    run_id = api.trigger("example_approval_gate", {"model": str(data / "digits_clean.csv")})
    request = api.wait_for_request("example_approval_gate", run_id, timeout=300)
    assert request.assigned_users == ("admin", "bob", "carol")
    with pytest.raises(AirflowApiError):  # alice is not one of the assigned
        api.respond("example_approval_gate", run_id, "approve", ["Approve"], {"reason": "x"})
    airflow_stack.api("bob").respond("example_approval_gate", run_id, "approve", ["Reject"], {"reason": "an example"})
    run = api.wait_for_run("example_approval_gate", run_id, timeout=300)
    assert run.task("approve").state == "skipped"


def test_example_sensor_waits_in_the_triggerer(airflow_stack: AirflowStack, clean_run: str) -> None:
    api = airflow_stack.api("alice")
    dag_id, place = "example_signed_artifact_sensor", airflow_stack.home / "arriving"
    run_id = api.trigger(dag_id, {"model": f"{place}/"})
    api.wait_for_states(dag_id, run_id, {"wait": "deferred"}, timeout=300)
    shutil.copytree(released_by(airflow_stack, clean_run), place)
    run = api.wait_for_run(dag_id, run_id, timeout=300)
    assert run.state == "success", str(run)


def test_no_import_errors_and_the_provider_is_known(airflow_stack: AirflowStack, data: Path) -> None:
    api = airflow_stack.api("admin")
    assert api.import_errors() == {}
    assert "airflow-mlsecops" in api.providers()
    listed = airflow_stack.run("airflow", "dags", "list-import-errors")
    assert listed.returncode == 0
    assert "No data found" in listed.stdout
