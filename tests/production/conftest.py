"""One topology for all of these tests: it takes a minute to come up."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.production.topology import Topology, running_topology

PROGRAMS = "MLSECOPS_PRODUCTION_PROGRAMS"
DISK_GIGABYTES = 40


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests need servers of the system's and an environment of their own, which a script gives them.

    Faults come last: what they leave behind mustn't blur whether the pipeline works.
    """
    items.sort(key=lambda item: item.path == Path(__file__).with_name("test_faults.py"))
    if os.environ.get(PROGRAMS):
        return
    skip = pytest.mark.skip(reason="scripts/test-production runs these: it installs the servers they need")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(skip)


@contextlib.contextmanager
def own_disk() -> Iterator[Path | None]:
    """A file system of its own for the store, in a sparse file; None where nobody may mount one."""
    with tempfile.TemporaryDirectory(prefix="mlsecops-disk-") as folder:
        image, target = Path(folder) / "image", Path(folder) / "mounted"
        target.mkdir()
        with image.open("wb") as file:
            file.truncate(DISK_GIGABYTES << 30)
        commands = (["mkfs.ext4", "-q", "-F", str(image)], ["mount", "-o", "loop", str(image), str(target)])
        try:
            for command in commands:
                subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            yield None
            return
        try:
            yield target
        finally:
            subprocess.run(["umount", "--lazy", str(target)], check=True)


@pytest.fixture(scope="session")
def store_disk() -> Iterator[Path | None]:
    """Where the store's data lie, if they have a file system of their own."""
    with own_disk() as folder:
        yield folder


@pytest.fixture(scope="session")
def topology(store_disk: Path | None) -> Iterator[Topology]:
    """The deployment, up and healthy."""
    data = store_disk / "s3" if store_disk else None
    with running_topology(Path(os.environ[PROGRAMS]), data) as running:
        for dag_id in ("production_pipeline", "production_faults"):
            running.api("admin").wait_for_dag(dag_id, timeout=120)
        yield running
