"""The health endpoint: states and counts, no secrets, no log-in, and not a request to the store for each of its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.log import LogTrust
from airflow_mlsecops.core.predicates import signature
from airflow_mlsecops.core.signing import generate_key, key_signer_from_uri
from airflow_mlsecops.core.trust_document import trust_document
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook
from airflow_mlsecops.plugin import health
from tests.plugin.pages import PipelineWorld
from tests.support.airflow_server import AirflowServer
from tests.support.evidence import artifact

ADDRESS = "/mlsecops/health"
PASSPHRASE = "a passphrase"
ORIGIN = "tests.example/evidence"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(health, "_HEALTH", health.Health(health.look))
    yield


def connect(monkeypatch: pytest.MonkeyPatch, **extra: str) -> None:
    fields = {"conn_type": "mlsecops", "password": PASSPHRASE, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_MLSECOPS_DEFAULT", json.dumps(fields))


def ask(server: AirflowServer) -> tuple[int, dict[str, Any]]:
    answer = server.client().get(ADDRESS)
    return answer.status_code, answer.json()


def test_everything_can_be_read(server: AirflowServer, world: PipelineWorld) -> None:
    status, told = ask(server)
    assert (status, told["status"]) == (200, "healthy")
    assert told["evidence_store"] == {"status": "healthy"}
    assert told["trust_policy"]["signers"] >= 1
    assert told["evidence_log"] == {"status": "absent"}


def test_whoever_asks_while_the_store_hangs_does_not_wait() -> None:
    """Anybody may ask, and each who waited would hold one of the api-server's threads."""
    asked, go = threading.Event(), threading.Event()

    def hang() -> dict[str, Any]:
        asked.set()
        assert go.wait(30)
        return {"status": "healthy"}

    state = health.Health(hang)
    first = threading.Thread(target=state.now)
    first.start()
    assert asked.wait(30)
    assert state.now() == {"status": "unhealthy", "code": "busy"}
    go.set()
    first.join(30)
    assert state.now() == {"status": "healthy"}


def test_the_log_is_counted(server: AirflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, store, trust = tmp_path / "key.pem", tmp_path / "store", tmp_path / "trust.yaml"
    key.write_bytes(generate_key(PASSPHRASE.encode())[0])
    store.mkdir()
    public = key_signer_from_uri(f"file:{key}", PASSPHRASE).public_key
    trust.write_text(trust_document("all", public, ("sign",), log=LogTrust(ORIGIN, (public,))))
    extra = {"evidence_root": str(store), "trust_policy": str(trust), "signer": f"file:{key}"}
    connect(monkeypatch, **extra)
    assert ask(server)[1]["evidence_log"] == {"status": "healthy", "entries": 0}
    MlsecopsHook().put(signature.build(artifact(), signed_at=utcnow(), evidence=[], run={}))
    monkeypatch.setattr(health, "_HEALTH", health.Health(health.look))
    assert ask(server)[1]["evidence_log"] == {"status": "healthy", "entries": 1}
    checkpoint = store / "log" / "checkpoint"
    checkpoint.chmod(0o644)
    checkpoint.write_text(checkpoint.read_text().replace("\n1\n", "\n2\n", 1))
    monkeypatch.setattr(health, "_HEALTH", health.Health(health.look))
    status, told = ask(server)
    assert (status, told["evidence_log"]["status"]) == (503, "unhealthy")


def test_a_store_that_is_down(server: AirflowServer, world: PipelineWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "s3cret-access"
    aws = {"conn_type": "aws", "login": "key", "password": secret, "extra": {"endpoint_url": "http://127.0.0.1:9"}}
    monkeypatch.setenv("AIRFLOW_CONN_DOWN", json.dumps(aws))
    connect(
        monkeypatch,
        evidence_root="s3://quite-private-bucket/",
        trust_policy=str(world.root / "trust.json"),
        aws_conn_id="down",
    )
    answer = server.client().get(ADDRESS)
    assert answer.status_code == 503
    told = answer.json()
    assert told["status"] == told["evidence_store"]["status"] == "unhealthy"
    assert told["trust_policy"]["status"] == "healthy"
    for word in (secret, "quite-private", "127.0.0.1", PASSPHRASE, str(world.root)):
        assert word not in answer.text


def test_a_trust_policy_that_is_gone(server: AirflowServer, world: PipelineWorld) -> None:
    (world.root / "trust.json").unlink()
    status, told = ask(server)
    assert (status, told["trust_policy"]["status"]) == (503, "unhealthy")
    assert str(world.root) not in json.dumps(told)


def test_before_anything_was_stored(server: AirflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_CONN_MLSECOPS_DEFAULT", raising=False)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    status, told = ask(server)
    assert (status, told["status"]) == (200, "healthy")
    assert told["evidence_store"] == {"status": "absent", "code": "no-evidence-yet"}
    assert not (tmp_path / "home").exists()


def test_it_needs_no_key(server: AirflowServer, world: PipelineWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(self: MlsecopsHook) -> Any:
        raise AssertionError("a key was asked for")

    monkeypatch.setattr(MlsecopsHook, "log_signer", property(never))
    assert ask(server)[0] == 200


def test_who_asks_often_does_not_ask_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    now = [100.0]
    monkeypatch.setattr("airflow_mlsecops.plugin.health.time.monotonic", lambda: now[0])
    kept = health.Health(lambda: looks.append(1) or {"status": "healthy"})  # type: ignore[func-returns-value]
    for _ in range(50):
        assert kept.now() == {"status": "healthy"}
    assert len(looks) == 1
    now[0] += health.KEEP_SECONDS + 1
    kept.now()
    assert len(looks) == 2
