"""Faults on the deployment. After each: no gate passed that shouldn't have, no evidence lost or doubled, a good end."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from airflow_api import AirflowApi
from airflow_rows import RunState

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.log import Checkpoint
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.verification import verify_release
from tests.production.evidence import about, check_log, tries
from tests.production.topology import WORKERS, Topology

DAG = "production_faults"
POLICY = ReleasePolicy.from_file(str(Path(__file__).parent / "dags" / "production_faults.yaml"))
END_SECONDS = 420.0


@dataclass
class HeldRun:
    """A run whose control waits, so that a fault can strike in the middle of it."""

    topology: Topology
    run_id: str
    hold: Path
    seen: Checkpoint | None

    @property
    def api(self) -> AirflowApi:
        """Logs in anew: a server that was started again may have forgotten who that was."""
        return self.topology.api("alice")

    def worker(self, number: int = 1) -> str:
        """Wait until that try has its data, and tell which worker it runs on."""
        file = self.hold / f"try-{number}"
        wait(lambda: file.exists() and file.read_text(), f"try {number} of the control")
        return self.topology.processes.owner(int(file.read_text()))

    def go(self) -> None:
        (self.hold / "go").touch()

    def tried_in_vain(self, task_id: str = "validate_data") -> None:
        """Wait until the fault has made a try of a task fail: a later one is due, or at it."""

        def failed() -> bool:
            task = self.api.run(DAG, self.run_id).task(task_id)
            return task.state == "up_for_retry" or task.try_number > 1

        wait(failed, f"a failed try of {task_id}")

    def nothing_passed(self) -> None:
        """No gate has said YES, nothing is published: asked of what Airflow remembers, which doesn't need the store."""
        states = {task.task_id: task.state for task in self.api.run(DAG, self.run_id).tasks}
        assert {states["release_gate"], states["publish"]} == {None}, states

    def ends(self) -> RunState:
        """Wait until the run has come to a good end."""
        run = self.api.wait_for_run(DAG, self.run_id, timeout=END_SECONDS)
        assert run.state == "success", str(run)
        return run

    def ends_well(self) -> None:
        """The fault is gone: the run ends, and what is signed is whole. Nothing else may be writing any more."""
        run = self.ends()
        data, model = (
            Artifact.from_dict(self.api.xcom(DAG, self.run_id, task_id)["artifact"]) for task_id in ("ingest", "train")
        )
        of_data, of_model = about(self.topology, data.digest), about(self.topology, model.digest)
        assert {item.slug for item in of_data.verified} == {"test-result"}
        assert {item.slug for item in of_model.verified} == {"provenance", "signature", "verification-summary"}
        said = tries(of_data) + tries(of_model)
        assert max(said.values()) == 1, said
        # A try that was cut off after it had signed has spoken, and so has the next: both are true, none stands twice.
        tried = {task.task_id: task.try_number for task in run.tasks}
        for _, told in said:
            task_id, _, number = told.split(":")
            assert int(number) <= tried[task_id], (told, tried)
        assert verify_release(model, self.topology.evidence, self.topology.trust, POLICY, utcnow())
        assert check_log(self.topology, self.seen).size > (self.seen.size if self.seen else 0)


def wait(condition: Callable[[], object], what: str, seconds: float = 240.0) -> None:
    """Wait for a condition; the limit only keeps a failure from hanging."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} after {seconds:.0f} s"
        time.sleep(0.3)


@pytest.fixture(autouse=True)
def mended(topology: Topology) -> Iterator[None]:
    """Whatever a test leaves broken is mended for the next one."""
    yield
    topology.mend()


@pytest.fixture
def held(topology: Topology, tmp_path: Path, request: pytest.FixtureRequest) -> HeldRun:
    """A run on data of its own, in the middle of its control."""
    made = begin(topology, tmp_path / "hold", request.node.name)
    made.worker()
    return made


def begin(topology: Topology, hold: Path, name: str) -> HeldRun:
    """Trigger a run that will be held, or not if its `hold` has a ``go`` already."""
    key = f"numbers/{name}.csv"
    topology.s3.put_object(Bucket="artifacts", Key=key, Body=f"name,value\n{name},1\n{name}-2,2\n".encode())
    seen = check_log(topology, None) if topology.evidence.subjects() else None
    run_id = topology.api("alice").trigger(DAG, {"dataset": f"s3://artifacts/{key}", "hold": str(hold)})
    return HeldRun(topology, run_id, hold, seen)


def test_without_a_fault(held: HeldRun) -> None:
    held.nothing_passed()
    held.go()
    held.ends_well()


def test_a_worker_is_killed_in_mid_control(held: HeldRun) -> None:
    victim = held.worker()
    held.topology.processes.kill(victim)
    # The other one takes the control over, once the scheduler misses the heartbeat.
    other = held.worker(2)
    assert {victim, other} == set(WORKERS)
    held.nothing_passed()
    held.go()
    held.ends_well()
    held.topology.start_component(victim)
    log = held.topology.processes.log(victim)
    wait(lambda: log.read_text(errors="replace").count(" ready.") > 1, "worker that is back")


def test_the_store_stops(held: HeldRun) -> None:
    held.topology.processes.kill("s3")
    held.go()
    held.tried_in_vain()
    held.nothing_passed()
    held.topology.store.start()
    held.ends_well()


def test_the_stores_disk_is_full(held: HeldRun, store_disk: Path | None) -> None:
    if store_disk is None:
        pytest.skip("no file system can be mounted here, so none can be filled (needs root and a loop device)")
    filler = store_disk / "filler"
    free = shutil.disk_usage(store_disk).free
    subprocess.run(["fallocate", f"--length={free}", str(filler)], check=True)
    # What has no place in a volume that was made before can't be written.
    try:
        wait(lambda: refuses(held.topology), "store that is full")
        held.go()
        held.tried_in_vain()
        held.nothing_passed()
    finally:
        filler.unlink()
    held.ends_well()


def refuses(topology: Topology) -> bool:
    """Whether the store takes nothing any more."""
    from botocore.exceptions import ClientError

    try:
        topology.s3.put_object(Bucket="artifacts", Key="attempt", Body=b"x" * 4096)
    except ClientError:
        return True
    return False


def test_the_database_stops(held: HeldRun) -> None:
    topology = held.topology
    topology.processes.stop("postgres", signal.SIGINT)
    # While it is away, the control comes to its end and signs.
    held.go()
    time.sleep(12)
    topology.postgres.start()
    # Who ended because of it is started again, as in the deployment.
    held.ends_well()


def test_the_scheduler_is_killed_and_starts_again(held: HeldRun) -> None:
    held.topology.processes.kill("scheduler")
    held.go()
    time.sleep(8)
    held.nothing_passed()
    held.topology.start_component("scheduler")
    held.ends_well()


def test_two_schedulers_and_one_of_them_dies(topology: Topology, tmp_path: Path) -> None:
    topology.start_component("scheduler-2")
    topology.processes.answers("scheduler-2", f"http://127.0.0.1:{topology.ports['health-2']}/health")
    runs = [begin(topology, tmp_path / str(number), f"two-{number}") for number in range(3)]
    for run in runs:
        run.worker()
    topology.processes.kill("scheduler")
    for run in runs:
        run.go()
    for run in runs:
        run.ends()
    for run in runs:
        run.ends_well()
    topology.start_component("scheduler")
    topology.processes.stop("scheduler-2", signal.SIGTERM)


def test_the_network_to_the_store_is_cut(held: HeldRun) -> None:
    held.topology.processes.kill("s3-gateway")
    held.go()
    held.tried_in_vain()
    held.nothing_passed()
    held.topology.store.open_door()
    held.ends_well()


def test_the_network_to_the_store_swallows_everything_for_a_while(held: HeldRun) -> None:
    held.topology.processes.freeze("s3-gateway")
    held.go()
    time.sleep(15)
    held.nothing_passed()
    held.topology.processes.thaw("s3-gateway")
    held.ends_well()


def test_the_queue_is_killed_and_starts_again(held: HeldRun) -> None:
    held.topology.processes.kill("redis")
    held.go()
    time.sleep(5)
    held.topology.redis.start()
    held.ends_well()
