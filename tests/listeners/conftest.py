"""Fixtures of the listener tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.deployment import Deployment


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """A store, a key with every role, a trust policy."""
    return Deployment(tmp_path / "deployment")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A file that stands for a model; nothing here looks inside."""
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights" * 1000)
    return path
