"""Whom tasks tell, and what they count: through Airflow's notifiers and metrics, and never at the task's cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from airflow.sdk import BaseNotifier
from airflow.sdk.observability import stats

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.predicates.alarm import Alarm
from airflow_mlsecops.core.predicates.alarm import Event as AlarmEvent
from airflow_mlsecops.hooks.alarms import sound
from airflow_mlsecops.hooks.metrics import METRICS
from airflow_mlsecops.hooks.notifying import Event, tell
from airflow_mlsecops.operators.approval_gate import ApprovalGateOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from airflow_mlsecops.operators.validate_data import ValidateDataOperator
from tests.support.deployment import Deployment
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow

HERE = f"{__name__}.Recorder"
FILLED = {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}}


class Recorder(BaseNotifier):
    """Remembers what it is told; its text is a template, as those of Airflow's providers are."""

    template_fields = ("text",)
    told: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, text: str = "{{ mlsecops.event }}: {{ mlsecops.subject }}") -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Any) -> None:
        told = context.get("mlsecops", context)
        self.told.append({**told, "rendered": self.text, "ti": context.get("ti")})


class Broken(BaseNotifier):
    """Can't even be made."""

    def __init__(self) -> None:
        raise RuntimeError("no such channel")


class Counters:
    """A metrics backend that remembers."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, int, dict[str, Any]]] = []
        self.timed: list[tuple[str, timedelta, dict[str, Any]]] = []

    def incr(self, stat: str, count: int = 1, rate: float = 1, *, tags: dict[str, Any] | None = None) -> None:
        self.counted.append((stat, count, tags or {}))

    def timing(self, stat: str, dt: timedelta, *, tags: dict[str, Any] | None = None) -> None:
        self.timed.append((stat, dt, tags or {}))

    def __getattr__(self, name: str) -> Any:  # what Airflow itself measures
        return lambda *args, **kwargs: None

    def ours(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for name, number, _ in self.counted:
            if name.startswith("mlsecops."):
                found[name] = found.get(name, 0) + number
        return found


@pytest.fixture(autouse=True)
def empty() -> Iterator[None]:
    Recorder.told.clear()
    yield
    Recorder.told.clear()


@pytest.fixture
def counters(monkeypatch: pytest.MonkeyPatch) -> Counters:
    backend = Counters()
    monkeypatch.setattr(stats, "incr", backend.incr)
    monkeypatch.setattr(stats, "timing", backend.timing)
    return backend


def configure(monkeypatch: pytest.MonkeyPatch, value: Any, option: str = "NOTIFIERS") -> None:
    text = value if isinstance(value, str) else json.dumps(value)
    monkeypatch.setenv(f"AIRFLOW__MLSECOPS__{option}", text)


def validate(tmp_path: Path, deployment: Deployment, rows: str) -> OpRun:
    table = tmp_path / "table.csv"
    table.write_text("a,b\n" + rows)
    suite = {"name": "small", "expectations": [FILLED]}
    operator = ValidateDataOperator(task_id="validate", artifact=str(table), suite=suite)
    return run_op(operator, connections=deployment.connections)


def test_a_failed_control_is_a_finding(tmp_path: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, [{"notifier": HERE}])
    done = validate(tmp_path, deployment, ",1\n2,3\n")
    assert done.state == "failed"
    (told,) = Recorder.told
    assert told["event"] == "finding"
    assert told["rendered"] == f"finding: {told['subject']}"
    assert told["evidence"] == done.xcoms["mlsecops"]["evidence"]
    assert told["url"].endswith(done.xcoms["mlsecops"]["artifact"]["digest"])
    assert told["ti"].task_id == "validate"  # the task's own context is there too


def test_nobody_is_told_of_a_pass(tmp_path: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, [{"notifier": HERE}])
    assert validate(tmp_path, deployment, "1,1\n2,3\n").state == "success"
    assert Recorder.told == []


def test_a_gates_no_is_a_refusal(model: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, [{"notifier": HERE, "on": ["refusal"], "arguments": {"text": "{{ mlsecops.text }}"}}])
    policy = model.with_name("policy.yaml")
    policy.write_text("version: 1\nname: small\nrequire: [{evidence: signature, of: model}]\n")
    gate = ReleaseGateOperator(task_id="gate", artifact=str(model), policy=str(policy))
    assert run_op(gate, connections=deployment.connections).state == "failed"
    (told,) = Recorder.told
    assert told["event"] == "refusal"
    assert "is not released" in told["rendered"]


def test_a_gate_that_waits_says_so(
    model: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, counters: Counters
) -> None:
    configure(monkeypatch, [{"notifier": HERE, "on": ["waiting"]}])
    asked = run_op(ApprovalGateOperator(task_id="ask", artifact=str(model)), connections=deployment.connections)
    assert asked.state == "deferred"
    (told,) = Recorder.told
    assert told["event"] == "waiting"
    assert "ask waits for an answer" in told["subject"]
    assert counters.ours() == {"mlsecops.approvals.asked": 1}


def test_an_alarm_is_told_by_both_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, [{"notifier": HERE, "on": ["alarm"]}, {"notifier": HERE, "on": ["finding"]}])
    configure(monkeypatch, [{"notifier": HERE, "arguments": {"text": "{{ user }}"}}], "ALARM_NOTIFIERS")
    run = {"orchestrator": "apache-airflow", "dag_id": "d", "run_id": "r", "task_id": "gate", "map_index": -1}
    sound(Alarm(AlarmEvent.STATE_SET, "ReleaseGateOperator", "PATCH", "mallory", utcnow(), {**run, "try_number": 1}))
    assert [told["event"] for told in Recorder.told] == ["state-set", "alarm"]
    assert {told["user"] for told in Recorder.told} == {"mallory"}


@pytest.mark.parametrize(
    "setting",
    [
        "not json",
        '{"notifier": "x.Y"}',
        '[{"class": "x.Y"}]',
        '[{"notifier": "no.such.module.Pager"}]',
        '[{"notifier": "json.NoSuchClass"}]',
        f'[{{"notifier": "{HERE}", "on": ["refusals"]}}]',
        f'[{{"notifier": "{HERE}", "arguments": {{"colour": "red"}}}}]',
        f'[{{"notifier": "{__name__}.Broken"}}]',
    ],
)
def test_a_setting_that_is_wrong_costs_no_task(
    tmp_path: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    configure(monkeypatch, setting)
    done = validate(tmp_path, deployment, ",1\n")
    assert done.state == "failed"
    assert "data-validation" in str(done.error)
    assert "[mlsecops] notifiers can't be used" in done.logs
    assert Recorder.told == []


def test_a_notifier_that_fails_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = {"notifier": HERE, "arguments": {"text": "{{ mlsecops.no.such.thing }}"}}
    configure(monkeypatch, [bad, {"notifier": HERE}])
    assert tell(Event.FINDING, {"subject": "s"}) == 1
    assert [told["rendered"] for told in Recorder.told] == ["finding: s"]


class Leaking(BaseNotifier):
    """As one whose server can't be reached, which names the address."""

    def __call__(self, *args: Any) -> None:
        raise OSError("no route to https://hooks.example.org/T0/s3cr3t")

    def notify(self, context: Any) -> None:
        """Never gets there."""


def test_what_a_notifier_raises_is_not_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    configure(monkeypatch, [{"notifier": HERE.replace("Recorder", "Leaking")}])
    assert tell(Event.FINDING, {"subject": "s"}) == 0
    assert "Leaking wasn't told: it raised OSError" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_what_a_control_counts(tmp_path: Path, deployment: Deployment, counters: Counters) -> None:
    validate(tmp_path, deployment, ",1\n,3\n")
    counted = counters.ours()
    assert counted["mlsecops.controls.fail"] == counted["mlsecops.answers.no"] == 1
    assert counted["mlsecops.findings"] >= 1
    (timed,) = [entry for entry in counters.timed if entry[0] == "mlsecops.control.duration"]
    assert timed[1] > timedelta(0)
    assert timed[2] == {"control": "data-validation", "dag_id": timed[2]["dag_id"]}
    validate(tmp_path, deployment, "1,1\n")
    assert counters.ours()["mlsecops.controls.pass"] == counters.ours()["mlsecops.answers.yes"] == 1
    assert counters.ours().keys() <= METRICS.keys()


def test_a_backend_that_is_down_costs_no_task(
    tmp_path: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*args: Any, **kwargs: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(stats, "incr", down)
    monkeypatch.setattr(stats, "timing", down)
    assert validate(tmp_path, deployment, "1,1\n").state == "success"


def test_every_metric_is_on_its_page() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "how-to" / "watch-it-run.md").read_text(encoding="utf-8")
    for name, meaning in METRICS.items():
        assert f"| `{name}` | {meaning} |" in page
