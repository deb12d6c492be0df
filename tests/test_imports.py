"""Importing every operator adds little to ``import airflow.sdk``; heavy libraries wait for ``execute``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HEAVY = ["great_expectations", "cleanlab", "sigstore", "sklearn", "pandas", "pyarrow", "boto3", "numpy", "fastapi"]
OPERATORS = sorted(
    f"airflow_mlsecops.{folder}.{path.stem}"
    for folder in ("operators", "sensors")
    for path in (ROOT / folder).glob("*.py")
    if path.stem != "__init__"
)


def loaded_by(modules: list[str], tmp_path: Path) -> set[str]:
    """Which heavy libraries importing ``modules`` loads beyond ``import airflow.sdk``."""
    code = (
        "import sys, json, importlib, airflow.sdk, airflow.triggers.base\n"
        "before = set(sys.modules)\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in set(sys.modules) - before]))"
    )
    environment = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_operators_and_sensors_load_nothing_heavy(tmp_path: Path) -> None:
    assert len(OPERATORS) >= 8
    assert loaded_by(OPERATORS, tmp_path) == set()


@pytest.mark.parametrize(
    "module", ["airflow_mlsecops.taskflow", "airflow_mlsecops.frames", "airflow_mlsecops.triggers.signed_artifact"]
)
def test_what_dags_and_the_triggerer_import_is_light_too(module: str, tmp_path: Path) -> None:
    assert loaded_by([module], tmp_path) == set()


def test_the_check_can_fail(tmp_path: Path) -> None:
    assert loaded_by(["numpy"], tmp_path) == {"numpy"}
