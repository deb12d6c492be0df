"""The table in ``docs/explanation/model-scan.md``: this scan and others over the same hostile and ordinary files.

    python benchmarks/scanner_table.py --peers PYTHON [--peers PYTHON …] [--json FILE]

The hostile files are those of the tests, assembled from opcodes and never loaded; the ordinary ones are scikit-learn's
estimators in the half that nothing was tuned on, and models with other parameters, as pickle, joblib and compressed
joblib. Each scanner runs in a process of its own, in whichever of the environments has it. ``flagged``: it says that
something is wrong; ``unsure``: an error, a skipped file, or an unknown name; ``passed``: it says nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ANSWERS = ("flagged", "unsure", "passed")

# Each reads lines "number<TAB>path" and prints a JSON object number -> answer, and its version.
_LOOP = """
import json, sys
answers = {}
for line in open(sys.argv[1]):
    number, path = line.rstrip("\\n").split("\\t")
    try:
        answers[number] = judge(path)
    except BaseException:
        answers[number] = "unsure"
sys.__stdout__.write("\\n" + json.dumps({"version": version, "answers": answers}))
"""
SCANNERS = {
    "airflow-mlsecops": """
from pathlib import Path
from airflow_mlsecops import __version__ as version
from airflow_mlsecops.core.scanning import Judgement, Scan
def judge(path):
    outcome = Scan().tree(Path(path))
    if outcome:
        return "passed"
    return "flagged" if outcome.judgement in (Judgement.REFUSED, Judgement.SUSPICIOUS) else "unsure"
""",
    "modelscan": """
import logging; logging.disable()
from importlib.metadata import version as of; version = of("modelscan")
from modelscan.modelscan import ModelScan
def judge(path):
    scanner = ModelScan(); scanner.scan(path)
    if scanner.issues.all_issues: return "flagged"
    return "unsure" if scanner.errors or scanner.skipped else "passed"
""",
    "picklescan": """
import logging; logging.disable()
from importlib.metadata import version as of; version = of("picklescan")
from picklescan.scanner import scan_file_path
def judge(path):
    result = scan_file_path(path)
    if result.issues_count: return "flagged"
    odd = any(item.safety.value == "suspicious" for item in result.globals)
    return "unsure" if result.scan_err or odd or not result.scanned_files else "passed"
""",
    "fickling": """
from importlib.metadata import version as of; version = of("fickling")
import fickling
def judge(path):
    return "passed" if fickling.is_likely_safe(path) else "flagged"
""",
    "modelaudit": """
import logging, os; logging.disable(); os.environ["PROMPTFOO_DISABLE_TELEMETRY"] = "1"
from importlib.metadata import version as of; version = of("modelaudit")
from modelaudit.core import scan_model_directory_or_file
def judge(path):
    result = scan_model_directory_or_file(path).model_dump(mode="json")
    levels = {item["severity"] for item in result["issues"]}
    if levels & {"critical", "error"}: return "flagged"
    return "unsure" if "warning" in levels or result["has_errors"] or not result["files_scanned"] else "passed"
""",
}


def hostile() -> Iterator[tuple[str, bytes]]:
    """Hostile files by their names."""
    from tests.support.hostile_models import hostile_files

    for _, name, data in hostile_files():
        yield name, data


def ordinary() -> Iterator[tuple[str, bytes]]:
    """Ordinary files by their names."""
    from tests.support.benign_models import fitted_estimators, half_of, saved, variants

    warnings.simplefilter("ignore")
    models = [(name, model) for name, model in fitted_estimators() if half_of(name) == "held-out"]
    for name, model in [*models, *variants()]:
        for file, data in saved(name, model):
            if file.endswith(("protocol2.pkl", "protocol4.pkl", "plain.joblib", "zlib.joblib")):
                yield file.replace("/", "-"), data


def write(folder: Path, files: Iterator[tuple[str, bytes]]) -> Path:
    """Write each file into a folder of its own, so that it keeps its name, and list them."""
    lines = []
    for number, (name, data) in enumerate(files):
        place = folder / f"{number:05}"
        place.mkdir(parents=True)
        (place / name).write_bytes(data)
        lines.append(f"{number}\t{place / name}\n")
    listed = folder / "list.txt"
    listed.write_text("".join(lines))
    return listed


def ask(name: str, pythons: list[str], listed: Path) -> tuple[str, dict[str, int]] | None:
    """Version and counts, from the first environment that has the scanner."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT) if name == "airflow-mlsecops" else ""}
    for python in [sys.executable] if name == "airflow-mlsecops" else pythons:
        command = [python, "-c", SCANNERS[name] + _LOOP, str(listed)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=listed.parent, check=False)
        if done.returncode == 0:
            told = json.loads(done.stdout.splitlines()[-1])
            answers = list(told["answers"].values())
            return told["version"], {answer: answers.count(answer) for answer in ANSWERS}
    return None


def main() -> int:
    """Scan with each, and print the table."""
    parser = argparse.ArgumentParser(description="Scanners over the same files.")
    parser.add_argument("--peers", action="append", default=[], metavar="PYTHON", help="an environment with scanners")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts there too")
    chosen = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    pythons, found = [str(Path(python).absolute()) for python in chosen.peers], {}
    with tempfile.TemporaryDirectory(prefix="mlsecops-scanners-") as folder:
        sets = {"hostile": write(Path(folder) / "h", hostile()), "ordinary": write(Path(folder) / "o", ordinary())}
        sizes = {name: len(listed.read_text().splitlines()) for name, listed in sets.items()}
        print(f"| scanner | hostile ({sizes['hostile']}): {' · '.join(ANSWERS)} | ordinary ({sizes['ordinary']}) |")
        print("|---|---|---|")
        for name in SCANNERS:
            told = {which: ask(name, [*pythons, sys.executable], listed) for which, listed in sets.items()}
            if any(value is None for value in told.values()):
                print(f"| {name} | not installed | |", flush=True)
                continue
            counts = {which: value[1] for which, value in told.items() if value}
            version = next(value[0] for value in told.values() if value)
            found[name] = {"version": version, **counts}
            cells = [" · ".join(str(counts[which][answer]) for answer in ANSWERS) for which in sets]
            print(f"| {name} {version} | {cells[0]} | {cells[1]} |", flush=True)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
