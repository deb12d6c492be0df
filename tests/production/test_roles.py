"""What people see in a browser follows from their roles, as Flask-AppBuilder has them on the deployment."""

from __future__ import annotations

import make_demo_data
import pytest

from airflow_mlsecops.core.artifact import Artifact
from tests.production.topology import Topology
from tests.support.people_browser import open_browser

DAG, OTHER_DAG = "production_pipeline", "production_faults"
ERIN = "erin's long password"


@pytest.fixture(scope="module")
def stopped(topology: Topology, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """A data set that a run was stopped for."""
    path = tmp_path_factory.mktemp("data") / "seen.csv"
    make_demo_data.write_poisoned(path)
    topology.s3.put_object(Bucket="artifacts", Key="seen.csv", Body=path.read_bytes())
    run_id = topology.api("alice").trigger(DAG, {"dataset": "s3://artifacts/seen.csv"})
    run = topology.api("alice").wait_for_run(DAG, run_id, timeout=300)
    assert {task.task_id: task.state for task in run.tasks}["detect_label_poisoning"] == "failed"
    return Artifact.from_dict(topology.api("alice").xcom(DAG, run_id, "ingest")["artifact"])


@pytest.fixture(scope="module")
def erin(topology: Topology) -> str:
    """Somebody who may read one other Dag, and nothing else; made as Airflow's operators make people."""
    airflow, environment = str(topology.programs / "airflow"), topology.environment("users")
    names = ["-f", "Erin", "-l", "Narrow", "-e", "erin@localhost"]
    for name, words in {
        "role": ["roles", "create", "Narrow"],
        "permissions": ["roles", "add-perms", "Narrow", "-a", "can_read", "-r", f"DAG:{OTHER_DAG}", "Website"],
        "person": ["users", "create", "-u", "erin", "-p", ERIN, "-r", "Narrow", *names],
    }.items():
        topology.processes.once(f"narrow-{name}", [airflow, *words], environment)
    return ERIN


def test_a_viewer_sees_what_another_teams_member_does_not(topology: Topology, stopped: Artifact, erin: str) -> None:
    address = f"{topology.base_url}/mlsecops/dags/{DAG}/artifacts/{stopped.digest}"
    lists = [f"{topology.base_url}/mlsecops/{name}" for name in ("artifacts", "findings", "")]
    with open_browser(topology.base_url, topology.passwords | {"erin": erin}) as browser:
        viewer = browser.page("dave")
        assert viewer.goto(address).status == 200
        assert "label-poisoning" in viewer.inner_text("main")
        assert stopped.digest in viewer.inner_text("main")
        assert viewer.goto(lists[0]).status == 200
        assert stopped.digest in viewer.content()

        stranger = browser.page("erin")
        assert stranger.goto(address).status == 403
        for each in lists:
            assert stranger.goto(each).status == 200
            assert stopped.digest not in stranger.content()
            assert DAG not in stranger.content()
