"""What importing this provider adds to ``import airflow.sdk``, in CPU seconds.

The peer is what it would have to import if it weren't lazy.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from report import Row, options, publish

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    f"airflow_mlsecops.{folder}.{path.stem}"
    for folder in ("operators", "sensors")
    for path in (ROOT / folder).glob("*.py")
    if path.stem != "__init__"
)
EAGER = ["great_expectations", "cleanlab.filter", "sklearn.ensemble", "pandas", "boto3"]
LIMIT = 0.3


def cpu_seconds(modules: list[str], repeats: int) -> float:
    """Median CPU time of importing ``modules`` after ``airflow.sdk``, each time in a new process."""
    code = (
        "import importlib, time, airflow.sdk\n"
        "begin = time.process_time()\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(time.process_time() - begin)"
    )
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "AIRFLOW_HOME": home}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        runs = [
            subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
            for _ in range(repeats + 1)
        ]
    return median(float(run.stdout.splitlines()[-1]) for run in runs[1:])  # the first one compiles bytecode


def main() -> int:
    """Measure and print."""
    chosen = options("What importing the provider costs.")
    repeats = 3 if chosen.quick else 9
    ours, peer = cpu_seconds(MODULES, repeats), cpu_seconds(EAGER, min(repeats, 3))
    case = f"{len(MODULES)} operator and sensor modules, CPU-s beyond airflow.sdk"
    row = Row(case, ours, peer, ours / peer, f"under {LIMIT} s", ours < LIMIT)
    return publish("imports", [row], chosen.json)


if __name__ == "__main__":
    sys.exit(main())
