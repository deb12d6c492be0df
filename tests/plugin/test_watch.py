"""The alarm: who goes round a gate is seen by a real api-server, recorded as evidence and told."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, BaseNotifier

from airflow_mlsecops.core.evidence import collect
from airflow_mlsecops.core.predicates import alarm
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.plugin.watch import MAX_BODY, GateWatch, Message
from tests.plugin.pages import SHARED
from tests.support.airflow_server import AirflowServer
from tests.support.deployment import Deployment

RUN = f"/api/v2/dags/{SHARED}/dagRuns/run1"
TOLD: list[Any] = []


class Pager(BaseNotifier):
    """A notifier, as a site configures it."""

    def __init__(self, team: str) -> None:
        super().__init__()
        self.team = team

    def notify(self, context: Any) -> None:
        TOLD.append((self.team, context["event"], context["user"], context["evidence"]))


class BrokenPager(BaseNotifier):
    def notify(self, context: Any) -> None:
        raise RuntimeError("no network")


@pytest.fixture
def ids(server: AirflowServer) -> Iterator[dict[str, str]]:
    """A run of a Dag with a gate, in the server's database; task -> id of its task instance."""
    from airflow.models.dagrun import DagRun
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.models.taskinstance import TaskInstance
    from airflow.serialization.serialized_objects import LazyDeserializedDAG
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType
    from sqlalchemy import delete, select

    with DAG(SHARED, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        gate = ReleaseGateOperator(task_id="gate", artifact="/m", policy="/p")
        SignArtifactOperator(task_id="sign", artifact="/m") >> gate
    SerializedDagModel.write_dag(LazyDeserializedDAG.from_dag(dag), bundle_name=f"bundle of {SHARED}")
    read: Any = SerializedDagModel.get_dag(SHARED)
    read.create_dagrun(
        run_id="run1",
        run_after=datetime(2026, 1, 1, tzinfo=UTC),
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.TEST,
        state=DagRunState.RUNNING,
    )
    with create_session() as session:
        found = session.execute(select(TaskInstance.task_id, TaskInstance.id).where(TaskInstance.dag_id == SHARED))
        yield {task: str(key) for task, key in found}
        session.execute(delete(DagRun).where(DagRun.dag_id == SHARED))


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    made = Deployment(tmp_path / "deployment", roles=("alarm",))
    connection = made.connections["mlsecops_default"]
    monkeypatch.setenv("AIRFLOW_CONN_WATCHER", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW__MLSECOPS__ALARM_CONN_ID", "watcher")
    notifiers = [
        {"notifier": f"{__name__}.BrokenPager"},
        {"notifier": "no.such.Pager"},
        {"notifier": f"{__name__}.Pager", "arguments": {"colour": "red"}},
        {"notifier": f"{__name__}.Pager", "arguments": {"team": "ml"}},
    ]
    monkeypatch.setenv("AIRFLOW__MLSECOPS__ALARM_NOTIFIERS", json.dumps(notifiers))
    TOLD.clear()
    return made


def alarms(deployment: Deployment) -> list[tuple[str, str, str]]:
    """Event, task and user of each."""
    evidence = collect(deployment.store, alarm.EVERY_ALARM.digest, deployment.trust, datetime.now(UTC))
    assert not evidence.refused
    said = [alarm.parse(item.statement) for item in evidence.of("alarm")]
    return sorted((item.event.value, item.run["task_id"], item.user) for item in said)


def test_a_state_set_by_hand(server: AirflowServer, ids: dict[str, str], deployment: Deployment) -> None:
    client = server.client("root")
    assert client.patch(f"{RUN}/taskInstances/gate", json={"new_state": "success"}).status_code == 200
    assert alarms(deployment) == [("state-set", "gate", "root")]
    ((team, event, user, digest),) = TOLD  # though other notifiers are broken, or none
    assert (team, event, user) == ("ml", "state-set", "root")
    assert deployment.store.get(digest).bundle is not None


def test_a_request_that_is_padded(server: AirflowServer, ids: dict[str, str], deployment: Deployment) -> None:
    """What is too long to be kept, and was taken all the same, may be anything."""
    body = b'{"new_state": "success"}' + b" " * MAX_BODY
    headers = {"Content-Type": "application/json"}
    answer = server.client("root").patch(f"{RUN}/taskInstances/gate", content=body, headers=headers)
    assert answer.status_code == 200
    assert alarms(deployment) == [("state-set", "gate", "root")]


@pytest.mark.parametrize("path", ["/taskInstances/gate/dry_run", "/taskInstances/sign"])
def test_what_is_no_alarm(path: str, server: AirflowServer, ids: dict[str, str], deployment: Deployment) -> None:
    assert server.client("root").patch(RUN + path, json={"new_state": "success"}).status_code == 200
    assert server.client("root").patch(f"{RUN}/taskInstances/gate", json={"note": "hello"}).status_code == 200
    assert alarms(deployment) == []


def test_who_may_not_raises_none(server: AirflowServer, ids: dict[str, str], deployment: Deployment) -> None:
    answer = server.client("alice").patch(f"{RUN}/taskInstances/gate", json={"new_state": "success"})
    assert answer.status_code == 403
    assert alarms(deployment) == []


def test_the_whole_run_set_by_hand(server: AirflowServer, ids: dict[str, str], deployment: Deployment) -> None:
    assert server.client("root").patch(RUN, json={"state": "success"}).status_code == 200
    assert alarms(deployment) == [("state-set", "gate", "root")]


def test_a_gate_that_is_cleared(server: AirflowServer, ids: dict[str, str], deployment: Deployment) -> None:
    clear = {"dag_run_id": "run1", "task_ids": ["sign"], "only_failed": False, "include_downstream": True}
    path = f"/api/v2/dags/{SHARED}/clearTaskInstances"
    client = server.client("root")
    client.patch(f"{RUN}/taskInstances/gate", json={"new_state": "success"})
    assert client.post(path, json=clear).status_code == 200  # a dry run
    assert len(alarms(deployment)) == 1
    assert client.post(path, json={**clear, "dry_run": False}).status_code == 200
    assert alarms(deployment) == [("cleared", "gate", "root"), ("state-set", "gate", "root")]


def test_an_xcom_that_is_written_by_hand(server: AirflowServer, ids: dict[str, str], deployment: Deployment) -> None:
    client = server.client("root")
    xcoms = f"{RUN}/taskInstances/gate/xcomEntries"
    assert client.post(xcoms, json={"key": "return_value", "value": {"released": True}}).status_code == 201
    assert client.patch(f"{xcoms}/return_value", json={"value": {"released": False}}).status_code == 200
    assert client.get(f"{xcoms}/return_value").status_code == 200
    other = f"{RUN}/taskInstances/sign/xcomEntries"
    assert client.post(other, json={"key": "return_value", "value": 1}).status_code == 201
    assert alarms(deployment) == [("xcom-changed", "gate", "root")] * 2


@pytest.mark.parametrize(("asker", "seen"), [("gate", False), ("sign", True), ("", True)])
def test_an_xcom_that_another_task_writes(
    asker: str, seen: bool, server: AirflowServer, ids: dict[str, str], deployment: Deployment
) -> None:
    """The execution API's own app checks tokens; here one stands for it that accepts them all."""

    async def accepts(scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}"}

    claims = base64.urlsafe_b64encode(json.dumps({"sub": ids.get(asker, "?")}).encode()).rstrip(b"=")
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/execution/xcoms/{SHARED}/run1/gate/return_value",
        "headers": [(b"authorization", b"Bearer e30." + claims + b".c2ln")],
    }
    asyncio.run(GateWatch(accepts)(scope, receive, send))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    by = f"task {SHARED}.{asker} of run1" if asker else ""
    assert alarms(deployment) == ([("xcom-changed", "gate", by)] if seen else [])


def test_without_a_setting_nothing_is_looked_at(
    server: AirflowServer, ids: dict[str, str], deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW__MLSECOPS__ALARM_CONN_ID")
    monkeypatch.delenv("AIRFLOW__MLSECOPS__ALARM_NOTIFIERS")
    assert server.client("root").patch(f"{RUN}/taskInstances/gate", json={"new_state": "success"}).status_code == 200
    assert alarms(deployment) == []
    assert TOLD == []


@pytest.mark.parametrize("broken", ["connection", "key", "role", "notifiers"])
def test_the_api_server_answers_whatever_is_broken(
    broken: str,
    server: AirflowServer,
    ids: dict[str, str],
    deployment: Deployment,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if broken == "connection":
        monkeypatch.setenv("AIRFLOW__MLSECOPS__ALARM_CONN_ID", "nowhere")
    elif broken == "key":
        deployment.key.write_text("none")
    elif broken == "role":
        deployment.trust_file.write_text(deployment.trust_file.read_text().replace("alarm", "gate"))
    else:
        monkeypatch.setenv("AIRFLOW__MLSECOPS__ALARM_NOTIFIERS", "{not JSON")
    answer = server.client("root").patch(f"{RUN}/taskInstances/gate", json={"new_state": "success"})
    assert answer.status_code == 200
    if broken == "notifiers":
        assert len(deployment.bundles()) > 0
    else:
        assert deployment.bundles() == []
        assert [told[:3] for told in TOLD] == [("ml", "state-set", "root")]  # told, though it isn't recorded
