"""One Airflow for all end-to-end tests: it takes a while to boot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_stack import AirflowStack

ROOT = Path(__file__).resolve().parents[2]
USERS = {"admin": "admin", "alice": "user", "bob": "user", "dave": "viewer"}


@pytest.fixture(scope="session")
def airflow_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowStack]:
    """A running Airflow over the repository's Dags and those of the end-to-end tests."""
    home = tmp_path_factory.mktemp("airflow")
    with AirflowStack(home, [ROOT / "dags", ROOT / "tests" / "e2e" / "dags"], users=USERS) as stack:
        yield stack
