"""One real api-server for all tests here, and for each test evidence of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.store.local import LocalBackend
from tests.plugin.pages import PipelineWorld
from tests.support.airflow_server import AirflowServer
from tests.support.evidence import ROLES, trust_bytes


@pytest.fixture(scope="session")
def built_server(tmp_path_factory: pytest.TempPathFactory) -> AirflowServer:
    """Alice may read the red team's Dags, Bob the blue team's, both those that are no team's, the admin all."""
    return AirflowServer.build(
        tmp_path_factory.mktemp("airflow"),
        users={"alice": ("viewer", "red"), "bob": ("user", "blue"), "root": ("admin", "")},
        dags={"red_pipeline": "red", "blue_pipeline": "blue", "shared": ""},
    )


@pytest.fixture
def server(built_server: AirflowServer) -> Iterator[AirflowServer]:
    """The server; this process is its own for one test."""
    with built_server.active():
        yield built_server


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PipelineWorld:
    """An evidence store and a trust policy that the server's default connection leads to."""
    connect(tmp_path, monkeypatch)
    return PipelineWorld(backend=LocalBackend(tmp_path / "evidence"), now=utcnow(), root=tmp_path)


def connect(root: Path, patch: pytest.MonkeyPatch) -> None:
    """Let the default connection lead to a new store in a folder, and the index lie beside it."""
    (root / "evidence").mkdir()
    more = {"watcher": ["alarm"], "releaser": ["promote"], "asker": ["ask"]}
    (root / "trust.json").write_bytes(trust_bytes({**ROLES, **more}))
    extra = {
        "evidence_root": str(root / "evidence"),
        "signer": f"file:{root / 'no-key.pem'}",  # a page that wanted to sign would fail
        "trust_policy": str(root / "trust.json"),
    }
    patch.setenv("AIRFLOW_CONN_MLSECOPS_DEFAULT", json.dumps({"conn_type": "mlsecops", "extra": extra}))
    patch.setenv("AIRFLOW__MLSECOPS__INDEX_FOLDER", str(root / "index"))
