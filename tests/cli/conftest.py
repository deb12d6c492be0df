"""Fixtures of the command line's tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from airflow_mlsecops.cli.main import main
from tests.cli.released import Released
from tests.support.s3_server import s3_server

__all__ = ["s3_server"]


class Ran(NamedTuple):
    """What one call of the command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MLSECOPS_STORE", "MLSECOPS_TRUST", "MLSECOPS_POLICY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls ``main`` in this process; every argument becomes text."""

    def call(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return call


@pytest.fixture
def world(tmp_path: Path) -> Released:
    """Keys, policies, data, a model and an empty store."""
    return Released(tmp_path / "world")


@pytest.fixture
def released(world: Released) -> Released:
    """The same after the whole pipeline ran."""
    world.run_pipeline()
    return world


@pytest.fixture
def tree_of() -> Callable[[Path], dict[str, bytes]]:
    """Reads every file under a folder."""
    return lambda root: {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}
