"""Gives the test process an Airflow home of its own, before anything imports Airflow.

Airflow reads its configuration while it is imported: it takes over every ``AIRFLOW__…`` variable it finds and writes
``~/airflow/airflow.cfg`` if there is none. So the environment is set first, once, by ``tests/conftest.py``.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

# AIRFLOW_HOME, AIRFLOW_CONFIG, AIRFLOW__…, AIRFLOW_CONN_…, AIRFLOW_VAR_…, AIRFLOW_CTX_…, and the private ones by which
# a supervisor talks to the task processes that it forks.
_FOREIGN_PREFIXES = ("AIRFLOW", "_AIRFLOW", "__AIRFLOW")


def isolate_airflow() -> Path:
    """Point Airflow at a new temporary home and forget every Airflow setting of the surrounding environment.

    The home goes when the process that made it ends. It has no database: whatever opens one finds no tables.

    Returns:
        The new ``AIRFLOW_HOME``.

    Raises:
        RuntimeError: When Airflow is imported already, so that it has read the settings of its surroundings.
    """
    if "airflow" in sys.modules:
        raise RuntimeError("airflow was imported before its test environment was set: a pytest plugin imports it?")
    for name in [name for name in os.environ if name.startswith(_FOREIGN_PREFIXES)]:
        del os.environ[name]
    home = Path(tempfile.mkdtemp(prefix="airflow-unit-tests-"))
    os.environ.update(
        {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(home / "plugins"),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(home / "bundles"),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        }
    )
    atexit.register(_remove, home, os.getpid())
    return home


def _remove(home: Path, owner: int) -> None:
    if os.getpid() == owner:  # a forked child inherits this exit handler, and must not pull the floor away
        shutil.rmtree(home, ignore_errors=True)
