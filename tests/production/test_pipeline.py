"""The whole secured pipeline on the deployment: workers, a queue, a database and a store, people with roles."""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import make_demo_data
import pytest
from airflow_api import AirflowApiError

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.evidence import EvidenceSet
from airflow_mlsecops.core.pinning import Access
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.predicates import approval
from airflow_mlsecops.core.store import open_store
from airflow_mlsecops.core.verification import verify_release
from deploy.bin import probe
from tests.production.evidence import about, check_log, tries
from tests.production.topology import BOARD, Topology

DAG = "production_pipeline"
POLICY = ReleasePolicy.from_file(str(Path(__file__).parent / "dags" / "production_release.yaml"))
GATE = "approve"


@pytest.fixture(scope="module", autouse=True)
def data(topology: Topology, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Data in the bucket: clean, poisoned, and clean with one row less, which is another data set and another model."""
    folder = tmp_path_factory.mktemp("data")
    clean = make_demo_data.write_clean(folder / "clean.csv").read_bytes()
    make_demo_data.write_poisoned(folder / "poisoned.csv")
    fewer = b"".join(clean.splitlines(keepends=True)[:-1])
    for name, content in (("clean", clean), ("poisoned", (folder / "poisoned.csv").read_bytes()), ("fewer", fewer)):
        topology.s3.put_object(Bucket="artifacts", Key=f"{name}.csv", Body=content)


def start(topology: Topology, data: str) -> str:
    return topology.api("alice").trigger(DAG, {"dataset": f"s3://artifacts/{data}.csv"})


def answer(topology: Topology, run_id: str, user: str, option: str, reason: str) -> None:
    """Answer once the gate asks (again)."""
    api = topology.api(user)
    api.wait_for_request(DAG, run_id, GATE, timeout=300)
    api.respond(DAG, run_id, GATE, [option], {"reason": reason})


def model_of(topology: Topology, run_id: str) -> Artifact:
    return Artifact.from_dict(topology.api("admin").xcom(DAG, run_id, "train")["artifact"])


def approvers(found: EvidenceSet) -> dict[str, approval.Decision]:
    """Who has decided how; whoever answered twice stands here once, as the gate counts."""
    said = [approval.parse(item.statement) for item in found.of("approval")]
    return {one.approver: one.decision for one in said}


def test_two_of_three_release_a_model(topology: Topology) -> None:
    run_id = start(topology, "clean")
    api = topology.api("alice")
    request = api.wait_for_request(DAG, run_id, GATE, timeout=300)
    assert set(request.assigned_users) == set(BOARD)
    accounts = {person.id: person.accounts["fab"] for person in topology.trust.people}
    assert accounts == {name: topology.user_id(name) for name in BOARD}
    for user in ("alice", "dave"):  # not one of the three; a viewer
        with pytest.raises(AirflowApiError) as refusal:
            topology.api(user).respond(DAG, run_id, GATE, ["Approve"], {"reason": "let me"})
        assert refusal.value.status == 403
    model = model_of(topology, run_id)
    answer(topology, run_id, "bob", "Approve", "checks passed")
    # One of them releases nothing, not with a second answer either: the gate counts people, and asks on.
    answer(topology, run_id, "bob", "Approve", "me again")
    api.wait_for_request(DAG, run_id, GATE, timeout=300)
    assert approvers(about(topology, model.digest)) == {"bob": approval.Decision.APPROVED}
    assert not about(topology, model.digest).of("verification-summary")
    answer(topology, run_id, "carol", "Approve", "mine passed, too")
    run = api.wait_for_run(DAG, run_id, timeout=300)
    assert run.state == "success", str(run)

    found = about(topology, model.digest)
    said = tries(found)
    assert said.pop(("approval", f"{GATE}:-1:1")) == 3  # bob's two answers, and carol's
    assert max(said.values()) == 1
    assert approvers(found) == dict.fromkeys(("bob", "carol"), approval.Decision.APPROVED)
    assert verify_release(model, topology.evidence, topology.trust, POLICY, utcnow())
    published = topology.s3.get_object(Bucket="artifacts", Key="released/digits")["Body"].read()
    assert sha256_bytes(published) == model.digest
    check_log(topology, None)


def test_one_no_outweighs_a_yes(topology: Topology) -> None:
    run_id = start(topology, "fewer")
    answer(topology, run_id, "bob", "Approve", "looks right")
    answer(topology, run_id, "admin", "Reject", "a row is missing")
    run = topology.api("alice").wait_for_run(DAG, run_id, timeout=300)
    states = {task.task_id: task.state for task in run.tasks}
    assert (states[GATE], states["release_gate"], states["publish"]) == ("failed", "upstream_failed", "upstream_failed")
    model = model_of(topology, run_id)
    assert not verify_release(model, topology.evidence, topology.trust, POLICY, utcnow())


def test_poisoned_data_are_stopped_before_training(topology: Topology) -> None:
    run_id = start(topology, "poisoned")
    run = topology.api("alice").wait_for_run(DAG, run_id, timeout=300)
    states = {task.task_id: task.state for task in run.tasks}
    assert (states["validate_data"], states["detect_label_poisoning"]) == ("success", "failed")
    assert states["train"] == "upstream_failed"


def test_the_evidence_is_locked_in_the_bucket(topology: Topology) -> None:
    listed = topology.s3.list_objects_v2(Bucket="evidence", Prefix="bundles/")["Contents"]
    assert listed
    for entry in listed[:5]:
        head = topology.s3.head_object(Bucket="evidence", Key=entry["Key"])
        assert head["ObjectLockMode"] == "COMPLIANCE"
        with pytest.raises(Exception, match=r"AccessDenied|WORM|locked|retention"):
            topology.s3.delete_object(Bucket="evidence", Key=entry["Key"], VersionId=head["VersionId"])


def test_what_only_reads_cannot_sign(topology: Topology) -> None:
    connection = json.loads(topology.environment("api-server")["AIRFLOW_CONN_MLSECOPS_DEFAULT"])
    assert "password" not in connection
    keys = json.loads(topology.environment("api-server")["AIRFLOW_CONN_EVIDENCE_S3"])
    reader = boto3.session.Session().client(
        "s3", endpoint_url=topology.endpoint, region_name="us-east-1",
        aws_access_key_id=keys["login"], aws_secret_access_key=keys["password"],
    )  # fmt: skip
    store = open_store("s3://evidence/", Access(s3=lambda: reader))
    assert store.subjects()
    with pytest.raises(Exception, match=r"denied|AccessDenied"):
        store.put_blob(b"slipped in")


def test_the_deployments_health_checks_are_content(topology: Topology) -> None:
    """Those of the compose file, which ask over HTTP, with this machine's ports."""
    health = f"{topology.base_url}/api/v2/monitor/health"
    assert probe.complaint(health, ["metadatabase.status=healthy", "scheduler.status=healthy"]) == ""
    assert probe.complaint(f"http://127.0.0.1:{topology.ports['health']}/health", []) == ""
