"""The verifier and CPython agree about every mutant that the verifier passes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MUTANTS = int(os.environ.get("MLSECOPS_FUZZ_MUTANTS", "20000"))
SEED = int(os.environ.get("MLSECOPS_FUZZ_SEED", "1"))
"""``MLSECOPS_FUZZ_MUTANTS=1000000 scripts/test -- tests/core/scanning/test_fuzz.py`` is the long run."""


def test_no_divergence_from_cpython() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "support" / "pickle_fuzz.py"), str(MUTANTS), str(SEED)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["mutants"] == MUTANTS
    assert told["passed"] >= told["seeds"] / 2  # the comparison compares something
    assert told["divergences"] == 0, told["first"]
