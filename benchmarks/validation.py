"""What validating a table costs from the start of a process to a signed verdict: CPU, wall time, memory.

Ours pins the file (its private copy is made while it is hashed), judges 15 expectations, signs the verdict and puts it
into an evidence store. The peers do less: they read the file where it lies, and sign nothing. Great Expectations runs
on pandas; the DuckDB query is what a person would write for the same 15 questions; pandera runs on Polars. Each is a
process of its own. Files are in the page cache. Times are the least of several runs that take turns.
``--at-scale`` adds 100 million rows under a memory limit of 1 GB, which the kernel's cgroup holds where it can be had.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from report import Row, publish
from validation_data import SUITE, write

ROOT = Path(__file__).resolve().parents[1]
PEAK_MB = 750
CAP_MB = 1000

OURS = """
import json, sys, tempfile
from pathlib import Path
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.controls.validation import validate_data
from airflow_mlsecops.core.pinning import pinned_copy
from airflow_mlsecops.core.predicates import control_run
from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.signing import key_signer_from_uri
from airflow_mlsecops.core.store import open_store
table, suite, key, root = sys.argv[1:]
store = open_store(root)
with tempfile.TemporaryDirectory(dir=root) as folder:
    pinned, path = pinned_copy(table, Path(folder))
    for blob in pinned.blobs:
        store.put_blob(blob)
    report = validate_data(pinned.artifact, path, suite=json.loads(Path(suite).read_text()), engine="fused")
assert report.metrics["expectations_evaluated_by_gx"] == 0
blobs = {name: store.put_blob(data) for name, data in report.blobs.items()}
full = store.put_blob(canonical_json(report.to_dict()))
statement = control_run.build(report, finished_at=utcnow(), run={}, report_blob=full, blobs=blobs)
store.put(key_signer_from_uri(key).sign(statement))
print(report.verdict.value)
"""
UNHASHED = (
    """
import hashlib, sys
class Nothing:
    def __init__(self, data=b""): pass
    def update(self, data): pass
    def hexdigest(self): return "0" * 64
class Hashlib:
    sha256 = Nothing
import airflow_mlsecops.core.digest as digest
import airflow_mlsecops.core.pinning
pinning = sys.modules["airflow_mlsecops.core.pinning.pin"]
whole = pinning.pin
def without(*arguments, **named):
    digest.hashlib = Hashlib
    try:
        return whole(*arguments, **named)
    finally:
        digest.hashlib = hashlib
pinning.pin = without
"""
    + OURS
)
"""The same, but what is read isn't hashed."""
GX = """
import json, sys
import great_expectations as gx
import pandas
context = gx.get_context(mode="ephemeral")
context.variables.progress_bars = {"globally": False}
suite = gx.ExpectationSuite(**json.load(open(sys.argv[2])))
asset = context.data_sources.add_pandas("p").add_dataframe_asset("t")
batch = asset.add_batch_definition_whole_dataframe("b")
definition = gx.ValidationDefinition(name="v", data=batch, suite=context.suites.add(suite))
context.validation_definitions.add(definition)
result = definition.run(batch_parameters={"dataframe": pandas.read_parquet(sys.argv[1])})
print("pass" if result.success else "fail")
"""
BY_HAND = """
import sys
import duckdb
table = sys.argv[1]
where = f"read_parquet('{table}')" if table.endswith(".parquet") else f"read_parquet('{table}/*.parquet')"
row = duckdb.execute(f'''
    SELECT count(*), count(order_id), count(DISTINCT order_id),
        count(*) FILTER (user_id NOT BETWEEN 0 AND 999999),
        count(*) FILTER (NOT regexp_matches(email, '^[a-z0-9]+@[a-z0-9.]+$')),
        count(*) FILTER (country NOT IN ('AT', 'BR', 'CH', 'DE', 'ES', 'FR', 'GB', 'IT', 'JP', 'US')),
        count(*) FILTER (state NOT IN ('new', 'paid', 'sent', 'returned')),
        count(*) FILTER (age NOT BETWEEN 18 AND 120), count(*) FILTER (amount NOT BETWEEN 0 AND 100000),
        count(score), avg(score), count(*) FILTER (sent_at <= ordered_at),
        count(*) FILTER (length(note) NOT BETWEEN 1 AND 200), count(*) FILTER (label NOT IN (0, 1))
    FROM {where}
''').fetchone()
columns = len(duckdb.execute(f"SELECT * FROM {where} LIMIT 0").description)
n, ids, distinct, user, email, country, state, age, amount, scores, mean, pair, note, label = row
held = [n >= 1, columns == 12, ids == n, distinct == ids, not user, not email, not country, not state, age <= n / 100,
    not amount, scores >= 0.9 * n, -0.5 <= mean <= 0.5, not pair, not note, not label]
print("pass" if all(held) else "fail")
"""
PANDERA = """
import sys
import polars as pl
import pandera.polars as pa
from pandera.polars import Check, Column
def greater(data):
    return data.lazyframe.select(pl.col("sent_at") > pl.col("ordered_at"))
schema = pa.DataFrameSchema({
    "order_id": Column(int, nullable=False, unique=True),
    "user_id": Column(int, Check.in_range(0, 999_999)),
    "email": Column(str, Check.str_matches("^[a-z0-9]+@[a-z0-9.]+$")),
    "country": Column(str, Check.isin(["AT", "BR", "CH", "DE", "ES", "FR", "GB", "IT", "JP", "US"])),
    "state": Column(str, Check.isin(["new", "paid", "sent", "returned"])),
    "age": Column(int, Check(lambda d: d.lazyframe.select(pl.col(d.key).is_between(18, 120).mean() >= 0.99))),
    "amount": Column(float, Check.in_range(0, 100_000)),
    "score": Column(float, [
        Check(lambda d: d.lazyframe.select(pl.col(d.key).is_not_null().mean() >= 0.9), ignore_na=False),
        Check(lambda d: d.lazyframe.select(pl.col(d.key).mean().is_between(-0.5, 0.5)))], nullable=True),
    "ordered_at": Column(int),
    "sent_at": Column(int),
    "note": Column(str, Check.str_length(1, 200)),
    "label": Column(int, Check.isin([0, 1])),
}, checks=Check(greater), strict=True)
frame = schema.validate(pl.read_parquet(sys.argv[1]), lazy=True)
print("pass" if len(frame) >= 1 else "fail")
"""
WAYS = {"ours": OURS, "gx": GX, "by hand": BY_HAND, "pandera": PANDERA}


@dataclass(frozen=True)
class Cost:
    """Of a process and its children: CPU-s, wall seconds, peak memory in MB."""

    cpu: float
    wall: float
    memory: float


def options() -> argparse.Namespace:
    """The shared options, and where the tables are kept."""
    parser = argparse.ArgumentParser(description="What validating a table costs, from start to signed verdict.")
    parser.add_argument("--quick", action="store_true", help="1M rows only, under a minute")
    parser.add_argument("--at-scale", action="store_true", help="add 100M rows (5 GB of Parquet, and its copy)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there too")
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="keep the tables there (default: they are removed)")
    parser.add_argument("--only", choices=sorted(WAYS), help="run one way once and print its cost")
    return parser.parse_args()


def run(code: str, *arguments: str | Path, cap_mb: int = 0) -> Cost:
    """Run a process to its end; it has to print ``pass``.

    Raises:
        SystemExit: if it fails, with what it printed.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [sys.executable, "-c", code, *map(str, arguments)]
    if cap_mb:
        command = [*_capped(cap_mb), *command]
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        said = output.read().decode(errors="replace")
    if process.returncode or "pass" not in said.split():
        raise SystemExit(f"a process failed with {process.returncode}:\n{said[-2000:]}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def _capped(cap_mb: int) -> list[str]:
    return ["systemd-run", "--quiet", "--scope", "-p", f"MemoryMax={cap_mb}M", "-p", "MemorySwapMax=0"]


def can_cap() -> bool:
    """Whether a cgroup can be had, asked of a process that needs nothing: what the limit ends is no sign."""
    try:
        return not subprocess.run([*_capped(CAP_MB), "true"], capture_output=True, check=False).returncode
    except OSError:
        return False


def measure(table: Path, folder: Path, ways: dict[str, str], repeats: int) -> dict[str, Cost]:
    """The least time and the most memory of each way; they take turns, so that noise strikes all alike."""
    arguments = (table, *_setting(folder))
    runs: dict[str, list[Cost]] = {way: [] for way in ways}
    for number in range(repeats):
        for way, code in ways.items():
            if number == 0 or way != "gx":  # one run of it takes longer than all others
                runs[way].append(run(code, *arguments))
    return {
        way: Cost(min(c.cpu for c in costs), min(c.wall for c in costs), max(c.memory for c in costs))
        for way, costs in runs.items()
    }


def _setting(folder: Path) -> tuple[Path, str, Path]:
    """Suite, key and evidence store."""
    sys.path.insert(0, str(ROOT))
    from airflow_mlsecops.core.signing import generate_key

    suite, key, store = folder / "suite.json", folder / "key.pem", folder / "store"
    suite.write_text(json.dumps(SUITE))
    key.write_bytes(generate_key()[0])
    store.mkdir(exist_ok=True)
    return suite, f"file:{key}", store


def rows(name: str, costs: dict[str, Cost], gx_times: float) -> list[Row]:
    """Compare: CPU and wall time with GX and the query by hand, CPU with pandera, memory with GX."""
    found = []
    ours = costs["ours"]
    for label, part in (("CPU-s", "cpu"), ("wall s", "wall")):
        for peer, goal, most in (
            ("gx", f"at least {gx_times:g} x less", 1 / gx_times),
            ("by hand", "at most 1.5 x", 1.5),
            ("pandera", "(told, no goal)", float("inf")),
        ):
            if peer in costs:
                mine, theirs = getattr(ours, part), getattr(costs[peer], part)
                ratio = mine / theirs
                found.append(Row(f"{name}, {label}, and of {peer}", mine, theirs, ratio, goal, ratio <= most))
    return found


def at_scale(folder: Path, data: Path) -> list[Row]:
    """100 million rows; under the kernel's limit where ``systemd-run`` works, else by what the process needed."""
    table = write(data, 100_000_000, parts=20)
    arguments = (table, *_setting(folder))
    cap_mb, how = (CAP_MB, "held by a cgroup") if can_cap() else (0, "measured")
    cost = run(OURS, *arguments, cap_mb=cap_mb)
    print(f"100M rows: {cost.cpu:.1f} CPU-s, {cost.wall:.1f} s", file=sys.stderr)
    goal = f"under {CAP_MB} MB, {how}"
    return [Row("100M rows, peak MB", cost.memory, None, None, goal, cost.memory <= CAP_MB)]


def all_rows(folder: Path, data: Path, chosen: argparse.Namespace) -> list[Row]:
    """All cases."""
    ways = {way: code for way, code in WAYS.items() if way != "pandera" or importlib.util.find_spec("pandera")}
    if "pandera" not in ways:
        print("pandera is not installed: its rows are missing", file=sys.stderr)
    if chosen.only:
        for size in (1_000_000,) if chosen.quick else (1_000_000, 10_000_000):
            table = write(data, size)
            print(size, run(WAYS[chosen.only], table, *_setting(folder)))
        return []
    found = rows("1M rows", measure(write(data, 1_000_000), folder, ways, 3), 12)
    if chosen.quick:
        return found
    costs = measure(write(data, 10_000_000), folder, {**ways, "unhashed": UNHASHED}, 3)
    found += rows("10M rows", costs, 9)
    hashed, unhashed = costs["ours"].cpu, costs["unhashed"].cpu
    most = "at most 10 % more"
    found.append(
        Row("10M rows, CPU-s, and without a hash", hashed, unhashed, hashed / unhashed, most, hashed <= 1.1 * unhashed)
    )
    found.append(
        Row(
            "10M rows, peak MB",
            costs["ours"].memory,
            costs["gx"].memory,
            costs["ours"].memory / costs["gx"].memory,
            f"at most {PEAK_MB} MB",
            costs["ours"].memory <= PEAK_MB,
        )
    )
    shuffled = {way: ways[way] for way in ("ours", "gx", "by hand")}
    found += rows("10M rows, shuffled keys", measure(write(data, 10_000_000, shuffled=True), folder, shuffled, 2), 5)
    return found + (at_scale(folder, data) if chosen.at_scale else [])


def main() -> int:
    """Measure and print."""
    chosen = options()
    with tempfile.TemporaryDirectory(prefix="mlsecops-benchmark-") as folder:
        data = chosen.data or Path(folder) / "data"
        data.mkdir(parents=True, exist_ok=True)
        found = all_rows(Path(folder), data, chosen)
    return publish("validation", found, chosen.json) if found else 0


if __name__ == "__main__":
    sys.exit(main())
