"""Both tables of label poisoning, how well and how fast, by one command.

``poisoning_quality.py`` and ``poisoning_speed.py``, one after the other, with ``--quick`` for both; ``--json FOLDER``
keeps ``quality.json`` and ``speed.json`` there; ``--cache FOLDER`` lets a quality table that was cut off go on.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> int:
    """Run both; exit code 1 if a goal of either is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes")
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="write the rows there too")
    parser.add_argument("--cache", metavar="FOLDER", help="keep figures there, and go on from those that are there")
    parser.add_argument("--jobs", type=int, default=1, help="of the quality table (%(default)s)")
    chosen = parser.parse_args()
    missed = 0
    for name in ("quality", "speed"):
        command = [sys.executable, str(HERE / f"poisoning_{name}.py")]
        command += ["--quick"] if chosen.quick else []
        if chosen.json:
            chosen.json.mkdir(parents=True, exist_ok=True)
            command += ["--json", str(chosen.json / f"{name}.json")]
        if name == "quality":
            command += ["--jobs", str(chosen.jobs), *(["--cache", chosen.cache] if chosen.cache else [])]
        missed |= subprocess.run(command, check=False).returncode != 0
        print(flush=True)
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
