"""What signing and verifying a model costs, in CPU seconds and memory: large files, and many small ones.

Peers, in the same run over the same files: plain SHA-256 by hashlib in two threads (nothing listed, nothing checked,
nothing signed), and the ``model_signing`` command, when it is installed. Against the plain hash the work alone counts,
without starting Python; against the command whole processes count, on both sides. Each figure is the least of several
runs, because what comes on top of it is the machine's noise. Files are in the page cache.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from report import Row, options, publish

ROOT = Path(__file__).resolve().parents[1]
MIB = 1024 * 1024
MEMORY_LIMIT_MB = 150

PLAIN = """
import hashlib, os, sys, time
from concurrent.futures import ThreadPoolExecutor
def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
begin = time.process_time()
files = [os.path.join(folder, name) for folder, _, names in os.walk(sys.argv[1]) for name in names]
with ThreadPoolExecutor(2) as pool:
    list(pool.map(sha256, files))
print(time.process_time() - begin)
"""
SIGN = """
import sys, time
from pathlib import Path
from airflow_mlsecops.core.oms import sign_oms
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.signing import signer_from_uri
model, signature, key, _ = sys.argv[1:]
begin = time.process_time()
Path(signature).write_bytes(sign_oms(pin(model), signer_from_uri(key)))
print(time.process_time() - begin)
"""
VERIFY = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from airflow_mlsecops.core.oms import verify_oms
from airflow_mlsecops.core.signing import PublicKey
model, signature, _, key = sys.argv[1:]
begin = time.process_time()
trust = PublicKey.from_pem(Path(key).read_bytes())
verify_oms(Path(signature).read_bytes(), Path(model), trust=trust, at=datetime.now(UTC))
print(time.process_time() - begin)
"""


@dataclass(frozen=True)
class Cost:
    """What a process took: CPU-s of the whole, CPU-s of the work alone where it says so, and its peak memory in MB."""

    process: float
    work: float
    memory: float


@dataclass(frozen=True)
class Case:
    """Files to sign.

    Attributes:
        name: for the table.
        files: how many.
        size: of each, in bytes.
        plain: our CPU time may be this many times that of the plain hash.
        tool: the command's must be at least this many times ours.
    """

    name: str
    files: int
    size: int
    plain: float
    tool: float


FULL = [Case("8 x 512 MiB", 8, 512 * MIB, 1.1, 1.3), Case("20,000 x 4 KiB", 20_000, 4096, 2.0, 5.0)]
QUICK = [Case("8 x 64 MiB", 8, 64 * MIB, 1.1, 1.3), Case("5,000 x 4 KiB", 5_000, 4096, 2.0, 5.0)]


def write_files(folder: Path, case: Case) -> Path:
    """Write the case's files, no two alike, a thousand in a folder."""
    block = os.urandom(min(case.size, MIB))
    for number in range(case.files):
        place = folder / f"part-{number // 1000:02}"
        place.mkdir(parents=True, exist_ok=True)
        with (place / f"{number:05}.bin").open("wb") as stream:
            stream.write(number.to_bytes(8, "big") + block[8:])
            for _ in range(case.size // len(block) - 1):
                stream.write(block)
    return folder


def run(*command: str | Path) -> Cost:
    """Run a process to its end.

    Raises:
        CalledProcessError: if it fails.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([sys.executable, *map(str, command)], env=environment, stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, process.args)
        output.seek(0)
        last = output.read().decode().splitlines()[-1]
    work = float(last) if last[:1].isdigit() else 0.0
    return Cost(usage.ru_utime + usage.ru_stime, work, usage.ru_maxrss / 1000)


def measure(case: Case, folder: Path, repeats: int) -> dict[str, Cost]:
    """The least cost of each way of doing it; the ways take turns, so that noise strikes all alike."""
    model = write_files(folder / "model", case)
    private, public, ours, theirs = (folder / name for name in ("key.pem", "key.pub", "ours.sig", "theirs.sig"))
    write_keys(private, public)
    ways: dict[str, Sequence[str | Path]] = {
        "plain": ("-c", PLAIN, model),
        "sign": ("-c", SIGN, model, ours, private, public),
        "verify": ("-c", VERIFY, model, ours, private, public),
    }
    if importlib.util.find_spec("model_signing"):
        command = ("-m", "model_signing")
        ways["tool sign"] = (*command, "sign", "key", model, "--private_key", private, "--signature", theirs)
        ways["tool verify"] = (*command, "verify", "key", model, "--public_key", public, "--signature", theirs)
    runs = [{way: run(*command) for way, command in ways.items()} for _ in range(repeats + 1)][
        1:
    ]  # the first one warms
    return {
        way: Cost(*(min(getattr(costs[way], part) for costs in runs) for part in ("process", "work", "memory")))
        for way in ways
    }


def write_keys(private: Path, public: Path) -> None:
    """Write a key pair."""
    from airflow_mlsecops.core.signing import generate_key

    pem, key = generate_key()
    private.write_bytes(pem)
    public.write_text(key.pem)


def rows(case: Case, costs: dict[str, Cost]) -> list[Row]:
    """Compare."""
    found = []
    for way in ("sign", "verify"):
        ours, plain = costs[way], costs["plain"]
        ratio = ours.work / plain.work
        goal = f"at most {case.plain} x the plain hash"
        found.append(Row(f"{way} {case.name}, CPU-s", ours.work, plain.work, ratio, goal, ratio <= case.plain))
        tool = costs.get(f"tool {way}")
        if tool is not None:
            ratio = ours.process / tool.process
            label = f"{way} {case.name}, CPU-s of the process, and of `model_signing {way} key`"
            goal = f"at least {case.tool} x less"
            found.append(Row(label, ours.process, tool.process, ratio, goal, ratio <= 1 / case.tool))
    memory = max(costs[way].memory for way in ("sign", "verify"))
    peer = max((cost.memory for way, cost in costs.items() if way.startswith("tool")), default=None)
    goal, holds = f"under {MEMORY_LIMIT_MB} MB", memory < MEMORY_LIMIT_MB
    found.append(Row(f"{case.name}, peak MB", memory, peer, memory / peer if peer else None, goal, holds))
    return found


def main() -> int:
    """Measure and print."""
    chosen = options("What signing and verifying a model costs.")
    sys.path.insert(0, str(ROOT))
    found: list[Row] = []
    for case in QUICK if chosen.quick else FULL:
        with tempfile.TemporaryDirectory(prefix="mlsecops-benchmark-") as folder:
            found += rows(case, measure(case, Path(folder), 2 if chosen.quick else 5))
    if not importlib.util.find_spec("model_signing"):
        print("model_signing is not installed: its rows are missing", file=sys.stderr)
    return publish("hashing", found, chosen.json)


if __name__ == "__main__":
    sys.exit(main())
