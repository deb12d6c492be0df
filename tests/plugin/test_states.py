"""When there is nothing yet, when the store is down, when an address is wrong: friendly, and without a traceback."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.store.local import LocalBackend
from airflow_mlsecops.plugin.source import ReadOnlyHook, Source
from tests.plugin.pages import RED, Html, PipelineWorld, api, page, raw
from tests.plugin.test_page import assert_safe
from tests.support.airflow_server import AirflowServer
from tests.support.evidence import artifact, trust_bytes

CONNECTION = "AIRFLOW_CONN_MLSECOPS_DEFAULT"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ``$AIRFLOW_HOME`` where nothing was stored yet, and no connection."""
    monkeypatch.delenv(CONNECTION, raising=False)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def test_before_anything_was_stored(server: AirflowServer, home: Path) -> None:
    answer = server.client("alice").get(page(RED, artifact()))
    assert answer.status_code == 404
    assert "No evidence yet" in Html(answer.text).text
    assert server.client("alice").get(api(RED, artifact())).json()["code"] == "no-evidence-yet"
    assert server.client("alice").get(raw(RED, "0" * 64)).json()["code"] == "no-evidence-yet"
    assert list(home.iterdir()) == []  # no key was made, nor anything else


def test_the_embedded_store_is_read_without_its_key(server: AirflowServer, home: Path) -> None:
    (home / "mlsecops" / "evidence").mkdir(parents=True)
    (home / "mlsecops" / "trust.yaml").write_bytes(trust_bytes())
    world = PipelineWorld(backend=LocalBackend(home / "mlsecops" / "evidence"), now=utcnow())
    world.signed()
    html = Html(server.client("alice").get(page(RED, world.model)).text)
    assert "These bytes are the model model" in html.text
    assert "For trying out only" in html.text
    assert sorted(path.name for path in (home / "mlsecops").iterdir()) == ["evidence", "trust.yaml"]


def test_the_connection_may_lie_in_airflows_database(server: AirflowServer, world: PipelineWorld, home: Path) -> None:
    from airflow.models import Connection
    from airflow.utils.session import create_session

    world.signed()
    extra = {
        "evidence_root": str(world.root / "evidence"),
        "signer": "file:/nowhere.pem",
        "trust_policy": str(world.root / "trust.json"),
    }
    row = Connection(conn_id="mlsecops_default", conn_type="mlsecops", extra=json.dumps(extra))
    with create_session() as session:
        session.add(row)
    try:
        assert CONNECTION not in os.environ
        assert server.client("alice").get(page(RED, world.model)).status_code == 200
    finally:
        with create_session() as session:
            session.delete(row)


def test_a_page_has_no_signer(world: PipelineWorld) -> None:
    with pytest.raises(ConfigurationError):
        _ = ReadOnlyHook().signer


def test_the_store_is_down(server: AirflowServer, world: PipelineWorld) -> None:
    evidence = world.signed()
    shutil.rmtree(world.root / "evidence")
    answer = server.client("alice").get(page(RED, world.model))
    assert answer.status_code == 503
    assert "503 store-unavailable" in Html(answer.text).text
    assert_safe(answer)
    for address in (api(RED, world.model), raw(RED, evidence)):
        response = server.client("alice").get(address)
        assert (response.status_code, response.json()["code"]) == (503, "store-unavailable")
        assert str(world.root) not in response.text
    assert str(world.root) not in answer.text


@pytest.mark.parametrize("content", [None, b"version: 1\nsigners: []\n"], ids=["gone", "empty"])
def test_the_trust_policy_cant_be_used(server: AirflowServer, world: PipelineWorld, content: bytes | None) -> None:
    world.signed()
    (world.root / "trust.json").unlink()
    if content is not None:
        (world.root / "trust.json").write_bytes(content)
    answer = server.client("alice").get(page(RED, world.model))
    assert answer.status_code == 500
    assert "500 trust" in Html(answer.text).text
    assert str(world.root) not in answer.text
    assert_safe(answer)


def test_the_connection_is_incomplete(
    server: AirflowServer, world: PipelineWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONNECTION, json.dumps({"conn_type": "mlsecops", "extra": {"evidence_root": "/x"}}))
    answer = server.client("alice").get(api(RED, world.model))
    assert (answer.status_code, answer.json()["code"]) == (500, "configuration")


def test_an_error_that_nobody_foresaw_shows_no_traceback(
    server: AirflowServer, world: PipelineWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> object:
        raise RuntimeError("the secret inside")

    monkeypatch.setattr(Source, "read", broken)
    for address in (page(RED, world.model), api(RED, world.model)):
        answer = server.client("alice", raising=False).get(address)
        assert answer.status_code == 500
        assert "internal" in answer.text
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text
        assert_safe(answer)


@pytest.mark.parametrize("digest", ["0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 62 + "%0A", "..", "%2e%2e%2fx", "*"])
def test_only_a_digest_is_looked_up(
    server: AirflowServer, world: PipelineWorld, monkeypatch: pytest.MonkeyPatch, digest: str
) -> None:
    def never(*_: object) -> object:
        raise AssertionError("the store was asked")

    monkeypatch.setattr(Source, "open", never)
    for address in (f"/dags/{RED}/artifacts/", f"/api/dags/{RED}/artifacts/", f"/dags/{RED}/evidence/"):
        assert server.client("alice").get(f"/mlsecops{address}{digest}").status_code == 404


def test_behind_a_proxy_that_serves_airflow_under_a_path(server: AirflowServer, world: PipelineWorld) -> None:
    world.signed()
    html = Html(server.client("alice", root_path="/airflow").get("/airflow" + page(RED, world.model)).text)
    assert all(link.startswith("/airflow/") for link in html.links if link != "#main")
    assert f"/airflow/dags/{RED}/runs/manual__1/tasks/sign" in html.links
    away = server.client("", root_path="/airflow").get("/airflow" + page(RED, world.model))
    assert away.headers["location"].startswith("/airflow/api/v2/auth/login?next=%2Fairflow%2Fmlsecops%2F")
