"""Confident learning against cleanlab, one thread each, in the same run over the same rows, masks held to be equal.

The rows are what a classifier says that is right about 19 times of 20, with one label of 20 drawn anew
(``tests/support/confident.py``). Time is CPU time, the least of several runs in turn; compiling is told apart.
Cleanlab's masks depend on how a processor sorts ties, so the masks are compared with cleanlab made to sort stably.
Memory is what a process that has the probabilities memory-mapped needs beyond one that has them mapped and read.

The row against Datalab needs an environment of its own, for Datalab brings much::

    python3.11 -m venv peer && peer/bin/pip install "pip>=25.1" && peer/bin/pip install . --group datalab
    peer/bin/python benchmarks/poisoning_speed.py
"""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from report import Row, options, publish

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from airflow_mlsecops.core.poisoning.engine import FILTERS, find_issues  # noqa: E402
from tests.support.confident import classifier  # noqa: E402


class StableNumpy:
    """NumPy with a sort that keeps the order of ties."""

    def __getattr__(self, name: str) -> Any:
        """All else is NumPy's."""
        return getattr(np, name)

    @staticmethod
    def argsort(values: Any) -> Any:
        """Stable."""
        return np.argsort(values, kind="stable")


def cpu(work: Callable[[], Any], repeats: int) -> float:
    """Least CPU seconds of several runs."""
    times = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        times.append(time.process_time() - begin)
    return min(times)


def cleanlab_masks(labels: Any, p: Any, filters: tuple[str, ...], *, stable: bool) -> list[Any]:
    """What cleanlab flags, with its own sort or a stable one."""
    import cleanlab.filter
    import cleanlab.internal.util

    modules = (cleanlab.filter, cleanlab.internal.util)
    for module in modules:
        module.np = StableNumpy() if stable else np
    try:
        return [cleanlab.filter.find_label_issues(labels, p, filter_by=name, n_jobs=1) for name in filters]
    finally:
        for module in modules:
            module.np = np


def against_cleanlab(rows: int, classes: int, filters: tuple[str, ...], factor: float, repeats: int) -> list[Row]:
    """Time of both, and whether the masks are equal."""
    labels, p = classifier(rows, classes)
    ours, theirs = math.inf, math.inf
    for _ in range(repeats):  # in turn, so that what slows the machine down slows both
        ours = min(ours, cpu(lambda: find_issues(labels, p, filters=filters, engine="numba"), 3))
        theirs = min(theirs, cpu(lambda: cleanlab_masks(labels, p, filters, stable=False), 1))
    found = find_issues(labels, p, filters=filters)
    expected = cleanlab_masks(labels, p, filters, stable=True)
    unlike = sum(int((found.mask(n) != mask).sum()) for n, mask in zip(filters, expected, strict=True))
    name = f"{rows:,} x {classes}, {'default filter' if len(filters) == 1 else 'seven filters'}"
    ratio = ours / theirs
    goal = f"{factor:g} times faster than cleanlab"
    return [
        Row(f"{name}: CPU-s", ours, theirs, ratio, goal, ratio <= 1 / factor),
        Row(f"{name}: rows flagged unlike", unlike, None, None, "none", unlike == 0),
    ]


_PEAK = """
def peak():  # of this program alone: what getrusage tells begins with that of the process that started it
    told = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(told.split()[1]) * 1024 / 1e9
"""
_MEMORY = """
import sys, numpy as np
labels, p = np.load(sys.argv[1] + "/y.npy"), np.load(sys.argv[1] + "/p.npy", mmap_mode="r")
from airflow_mlsecops.core.poisoning.engine import find_issues
find_issues(labels[:1000], p[:1000])
for begin in range(0, len(p), 10000):
    p[begin : begin + 10000].max()
before = peak()
find_issues(labels, p)
print(peak() - before)
"""
_PARQUET = """
import sys, time
from pathlib import Path
from airflow_mlsecops.core.poisoning.engine import ParquetSource, find_issues_in
names = [f"p{k}" for k in range(10)]
begin = time.process_time()
found = find_issues_in(ParquetSource([Path(sys.argv[1])], label_column="y", probability_columns=names))
print(time.process_time() - begin, peak(), found.mask().sum())
"""
_SPARK = """
import sys
from pyspark.sql import SparkSession
from airflow_mlsecops.core.poisoning.engine.spark import find_issues_spark
session = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").config(
    "spark.driver.memory", "5g").config("spark.sql.shuffle.partitions", "8").getOrCreate()
names = [f"p{k}" for k in range(10)]
frame = session.read.parquet(sys.argv[1])
found = find_issues_spark(frame, key_column="id", label_column="y", probability_columns=names)
print(found.digest)
"""


def python(code: str, *arguments: str) -> list[str]:
    """The words of the last line that a process prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return done.stdout.splitlines()[-1].split()


def memory(rows: int, classes: int, folder: Path) -> Row:
    """Peak memory beyond the memory-mapped input."""
    labels, p = classifier(rows, classes)
    np.save(folder / "y.npy", labels)
    np.save(folder / "p.npy", p)
    extra = float(python(_PEAK + _MEMORY, str(folder))[0])
    return Row(f"{rows:,} x {classes}: GB beyond the input", extra, None, None, "at most 0.05 GB", extra <= 0.05)


def write_parquet(path: Path, rows: int, *, single: bool) -> None:
    """Rows in blocks of 500,000, each of its own seed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer, step = None, min(rows, 500_000)
    for number in range(rows // step):
        labels, p = classifier(step, 10, seed=number)
        p = p.astype(np.float32) if single else p
        ids = np.arange(number * step, (number + 1) * step)
        table = pa.table({"id": ids, "y": labels, **{f"p{k}": p[:, k] for k in range(10)}})
        writer = writer or pq.ParquetWriter(path, table.schema, compression="NONE", use_dictionary=False)
        writer.write_table(table)
    if writer:
        writer.close()


def from_parquet(rows: int, folder: Path) -> list[Row]:
    """Time and peak memory of a whole process that reads Parquet."""
    path = folder / "rows.parquet"
    write_parquet(path, rows, single=True)
    seconds, peak, _ = python(_PEAK + _PARQUET, str(path))
    path.unlink()
    return [
        Row(f"{rows:,} x 10 from Parquet: peak GB", float(peak), None, None, "under 2 GB", float(peak) < 2),
        Row(f"{rows:,} x 10 from Parquet: CPU-s", float(seconds), None, None, "told", True),
    ]


def on_spark(rows: int, folder: Path) -> Row:
    """Whether Spark flags the very rows."""
    from airflow_mlsecops.core.poisoning.engine import ParquetSource, find_issues_in

    path = folder / "rows.parquet"
    write_parquet(path, rows, single=False)
    names = [f"p{k}" for k in range(10)]
    ours = find_issues_in(ParquetSource([path], label_column="y", probability_columns=names)).digest
    same = python(_SPARK, str(path)) == [ours]
    path.unlink()
    return Row(f"{rows:,} x 10 on Spark local[2]: digests equal", float(same), None, None, "equal", same)


def against_datalab(rows: int) -> Row | None:
    """The exact neighbour graph, which near-duplicates and outliers are read from; None without cleanlab[datalab]."""
    if importlib.util.find_spec("datasets") is None:
        print("no row against Datalab: see the top of this file for the environment that it needs", file=sys.stderr)
        return None
    from cleanlab import Datalab

    from airflow_mlsecops.core.poisoning.neighbours import neighbours

    draw = np.random.default_rng(0)
    features = draw.normal(size=(rows, 32)) + 3 * draw.normal(size=(20, 32))[draw.integers(0, 20, rows)]
    ours = cpu(lambda: neighbours(features), 1)
    lab = Datalab({"row": list(range(rows))}, verbosity=0)
    theirs = cpu(lambda: lab.find_issues(features=features, issue_types={"near_duplicate": {}, "outlier": {}}), 1)
    ratio = ours / theirs
    name = f"{rows:,} x 32, neighbour graph: CPU-s"
    return Row(name, ours, theirs, ratio, "20 times faster than Datalab", ratio <= 1 / 20)


def compiling(folder: Path) -> list[Row]:
    """What importing numba and compiling cost once, and with compiled code at hand."""
    code = (
        "import time; begin = time.process_time(); from tests.support.confident import classifier\n"
        "from airflow_mlsecops.core.poisoning.engine import find_issues; labels, p = classifier(1000, 3)\n"
        "begin = time.process_time(); find_issues(labels, p); print(time.process_time() - begin)"
    )
    os.environ["NUMBA_CACHE_DIR"] = str(folder)
    first, again = (float(python(code)[0]) for _ in range(2))
    del os.environ["NUMBA_CACHE_DIR"]
    return [
        Row("import numba and compile: CPU-s, once", first, None, None, "told", True),
        Row("import numba and load compiled code: CPU-s", again, None, None, "under 2 s", again < 2),
    ]


def main() -> int:
    """Run all; exit code 1 if a goal is missed."""
    chosen = options(__doc__ or "")
    warnings.simplefilter("ignore")
    find_issues(*classifier(1000, 3), filters=FILTERS, engine="numba")  # compiles
    find_issues(*classifier(1000, 3), engine="numba")
    default, rows = (FILTERS[0],), []
    sizes = [(1_000_000, 10, 18.0), (10_000_000, 10, 18.0), (1_000_000, 100, 25.0)]
    for size, classes, factor in [(1_000_000, 10, 18.0), (300_000, 100, 25.0)] if chosen.quick else sizes:
        rows += against_cleanlab(size, classes, default, factor, 1 if chosen.quick else 2 if size > 5e6 else 5)
    rows += against_cleanlab(200_000 if chosen.quick else 1_000_000, 10, FILTERS, 60.0, 1 if chosen.quick else 2)
    graph = against_datalab(10_000 if chosen.quick else 100_000)
    rows += [graph] if graph else []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows += compiling(folder)
        rows.append(memory(100_000 if chosen.quick else 1_000_000, 100, folder))
        rows += from_parquet(1_000_000 if chosen.quick else 100_000_000, folder)
        if importlib.util.find_spec("pyspark"):
            rows.append(on_spark(200_000 if chosen.quick else 10_000_000, folder))
    return publish("poisoning_speed", rows, chosen.json)


if __name__ == "__main__":
    sys.exit(main())
