"""Many gates that wait at once, on a really running Airflow with a few slots: what they hold, what answering takes.

Half are answered through the REST API, half by people's own signatures, put straight into the evidence store. The peer,
in the same run, is `ApprovalOperator` of Airflow's standard provider: one person, no quorum, nothing signed, and it
waits without a trigger. A gate is mapped over all models, so that one run has them all. Seconds are of this machine's
clock, with everything (api-server, scheduler, workers, triggerer, SQLite) on it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from report import Row, options, publish

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

from airflow_stack import AirflowStack  # noqa: E402

from airflow_mlsecops.core.approving.requests import open_case, open_requests, read_requests  # noqa: E402
from airflow_mlsecops.core.approving.sign import sign_answer  # noqa: E402
from airflow_mlsecops.core.clock import utcnow  # noqa: E402
from airflow_mlsecops.core.predicates.approval import Decision  # noqa: E402
from tests.support.attacked import Attacked  # noqa: E402

SLOTS = 3
SETTLE_SECONDS = 10
TRIGGERS = 500
TRIGGERS_ALONE = """
import asyncio, json, os, sys, time
from datetime import timedelta
from airflow_mlsecops.core.approving.answers import fingerprint
from airflow_mlsecops.core.clock import to_text, utcnow
from airflow_mlsecops.triggers.approval import ApprovalTrigger

class Alone(ApprovalTrigger):
    async def _answered_meanwhile(self):
        return None  # there is no Airflow to ask

async def wait(number):
    terms = {"subject": f"{number:064x}", "seen": fingerprint(frozenset()), "mlsecops_conn_id": "attacked_gates"}
    end = to_text(utcnow() + timedelta(hours=1))
    async for event in Alone(**terms, poke_interval=1, escalate_at="", expires_at=end, ti_id="").run():
        raise SystemExit(f"one fired: {event}")

def looks():
    return os.stat(os.environ["WAITING_GATES_READS"]).st_size

async def main():
    tasks = [asyncio.create_task(wait(number)) for number in range(int(sys.argv[2]))]
    await asyncio.sleep(3)
    cpu, seen = time.process_time(), looks()
    await asyncio.sleep(5)
    print((time.process_time() - cpu) / (looks() - seen) * 1000)
    for task in tasks:
        task.cancel()

asyncio.run(main())
"""
"""So many triggers in one process look every second for a while; prints CPU-ms a look."""
OURS, PEERS, OTHERS = "waiting_ours", "waiting_peers", "waiting_others"
USERS = {"admin": "admin", "alice": "user", "bob": "user"}
FINISHED = ("success", "failed", "skipped", "upstream_failed")


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        gates: ours.
        peers: Airflow's.
        window: seconds for which the triggerer is watched.
        poke: seconds between two looks of one of our gates into the store.
    """

    gates: int
    peers: int
    window: float
    poke: int


FULL, QUICK = Sizes(500, 50, 90, 30), Sizes(8, 4, 12, 3)


@dataclass(frozen=True)
class Idle:
    """What the triggerer took while nothing happened, a minute, and its memory in MB."""

    cpu: float
    reads: float
    memory: float


class Site:
    """A running Airflow, and the evidence store that its gates count from."""

    def __init__(self, stack: AirflowStack, evidence: Attacked, reads: Path) -> None:
        self.stack = stack
        self.evidence = evidence
        self._reads = reads
        self.admin, self.bob = stack.api("admin"), stack.api("bob")

    def count(self, dag_id: str, run_id: str, *states: str) -> int:
        """How many tasks of a run are in one of these states."""
        path, query = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances", {"state": list(states), "limit": 1}
        return int(self.admin.request("GET", path, params=query)["total_entries"])

    def wait(self, dag_id: str, run_id: str, count: int, *states: str) -> float:
        """Wait until so many tasks are in one of these states; the moment."""
        while self.count(dag_id, run_id, *states) < count:
            if self.count(dag_id, run_id, "failed", "up_for_retry", "upstream_failed"):
                raise RuntimeError(self._why(dag_id, run_id))
            time.sleep(0.5)
        return time.monotonic()

    def _why(self, dag_id: str, run_id: str) -> str:
        """The log of what failed: the folder of logs is gone in a moment."""
        for task in self.admin.task_instances(dag_id, run_id):
            if task.state in ("failed", "up_for_retry"):
                place = (dag_id, run_id, task.task_id)
                return f"{place} failed:\n{self.admin.task_log(*place, task.try_number, task.map_index)}"
        return self.stack.tail("scheduler")

    def start(self, dag_id: str, count: int, state: str) -> tuple[str, float]:
        """Trigger a run, and wait until so many of its gates wait; its id, and how long that took."""
        begin = time.monotonic()
        run_id = self.admin.trigger(dag_id)
        return run_id, self.wait(dag_id, run_id, count, state) - begin

    def others(self) -> float:
        """Seconds from trigger to end of as many tasks as there are slots, each of which holds one for a second."""
        begin = time.monotonic()
        run_id = self.admin.trigger(OTHERS)
        return self.wait(OTHERS, run_id, SLOTS, "success") - begin

    def slots_held(self, dag_id: str, run_id: str) -> int:
        """Slots of the executor and of the pool that a run's tasks hold."""
        pool = self.admin.request("GET", "/pools/default_pool")
        return max(int(pool["occupied_slots"]), self.count(dag_id, run_id, "running", "queued"))

    def idle(self, seconds: float) -> Idle:
        """Watch the triggerer for a while."""
        cpu, reads, begin = self._cpu(), self._read(), time.monotonic()
        time.sleep(seconds)
        minutes = (time.monotonic() - begin) / 60
        memory = sum(process.memory_info().rss for process in self._triggerer()) / 1e6
        return Idle((self._cpu() - cpu) / minutes, (self._read() - reads) / minutes, memory)

    def respond(self, dag_id: str, run_id: str, place: int) -> None:
        """Answer one of the mapped gates, as bob, by REST."""
        given = {"reason": "a benchmark"} if dag_id == OURS else {}
        self.bob.respond(dag_id, run_id, "approve", ["Approve"], given, place)

    def sign(self, places: Sequence[int]) -> None:
        """Answer some of ours as alice, with her own key, straight into the evidence store."""
        cases, _ = open_requests(self.evidence.store, self.evidence.trust, utcnow())
        for case in cases:
            if case.asked.run["map_index"] in places:
                sign_answer(
                    case,
                    Decision.APPROVED,
                    "a benchmark",
                    self.evidence.signers["alice"],
                    self.evidence.store,
                    self.evidence.trust,
                    utcnow(),
                )

    def _triggerer(self) -> list[psutil.Process]:
        first = self.stack.process("triggerer")
        return [first, *first.children(recursive=True)]

    def _cpu(self) -> float:
        return sum(process.cpu_times().user + process.cpu_times().system for process in self._triggerer())

    def _read(self) -> int:
        return self._reads.stat().st_size


@dataclass(frozen=True)
class Waiting:
    """What gates of one kind took.

    Attributes:
        gates: how many there are.
        waiting: how many waited at once.
        parking: seconds a gate, from the trigger until all of them waited.
        held: slots that they held then.
        others: seconds that as many tasks as there are slots took meanwhile.
        idle: what the triggerer took meanwhile.
        one: seconds from an answer by REST to the gate's success, with nothing else to do.
        one_signed: the same of a signature put into the store; nothing for the peer.
        listing: CPU-s of finding all requests that wait, as `mlsecops requests` does; nothing for the peer.
        answering: seconds a gate, from the first of all other answers until all gates had succeeded.
        succeeded: how many did.
    """

    gates: int
    waiting: int
    parking: float
    held: int
    others: float
    idle: Idle
    one: float
    one_signed: float
    listing: float
    answering: float
    succeeded: int


def look_alone(evidence: Attacked, folder: Path) -> float:
    """CPU-ms of one look into the store, with many triggers in one process, without Airflow."""
    reads = folder / "reads-alone"
    reads.touch()
    environment = {
        **os.environ,
        **evidence.environment,
        "AIRFLOW_HOME": str(folder / "alone"),
        "PYTHONPATH": f"{ROOT / 'benchmarks' / 'audit'}:{ROOT}",
        "WAITING_GATES_READS": str(reads),
        "WAITING_GATES_STORE": str(evidence.root / "evidence"),
    }
    command = [sys.executable, "-c", TRIGGERS_ALONE, "triggerer", str(TRIGGERS)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.splitlines()[-1])


def wait_and_answer(site: Site, dag_id: str, count: int, window: float) -> Waiting:
    """Let so many gates wait, watch them, answer one, then all."""
    ours = dag_id == OURS
    state = "deferred" if ours else "awaiting_input"
    run_id, parking = site.start(dag_id, count, state)
    time.sleep(SETTLE_SECONDS)  # an answer that comes too soon can kill a task (apache/airflow#71580)
    waiting = site.count(dag_id, run_id, state)
    held, idle, others = site.slots_held(dag_id, run_id), site.idle(window), site.others()

    begin = time.process_time()
    if ours:
        open_requests(site.evidence.store, site.evidence.trust, utcnow())
    listing = time.process_time() - begin
    one = _took(lambda: site.respond(dag_id, run_id, 0), lambda: site.wait(dag_id, run_id, 1, "success"))
    one_signed = 0.0
    if ours:
        one_signed = _took(lambda: site.sign([1]), lambda: site.wait(dag_id, run_id, 2, "success"))

    rest = range(2 if ours else 1, count)
    begin = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        signing = pool.submit(site.sign, rest[::2]) if ours else None
        for place in rest[1::2] if ours else rest:
            site.respond(dag_id, run_id, place)
        if signing is not None:
            signing.result()
    answering = (site.wait(dag_id, run_id, count, *FINISHED) - begin) / len(rest)
    succeeded = site.count(dag_id, run_id, "success")
    return Waiting(count, waiting, parking / count, held, others, idle, one, one_signed, listing, answering, succeeded)


def _took(answer: Callable[[], object], wait: Callable[[], float]) -> float:
    """Seconds from when an answer was given until what it leads to."""
    answer()
    begin = time.monotonic()
    return wait() - begin


def approved(site: Site) -> int:
    """Of how many models the evidence store has the approval, verified again as anybody can."""
    store, trust, now = site.evidence.store, site.evidence.trust, utcnow()
    return sum(bool(open_case(asked, store, trust, now).standing) for asked in read_requests(store, trust, now).asked)


@contextmanager
def running(sizes: Sizes, folder: Path) -> Iterator[Site]:
    """Boot it all, with a model for each gate."""
    evidence = Attacked(folder / "deployment")
    for number in range(sizes.gates):
        evidence.model(f"model-{number:04}")
    reads = folder / "reads"
    reads.touch()
    extra = {
        **evidence.environment,
        "AIRFLOW__CORE__PARALLELISM": str(SLOTS),
        "PYTHONPATH": str(ROOT / "benchmarks" / "audit"),
        "WAITING_GATES_MODELS": str(evidence.root),
        "WAITING_GATES_PEERS": str(sizes.peers),
        "WAITING_GATES_POKE": str(sizes.poke),
        "WAITING_GATES_READS": str(reads),
        "WAITING_GATES_SLOTS": str(SLOTS),
        "WAITING_GATES_STORE": str(evidence.root / "evidence"),
    }
    dags = ROOT / "benchmarks" / "dags"
    with AirflowStack(folder / "airflow", dags, users=USERS, extra_env=extra) as stack:
        for dag_id in (OURS, PEERS, OTHERS):
            stack.api("admin").wait_for_dag(dag_id, timeout=120)
        yield Site(stack, evidence, reads)


def rows(ours: Waiting, peers: Waiting, alone: float, counted: int, look: float, poke: int) -> list[Row]:
    """Compare."""
    count, reads = ours.gates, ours.idle.reads / ours.gates
    most = 60 / poke + 1

    def compared(case: str, our: float, their: float, most: float) -> Row:
        goal = f"at most {most:g} x the peer"
        return Row(case, our, their, our / their, goal, our <= most * their)

    return [
        Row("gates waiting at once", ours.waiting, peers.waiting, None, "all of them", ours.waiting == count),
        Row("slots that they hold", ours.held, peers.held, None, "none", ours.held == 0),
        compared(f"{SLOTS} tasks of 1 s meanwhile, s; peer: nothing waits", ours.others, alone, 1.5),
        Row("triggerer, CPU-s a minute", ours.idle.cpu, peers.idle.cpu, None, "under 6", ours.idle.cpu < 6),
        Row("triggerer, MB", ours.idle.memory, peers.idle.memory, None, "under 500", ours.idle.memory < 500),
        Row("reads of the store, a gate and minute", reads, 0, None, f"under {most:g}", reads < most),
        Row(f"{TRIGGERS} triggers without Airflow, CPU-ms a read", look, None, None, "under 1", look < 1),
        Row("finding all requests, CPU-s", ours.listing, None, None, "under 2", ours.listing < 2),
        compared("trigger to waiting, s a gate", ours.parking, peers.parking, 2),
        compared("one answer by REST to success, s", ours.one, peers.one, 2),
        Row(
            "one signature in the store to success, s", ours.one_signed, None, None,
            f"under {poke + 10}", ours.one_signed < poke + 10,
        ),
        compared("all answers to all successes, s a gate", ours.answering, peers.answering, 2),
        Row("succeeded", ours.succeeded, peers.succeeded, None, "all of them", ours.succeeded == count),
        Row("approved, by the store's evidence", counted, None, None, "all of them", counted == count),
    ]  # fmt: skip


def main() -> int:
    """Measure and print."""
    chosen = options("What gates that wait hold, and what answering them takes.")
    sizes = QUICK if chosen.quick else FULL
    with (
        tempfile.TemporaryDirectory(prefix="mlsecops-benchmark-") as folder,
        running(sizes, Path(folder)) as site,
    ):
        alone = min(site.others() for _ in range(2))
        peers = wait_and_answer(site, PEERS, sizes.peers, sizes.window)
        ours = wait_and_answer(site, OURS, sizes.gates, sizes.window)
        counted, look = approved(site), look_alone(site.evidence, Path(folder))
    return publish("waiting gates", rows(ours, peers, alone, counted, look, sizes.poke), chosen.json)


if __name__ == "__main__":
    sys.exit(main())
