"""What scanning a model costs: CPU seconds of the work alone (imports are not counted), and peak memory of the process.

Peers, in the same run over the same files: picklescan and modelscan. ``--peers PYTHON`` names the interpreter of an
environment that has them, because modelscan doesn't go together with everything that Airflow needs; without it they are
looked for here. Each figure is the least of several runs; files are in the page cache.
"""

from __future__ import annotations

import argparse
import os
import pickle
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from report import Row, publish

ROOT = Path(__file__).resolve().parents[1]
MB = 1_000_000

# The peak is the process's own: what the kernel says of a child begins with what its parent had.
HEAD = """
def PEAK():
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))
"""
OURS = """
import sys, time
from pathlib import Path
from airflow_mlsecops.core.scanning import Scan, packaged
packaged()
begin = time.process_time()
outcome = Scan().tree(Path(sys.argv[1]))
print(time.process_time() - begin, PEAK())
assert outcome, outcome.findings
"""
PICKLESCAN = """
import sys, time
from picklescan.scanner import scan_file_path
begin = time.process_time()
scan_file_path(sys.argv[1])
print(time.process_time() - begin, PEAK())
"""
MODELSCAN = """
import sys, time
from modelscan.modelscan import ModelScan
scanner = ModelScan()
begin = time.process_time()
scanner.scan(sys.argv[1])
print(time.process_time() - begin, PEAK())
"""


@dataclass(frozen=True)
class Cost:
    """CPU-s of the work, and peak MB of the process."""

    work: float
    memory: float


def run(python: str, script: str, path: Path) -> Cost | None:
    """Run a scanner in a process of its own; None if it isn't there."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as output:
        command = [python, "-c", HEAD + script, str(path)]
        done = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.DEVNULL, check=False)
        output.seek(0)
        lines = output.read().decode().split()
    if done.returncode or len(lines) < 2:
        return None
    return Cost(float(lines[-2]), float(lines[-1]))


def least(python: str, script: str, path: Path, repeats: int) -> Cost | None:
    """The least of several runs."""
    costs = [cost for cost in (run(python, script, path) for _ in range(repeats)) if cost is not None]
    return Cost(min(cost.work for cost in costs), min(cost.memory for cost in costs)) if costs else None


def write_array(path: Path, megabytes: int) -> Path:
    """A pickled NumPy array."""
    import numpy as np

    with path.open("wb") as stream:
        pickle.dump(np.zeros(megabytes * MB // 8), stream, protocol=4)
    return path


def write_torch(path: Path, megabytes: int) -> Path:
    """A torch file of four tensors, written as torch does, without torch."""
    from tests.support import pickle_assembler as p

    each = megabytes * MB // 16 // 4
    items = b""
    for key in "0123":
        storage = p.MARK + p.text("storage") + p.named("torch", "FloatStorage") + p.text(key) + p.text("cpu")
        storage += p.number(each * 4) + p.TUPLE + b"Q"
        hooks = p.named("collections", "OrderedDict") + p.EMPTY_TUPLE + p.REDUCE
        size, stride = p.number(each * 4) + p.TUPLE1, p.number(1) + p.TUPLE1
        items += p.text(f"layer{key}.weight")
        items += p.call(
            p.named("torch._utils", "_rebuild_tensor_v2"), storage, p.number(0), size, stride, p.FALSE, hooks
        )
    state = p.named("collections", "OrderedDict") + p.EMPTY_TUPLE + p.REDUCE + p.MARK + items + p.SETITEMS
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", p.proto(2) + state + p.STOP)
        archive.writestr("archive/version", b"3\n")
        block = os.urandom(MB)
        for key in "0123":
            with archive.open(f"archive/data/{key}", "w", force_zip64=True) as member:
                for begin in range(0, each * 16, MB):
                    member.write(block[: min(MB, each * 16 - begin)])
    return path


def write_objects(path: Path, megabytes: int) -> Path:
    """Small objects: records of text and numbers, as a vocabulary or a tree of dictionaries has them."""
    count = megabytes * MB // 52
    records = [{"name": f"item{i}", "count": i, "weight": i / 7, "tags": (f"t{i}", i % 5, None)} for i in range(count)]
    path.write_bytes(pickle.dumps(records, protocol=4))
    return path


def rows(folder: Path, *, quick: bool, peers: str) -> list[Row]:
    """Measure and compare."""
    repeats, part, found = (2 if quick else 5), (5 if quick else 1), []
    torch, array = write_torch(folder / "model.pt", 500 // part), write_array(folder / "array.pkl", 200 // part)
    small, objects = (
        write_array(folder / "small.pkl", 20),
        write_objects(folder / "objects.pkl", 19 // (2 if quick else 1)),
    )
    costs = {path: least(sys.executable, OURS, path, repeats) for path in (torch, array, small, objects)}
    for path, limit, memory in ((torch, 1.0, 64.0), (array, 0.5, None)):
        cost, size = costs[path], path.stat().st_size // MB
        if cost is None:
            raise SystemExit(f"the scan of {path.name} failed")
        name = f"{path.name}, {size} MB"
        found.append(Row(f"{name}, CPU-s", cost.work, None, None, f"under {limit} s", cost.work < limit))
        if memory is not None:
            found.append(Row(f"{name}, peak MB", cost.memory, None, None, f"under {memory} MB", cost.memory < memory))
    large, little = costs[array], costs[small]
    if large is None or little is None:
        raise SystemExit("the scan of an array failed")
    growth = large.memory / little.memory
    goal = "as for 20 MB, within 5 %"
    found.append(Row("array, peak MB", large.memory, little.memory, growth, goal, growth < 1.05))
    found += _peers(objects, costs[objects], peers, repeats)
    return found


def _peers(path: Path, ours: Cost | None, python: str, repeats: int) -> list[Row]:
    if ours is None:
        raise SystemExit(f"the scan of {path.name} failed")
    found, size = [], path.stat().st_size // MB
    for name, script in (("picklescan", PICKLESCAN), ("modelscan", MODELSCAN)):
        peer = least(python, script, path, min(repeats, 2))
        if peer is None:
            sys.stderr.write(f"{name} is not installed in {python}: its row is missing\n")
            continue
        ratio = ours.work / peer.work
        label = f"{size} MB of small objects, CPU-s, and of {name}"
        found.append(Row(label, ours.work, peer.work, ratio, "at least 4 x less", ratio <= 0.25))
        label = f"{size} MB of small objects, peak MB, and of {name}"
        found.append(Row(label, ours.memory, peer.memory, ours.memory / peer.memory, "less", ours.memory < peer.memory))
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What scanning a model costs.")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON", help="an interpreter that has the peers")
    chosen = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory(prefix="mlsecops-benchmark-") as folder:
        return publish("scanning", rows(Path(folder), quick=chosen.quick, peers=chosen.peers), chosen.json)


if __name__ == "__main__":
    sys.exit(main())
