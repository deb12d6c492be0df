"""What the pages cost an api-server: time of each page, first paint, making the index, memory.

100,000 pieces of evidence about 2,000 artifacts lie in a folder, signed and logged; Airflow's real api-server shows
them from a process of its own, asked by one client after the other. Peer of each page, in the same run: Airflow's own
list of Dags (``/ui/dags``), which has 20 of them. Peer of the index: only reading and parsing the same bundles.

Times are what the server's process spent of its CPU meanwhile, also on keeping the index fresh; what the clock said
stands beside it, and is longer where others use the machine. First paint is what Chromium tells (first contentful
paint), by the clock, from the click on.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pages_server import DAGS, TIMING
from pages_store import World, make
from report import Row, options, publish

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.clock import utcnow

PAGE_MS, PAINT_MS, INDEX_SECONDS, MEMORY_MB = 300, 1000, 120, 150
PEER = "/ui/dags?dag_runs_limit=1&limit=50"


@dataclass(frozen=True)
class Server:
    """A running api-server."""

    base: str
    token: str
    pid: int

    def ask(self, path: str) -> tuple[float, float, bytes]:
        """Milliseconds of the server for this answer, those of its CPU, and the answer."""
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(self.base + path, headers=headers)  # noqa: S310 - our own server
        with urllib.request.urlopen(request, timeout=300) as answer:  # noqa: S310
            body = answer.read()
            told = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers[TIMING]))
        return float(told["total"]), float(told["cpu"]), body

    def cpu_seconds(self) -> float:
        """What the process has spent so far."""
        spent = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self, what: str) -> float:
        """``VmRSS`` or ``VmHWM`` of the process, in MB of 10^6 bytes."""
        match = re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert match is not None
        return int(match[1]) * 1024 / 1e6


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    """Start the api-server; it ends with the block."""
    command = [sys.executable, str(Path(__file__).with_name("pages_server.py")), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        try:
            told = process.stdout.readline()
            if not told:
                raise SystemExit("the api-server didn't start")
            yield Server(**json.loads(told))
        finally:
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


def pages_of(world: World, number: int) -> dict[str, str]:
    """Each page once, for one of the artifacts."""
    model = world.released[number % len(world.released)]
    own, data = f"{model.page}", world.data_of[model]
    return {
        "overview": "/mlsecops/",
        "artifacts": f"/mlsecops/artifacts?page={1 + number % 20}",
        "artifacts, searched": f"/mlsecops/artifacts?q=model-{number}",
        "artifacts, filtered": "/mlsecops/artifacts?kind=model&state=released",
        "findings": f"/mlsecops/findings?page={1 + number % 20}",
        "findings, searched": "/mlsecops/findings?q=drift&severity=critical",
        "releases": "/mlsecops/releases",
        "alarms": "/mlsecops/alarms",
        "approvals": "/mlsecops/approvals",
        "compliance": "/mlsecops/compliance",
        "artifact": own,
        "timeline": f"{own}/timeline",
        "graph": f"{own}/graph",
        "blast radius": f"{data.page}/graph",
        "changes": f"{own}/changes",
        "compliance of one": f"{own}/compliance",
        "statement": f"{own}/evidence/{model.signature}",
        "request": f"{own}/requests/{model.request}",
        "run": f"/mlsecops/dags/{model.dag_id}/runs/{model.run_id}/statements",
        "overview as JSON": "/mlsecops/api/overview",
    }


def measure_pages(server: Server, world: World, times: int) -> Iterator[Row]:
    """Each page's 95th percentile, beside that of the peer."""
    peer = percentile([server.ask(PEER)[1] for _ in range(max(times, 10))])
    taken: dict[str, list[tuple[float, float]]] = {}
    for number in range(times):
        for name, path in pages_of(world, number).items():
            taken.setdefault(name, []).append(server.ask(path)[:2])
    for name, each in taken.items():
        wall = percentile([wall for wall, _ in each])
        ours = percentile([cpu for _, cpu in each])
        label = f"{name}, CPU-ms at the 95th percentile ({wall:.0f} ms by the clock)"
        yield Row(label, ours, peer, ours / peer, f"under {PAGE_MS}", ours < PAGE_MS)


def percentile(values: Sequence[float], share: float = 0.95) -> float:
    """The smallest value that so many don't exceed."""
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


def measure_index(server: Server, folder: Path, world: World) -> Iterator[Row]:
    """From the first request of a new server until the index is whole."""
    begin, spent = time.monotonic(), server.cpu_seconds()
    while True:
        state = json.loads(server.ask("/mlsecops/api/health")[2])["index"]
        if state["built"]:
            break
        time.sleep(0.2)
    wall, ours = time.monotonic() - begin, server.cpu_seconds() - spent
    if state["statements"] < world.statements:
        raise SystemExit(f"the index has {state['statements']} of {world.statements}")
    spent = time.process_time()
    for path in (folder / "evidence" / "bundles").rglob("*.json"):
        Bundle.parse(path.read_bytes())
    peer = time.process_time() - spent
    label = f"index of {world.statements:,}, CPU-s until it is whole ({wall:.0f} s by the clock)"
    yield Row(label, ours, peer, ours / peer, f"under {INDEX_SECONDS}", ours < INDEX_SECONDS)


def measure_paint(server: Server, world: World, times: int) -> Iterator[Row]:
    """The slowest page's first contentful paint in a browser."""
    from tests.support.browser import CHROMIUM, browsing

    if CHROMIUM is None:
        print("no chromium: the row of the first paint is missing", file=sys.stderr)
        return
    script = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? -1"
    painted = {}
    with browsing() as browser:
        context = browser.new_context(base_url=server.base)
        context.add_cookies([{"name": "_token", "value": server.token, "url": server.base}])
        tab = context.new_page()
        for name, path in pages_of(world, 1).items():
            if "JSON" in name:
                continue
            seen = []
            for _ in range(times):
                tab.goto(path, wait_until="load")
                while (at := float(tab.evaluate(script))) < 0:  # our policy lets no page wait for it by itself
                    time.sleep(0.02)
                seen.append(at)
            painted[name] = statistics.median(seen)
    worst = max(painted, key=lambda name: painted[name])
    label = f"first paint of the slowest page ({worst}), ms"
    yield Row(label, painted[worst], None, None, f"under {PAINT_MS}", painted[worst] < PAINT_MS)


def main() -> int:
    """Measure and print."""
    chosen = options("What the pages in Airflow cost.")
    artifacts, each, times = (100, 20, 4) if chosen.quick else (2000, 50, 40)
    folder = Path(tempfile.mkdtemp(prefix="mlsecops-benchmark-"))
    try:
        world = make(folder, artifacts, each, utcnow(), list(DAGS))
        print(f"{world.statements:,} statements about {artifacts:,} artifacts", file=sys.stderr)
        with serving(folder) as server:
            for _ in range(5):
                server.ask(PEER)
            before = server.memory_mb("VmRSS")
            rows = list(measure_index(server, folder, world))
            rows += measure_pages(server, world, times)
            rows += measure_paint(server, world, 2 if chosen.quick else 5)
            more = server.memory_mb("VmHWM") - before
        rows.append(
            Row("more memory of the api-server, MB", more, before, None, f"under {MEMORY_MB}", more < MEMORY_MB)
        )
    finally:
        shutil.rmtree(folder)
    return publish("pages", rows, chosen.json)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    sys.exit(main())
