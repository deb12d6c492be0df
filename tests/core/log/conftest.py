"""Fixtures of the evidence log's tests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from airflow_mlsecops.core.store.backend import Backend
from tests.support.logs import MemoryLogBackend
from tests.support.stores import local_place, s3_place


@dataclass(frozen=True)
class LogPlace:
    """An empty place for a log, and what an intruder could do to it.

    Attributes:
        backend: the same place, opened anew with each call.
        overwrite: puts bytes under a key, whatever is there.
        delete: removes what lies under a key.
        all_keys: all keys in it.
    """

    backend: Callable[[], Backend]
    overwrite: Callable[[str, bytes], object]
    delete: Callable[[str], object]
    all_keys: Callable[[], list[str]]


@pytest.fixture(
    params=[
        "memory",
        "folder",
        pytest.param("s3", marks=pytest.mark.s3),
        pytest.param("s3-plain", marks=pytest.mark.s3),
    ]
)
def log_place(request: pytest.FixtureRequest, tmp_path: Path) -> LogPlace:
    """In memory, in a folder, in a versioned bucket and in one without versions, each in turn."""
    if request.param == "memory":
        memory = MemoryLogBackend()
        return LogPlace(
            lambda: memory, memory.objects.__setitem__, memory.objects.__delitem__, lambda: sorted(memory.objects)
        )
    if request.param == "folder":
        place = local_place(tmp_path / "evidence")
    else:
        server = request.getfixturevalue("s3_server")
        place = s3_place(server, server.bucket if request.param == "s3" else server.plain_bucket)
    return LogPlace(lambda: place.store._backend, place.overwrite, place.delete, place.keys)
