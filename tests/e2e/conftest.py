"""One Airflow for all end-to-end tests: it takes a while to boot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_stack import AirflowStack

from tests.support.attacked import Attacked

ROOT = Path(__file__).resolve().parents[2]
USERS = {"admin": "admin", "alice": "user", "bob": "user", "carol": "user", "dave": "viewer"}


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Attacked:
    """The deployment that the attack suite attacks; the stack's gates and alarms sign with its keys."""
    return Attacked(tmp_path_factory.mktemp("attacked") / "deployment")


@pytest.fixture(scope="session")
def airflow_stack(tmp_path_factory: pytest.TempPathFactory, attacked: Attacked) -> Iterator[AirflowStack]:
    """A running Airflow over the repository's Dags and those of the end-to-end tests."""
    home = tmp_path_factory.mktemp("airflow")
    folders = [ROOT / "dags", ROOT / "tests" / "e2e" / "dags"]
    with AirflowStack(home, folders, users=USERS, extra_env=attacked.environment) as stack:
        yield stack
