"""The table in ``docs/explanation/model-scan.md``: this scan and others over the same hostile and ordinary files.

    python benchmarks/scanner_table.py --install FOLDER [--peers PYTHON …] [--only NAME …] [--most NAME=COUNT …]
        [--json FILE]

The hostile files are those of the tests, assembled from opcodes and never loaded; the ordinary ones are the corpus that
is drawn at random (``tests/support/benign_drawn.py``, and ``benign_libraries.py`` as far as XGBoost, LightGBM and torch
are installed). Each scanner runs in a process of its own, from whichever of the environments has it; ``--install``
makes one for each, because they go neither with each other nor with Airflow. ``flagged``: it says that something is
wrong; ``unsure``: an error, a skipped file, or an unknown name; ``passed``: it says nothing. ``--most`` gives a slow
scanner fewer of the ordinary files, evenly spread. The JSON file also names what was flagged of the ordinary files, and
what was passed of the hostile ones.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ANSWERS = ("flagged", "unsure", "passed")
WRONG = {"hostile": "passed", "ordinary": "flagged"}
REQUIREMENTS = {
    "modelscan": ("modelscan==0.8.8",),
    "picklescan": ("picklescan==1.0.5",),
    "fickling": ("fickling==0.1.12", "typing-extensions"),  # which it imports, and doesn't ask for
    "modelaudit": ("modelaudit==0.2.54",),
}

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
    from tests.support.benign_drawn import DRAWN_SEED, drawn_files
    from tests.support.benign_libraries import library_files

    for name, data in itertools.chain(drawn_files(DRAWN_SEED), library_files(DRAWN_SEED)):
        yield name.replace("/", "-"), data


def install(name: str, folder: Path) -> str:
    """The interpreter of an environment with this scanner, made if it isn't there."""
    python = folder / name / "bin" / "python"
    if not python.is_file():
        venv.create(folder / name, with_pip=True)
        command = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install", *REQUIREMENTS[name]]
        subprocess.run(command, check=True)
    return str(python.absolute())


def spread(listed: Path, most: int) -> Path:
    """A list of at most so many of the files, evenly spread."""
    lines = listed.read_text().splitlines(keepends=True)
    if most >= len(lines):
        return listed
    fewer = listed.with_name(f"list-{most}.txt")
    fewer.write_text("".join(lines[index * len(lines) // most] for index in range(most)))
    return fewer


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


def ask(name: str, pythons: list[str], listed: Path) -> tuple[str, dict[str, str]] | None:
    """Version, and the answer about each file, from the first environment that has the scanner."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT) if name == "airflow-mlsecops" else ""}
    for python in [sys.executable] if name == "airflow-mlsecops" else pythons:
        command = [python, "-c", SCANNERS[name] + _LOOP, str(listed)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=listed.parent, check=False)
        if done.returncode == 0:
            told = json.loads(done.stdout.splitlines()[-1])
            names = dict(line.split("\t") for line in listed.read_text().splitlines())
            shown = {number: str(Path(place).relative_to(listed.parent)) for number, place in names.items()}
            return told["version"], {shown[number]: answer for number, answer in told["answers"].items()}
    return None


def row(name: str, pythons: list[str], sets: dict[str, Path]) -> tuple[str, dict[str, object]]:
    """A line of the table, and the same as data; nothing of a scanner that no environment has."""
    told = {which: ask(name, [*pythons, sys.executable], listed) for which, listed in sets.items()}
    answers = {which: value[1] for which, value in told.items() if value is not None}
    if len(answers) < len(sets):
        return f"| {name} | not installed | |", {}
    version = next(value[0] for value in told.values() if value is not None)
    counts = {which: Counter(each.values()) for which, each in answers.items()}
    cells = [" · ".join(str(counts[which][answer]) for answer in ANSWERS) for which in sets]
    wrong = {
        which: [file for file, answer in each.items() if answer == WRONG[which]] for which, each in answers.items()
    }
    return f"| {name} {version} | {' | '.join(cells)} |", {"version": version, **counts, "wrong": wrong}


def main() -> int:
    """Scan with each, and print the table; exit code 1 if a scanner is missing."""
    parser = argparse.ArgumentParser(description="Scanners over the same files.")
    parser.add_argument("--peers", action="append", default=[], metavar="PYTHON", help="an environment with scanners")
    parser.add_argument("--install", type=Path, metavar="FOLDER", help="make an environment for each scanner there")
    parser.add_argument("--most", action="append", default=[], metavar="NAME=COUNT", help="so many ordinary files")
    parser.add_argument("--only", action="append", choices=[*SCANNERS], help="this scanner; by default all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts there too")
    chosen = parser.parse_args()
    sys.path.insert(0, str(ROOT))
    most = {name: int(count) for name, _, count in (item.partition("=") for item in chosen.most)}
    pythons, found = [str(Path(python).absolute()) for python in chosen.peers], {}
    with tempfile.TemporaryDirectory(prefix="mlsecops-scanners-") as folder:
        sets = {"hostile": write(Path(folder) / "h", hostile()), "ordinary": write(Path(folder) / "o", ordinary())}
        sizes = {name: len(listed.read_text().splitlines()) for name, listed in sets.items()}
        print(f"| scanner | hostile ({sizes['hostile']}): {' · '.join(ANSWERS)} | ordinary ({sizes['ordinary']}) |")
        print("|---|---|---|", flush=True)
        for name in chosen.only or SCANNERS:
            places = [install(name, chosen.install)] if chosen.install and name in REQUIREMENTS else pythons
            fewer = {**sets, "ordinary": spread(sets["ordinary"], most.get(name, sys.maxsize))}
            line, found[name] = row(name, places, fewer)
            print(line, flush=True)
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0 if all(found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
