"""The harness for operators behaves as a worker, its server and Airflow's services do."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import psutil
import pytest
import structlog
from airflow import settings
from airflow._shared.secrets_masker import _secrets_masker as core_masker
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.providers.standard.sensors.python import PythonSensor
from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import DAG, Asset, BaseHook, BaseOperator, BaseOperatorLink, Connection, Context, Param, Variable, task
from airflow.sdk._shared.secrets_masker import _secrets_masker as sdk_masker
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowNotFoundException,
    AirflowSkipException,
    TaskAwaitingInput,
)
from airflow.sdk.execution_time import task_runner
from airflow.sdk.execution_time.hitl import upsert_hitl_detail
from airflow.sdk.execution_time.supervisor import BlockedDBSession
from airflow.sdk.log import mask_secret
from airflow.utils.session import create_session

from tests.support.parked import AnswerRefusedError
from tests.support.run_op import run_op

pytestmark = pytest.mark.airflow

ALICE, BOB = {"id": "alice", "name": "alice"}, {"id": "bob", "name": "bob"}


def python_task(function: Any, **kwargs: Any) -> PythonOperator:
    return PythonOperator(task_id="probe", python_callable=function, **kwargs)


def raising(error: BaseException) -> Any:
    def fail() -> None:
        raise error

    return fail


# Ends


def test_bash_renders_templates_and_pushes_its_last_line() -> None:
    run = run_op(
        BashOperator(task_id="hello", bash_command="echo {{ dag_run.conf['name'] }} {{ run_id }}"),
        conf={"name": "Ada"},
        run_id="r1",
    )
    assert (run.state, run.error) == ("success", None)
    assert run.xcoms == {"return_value": "Ada r1"}
    assert run.rendered["bash_command"] == "echo Ada r1"
    assert "Ada r1" in run.logs


def test_context_names_dag_run_and_user() -> None:
    seen = run_op(
        python_task(lambda dag_run, ti, dag, **_: [dag_run.triggering_user_name, ti.try_number, dag.dag_id, ti.run_id]),
        triggering_user="carol",
        try_number=2,
        dag_id="d",
        run_id="r",
    ).xcoms["return_value"]
    assert seen == ["carol", 2, "d", "r"]


def test_a_run_that_nobody_triggered_has_no_user() -> None:
    run = run_op(
        python_task(lambda dag_run, **_: [dag_run.triggering_user_name, dag_run.run_type]),
        triggering_user=None,
        run_type="asset_triggered",
    )
    assert run.xcoms["return_value"] == [None, "asset_triggered"]


def test_start_date_is_the_logical_date() -> None:
    run = run_op(BashOperator(task_id="t", bash_command="echo {{ ds }}"), start_date=datetime(2030, 5, 6, tzinfo=UTC))
    assert run.xcoms["return_value"] == "2030-05-06"


def test_an_error_with_tries_left_is_retried_and_then_fails() -> None:
    operator = python_task(raising(OSError("store is down")), retries=1, retry_delay=timedelta(seconds=7))
    first = run_op(operator)
    assert first.state == "up_for_retry"
    assert isinstance(first.error, OSError)
    second = first.rerun()
    assert second.state == "failed"
    assert second.ti.try_number == 2
    assert second.ti.id != first.ti.id
    assert "store is down" in second.logs


def test_fail_exception_is_final_though_tries_are_left() -> None:
    run = run_op(python_task(raising(AirflowFailException("signature refused")), retries=3))
    assert run.state == "failed"
    assert str(run.error) == "signature refused"


def test_an_error_without_retries_fails() -> None:
    assert run_op(python_task(raising(ValueError("no")))).state == "failed"


def test_skip() -> None:
    run = run_op(python_task(raising(AirflowSkipException("nothing new"))))
    assert (run.state, run.error, run.xcoms) == ("skipped", None, {})


def test_a_try_begins_without_the_xcoms_of_the_one_before() -> None:
    def push(ti: Any) -> None:
        ti.xcom_push(f"try-{ti.try_number}", 1)
        raise OSError

    first = run_op(python_task(push, retries=2))
    assert list(first.xcoms) == ["try-1"]
    assert list(first.rerun().xcoms) == ["try-2"]


def test_a_param_that_breaks_its_schema_ends_the_process_before_the_task() -> None:
    called: list[int] = []
    operator = python_task(lambda: called.append(1), params={"n": Param(type="integer")})
    run = run_op(operator)
    assert run.state == "failed"
    assert "n" in str(run.error)
    assert not called
    assert run_op(operator, conf={"n": 3}).state == "success"
    assert called == [1]


def test_execution_timeout_is_real() -> None:
    def sleep() -> None:
        signal.pause()

    assert run_op(python_task(sleep, execution_timeout=timedelta(seconds=0.2))).state == "failed"


def test_callbacks_run_in_finalize() -> None:
    seen: list[Any] = []
    run_op(
        python_task(raising(ValueError("boom")), on_failure_callback=lambda context: seen.append(context["exception"]))
    )
    assert str(seen[0]) == "boom"


# What comes in and goes out


def test_xcom_pull_gets_what_was_serialised() -> None:
    when = datetime(2026, 1, 2, tzinfo=UTC)
    run = run_op(
        python_task(lambda ti, **_: [ti.xcom_pull("up", key="k"), ti.xcom_pull(task_ids="up"), ti.xcom_pull("none")]),
        xcoms={("up", "k"): {"at": when, "n": (1, 2)}, ("up", "return_value"): "plain"},
    )
    assert run.xcoms["return_value"] == [{"at": when, "n": (1, 2)}, "plain", None]
    assert run.raw_xcoms["return_value"][1] == "plain"
    assert run.raw_xcoms["return_value"][0] != {"at": when, "n": (1, 2)}  # JSON lies in the database


def test_xcoms_of_a_mapped_task_come_in_their_order() -> None:
    run = run_op(
        python_task(lambda ti, **_: ti.xcom_pull("up", key="k")),
        xcoms={("up", "k", 1): "b", ("up", "k", 0): "a"},
    )
    assert run.xcoms["return_value"] == ["a", "b"]


@pytest.mark.parametrize("value", [object(), float("nan")], ids=["no serializer", "not JSON"])
def test_what_xcom_cannot_carry_fails_the_task(value: Any) -> None:
    run = run_op(python_task(lambda: value))
    assert run.state == "failed"
    assert run.error is not None


def test_what_the_supervisor_logs_is_not_in_the_tasks_log() -> None:
    run = run_op(python_task(lambda ti: ti.xcom_pull("nobody", map_indexes=-1)))
    assert run.state == "success"
    assert "Returned value was: None" in run.logs
    assert "XCom not found" not in run.logs


def test_xcom_arguments_resolve() -> None:
    with DAG("d", schedule=None):

        @task
        def up() -> int:
            return 1

        @task(multiple_outputs=True)
        def down(n: int) -> dict[str, int]:
            return {"double": 2 * n}

        result = down(up())  # type: ignore[arg-type]
    run = run_op(result, xcoms={("up", "return_value"): 21})
    assert run.xcoms == {"double": 42, "return_value": {"double": 42}}
    assert run.ti.dag_id == "d"


def test_taskflow_function_outside_a_dag() -> None:
    @task(task_id="named")
    def hello(name: str) -> str:
        return f"hello {name}"

    run = run_op(hello("{{ run_id }}"), run_id="r9")
    assert (run.state, run.ti.task_id, run.xcoms) == ("success", "named", {"return_value": "hello r9"})


def test_mapped_operator() -> None:
    with DAG("d", schedule=None):
        mapped = BashOperator.partial(task_id="m").expand(bash_command=["echo a", "echo b"])
    run = run_op(mapped, map_index=1)
    assert run.xcoms == {"return_value": "b"}
    assert run.ti.map_index == 1


def test_dag_params_and_conf() -> None:
    operator = BashOperator(task_id="t", bash_command="echo {{ params.a }} {{ params.b }}")
    assert run_op(operator, params={"a": 1, "b": 2}, conf={"b": 3}).xcoms["return_value"] == "1 3"


def test_the_operator_is_not_touched() -> None:
    operator = BashOperator(task_id="t", bash_command="echo {{ run_id }}")
    assert run_op(operator, run_id="r1").xcoms["return_value"] == "r1"
    assert run_op(operator, run_id="r2", dag_id="other").xcoms["return_value"] == "r2"
    assert operator.bash_command == "echo {{ run_id }}"
    assert not cast(Any, operator).has_dag()


def test_a_dag_id_that_is_not_the_operators() -> None:
    with DAG("d", schedule=None):
        operator = BashOperator(task_id="t", bash_command="true")
    with pytest.raises(ValueError, match="belongs to Dag d"):
        run_op(operator, dag_id="e")


def test_outlet_events_carry_their_extra() -> None:
    model = Asset(name="model", uri="s3://b/model")

    def publish(outlet_events: Any) -> None:
        outlet_events[model].extra = {"sha256": "ab"}

    run = run_op(python_task(publish, outlets=[model]))
    (event,) = run.outlet_events
    assert event["dest_asset_key"] == {"name": "model", "uri": "s3://b/model"}
    assert event["extra"] == {"sha256": "ab"}


class EvidenceLink(BaseOperatorLink):
    name = "Evidence"

    def get_link(self, operator: BaseOperator, *, ti_key: Any) -> str:
        return f"https://evidence.invalid/{ti_key.task_id}/{ti_key.run_id}"


class Linked(BaseOperator):
    operator_extra_links = (EvidenceLink(),)

    def execute(self, context: Context) -> None:
        raise ValueError("even so")


def test_operator_links_are_pushed_also_by_a_failed_task() -> None:
    run = run_op(Linked(task_id="linked"), run_id="r1")
    assert run.state == "failed"
    assert run.xcoms == {"_link_EvidenceLink": "https://evidence.invalid/linked/r1"}


# Connections, variables, secrets


def login(conn_id: str) -> Any:
    conn = BaseHook.get_connection(conn_id)
    return [conn.conn_type, conn.login, conn.port, conn.extra_dejson]


@pytest.mark.parametrize(
    "connection",
    [
        {"conn_type": "http", "login": "u", "port": 7, "extra": {"a": [1]}},
        Connection(conn_id="ignored", conn_type="http", login="u", port=7, extra='{"a": [1]}'),
    ],
    ids=["fields", "object"],
)
def test_connections_come_from_the_server(connection: Any) -> None:
    run = run_op(python_task(lambda: login("store")), connections={"store": connection})
    assert run.xcoms["return_value"] == ["http", "u", 7, {"a": [1]}]
    assert [m.conn_id for m in run.requests if type(m).__name__ == "GetConnection"] == ["store"]


@pytest.mark.parametrize("get", [BaseHook.get_connection, Connection.get], ids=["hook", "sdk"])
def test_an_unknown_connection_raises_as_in_a_worker(get: Any) -> None:
    run = run_op(python_task(lambda: get("nowhere")), connections={"store": {"conn_type": "http"}})
    assert run.state == "failed"
    assert isinstance(run.error, AirflowNotFoundException)


def test_connections_in_templates() -> None:
    operator = BashOperator(task_id="t", bash_command="echo {{ conn.store.host }} {{ var.value.v }} {{ var.json.j.k }}")
    run = run_op(
        operator, connections={"store": {"conn_type": "http", "host": "h"}}, variables={"v": "1", "j": {"k": 2}}
    )
    assert run.xcoms["return_value"] == "h 1 2"


def test_threads_of_a_task_may_ask_and_log_at_once() -> None:
    def work() -> list[str]:
        def one(number: int) -> str:
            structlog.get_logger("thread").info("working", number=number)
            return cast(str, BaseHook.get_connection(f"c{number % 4}").host)

        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(one, range(64)))

    run = run_op(python_task(work), connections={f"c{n}": {"conn_type": "http", "host": f"h{n}"} for n in range(4)})
    assert run.xcoms["return_value"] == [f"h{n % 4}" for n in range(64)]
    assert run.logs.count("working") == 64
    assert "number=0" in run.logs


def test_unknown_variable() -> None:
    assert run_op(python_task(lambda: Variable.get("v", default="fallback"))).xcoms["return_value"] == "fallback"
    assert run_op(python_task(lambda: Variable.get("v"))).state == "failed"


def test_logs_are_masked_where_airflow_knows_the_secret() -> None:
    secret = "correct horse battery"

    def leak() -> None:
        password = BaseHook.get_connection("store").password
        logging.getLogger("some.module").info("one %s", password)
        structlog.get_logger("other.module").info("two", detail={"deep": [password]})
        sys.stdout.write(f"three {password}\n")
        sys.stderr.write(f"four {password}")
        raise ValueError(f"five {password}")

    run = run_op(python_task(leak), connections={"store": {"conn_type": "http", "password": secret}})
    assert all(number in run.logs for number in ("one ***", "two", "three ***", "four ***", "five ***"))
    assert secret not in run.logs
    assert run.log.unmasked.count(secret) >= 5


def test_logs_show_what_airflow_does_not_know_to_be_secret() -> None:
    key = '-----BEGIN "KEY"-----\nümlaut\n'

    def leak() -> None:
        structlog.get_logger("lib").info("made a key", key=key)

    assert key in run_op(python_task(leak)).logs


def test_one_runs_secrets_do_not_mask_anothers_logs() -> None:
    run_op(
        python_task(lambda: login("store")),
        connections={"store": {"conn_type": "http", "password": "approved"}},
    )
    assert "it is approved" in run_op(BashOperator(task_id="t", bash_command="echo it is approved")).logs


# Waiting for people


def approval(**kwargs: Any) -> ApprovalOperator:
    return ApprovalOperator(task_id="ask", subject="Release {{ run_id }}?", **kwargs)


def test_an_approval_parks_and_asks() -> None:
    run = run_op(
        approval(
            body="digest {{ ti.xcom_pull('pin') }}", params={"reason": Param("", type="string")}, assigned_users=[BOB]
        ),
        xcoms={("pin", "return_value"): "sha256:ab"},
        run_id="r1",
    )
    assert run.state == "awaiting_input"
    assert run.hitl is not None
    assert (run.hitl.subject, run.hitl.body) == ("Release r1?", "digest sha256:ab")
    assert run.hitl.options == ["Approve", "Reject"]
    assert run.hitl.params is not None
    assert run.hitl.params["reason"]["value"] == ""
    assert [user.id for user in run.hitl.assigned_users or []] == ["bob"]
    assert (run.next_method, run.next_kwargs) == ("execute_complete", {})
    assert run.xcoms == {}


def test_one_question_can_be_answered_either_way() -> None:
    with DAG("d", schedule=None):
        ask = approval()
        ask >> BashOperator(task_id="release", bash_command="true")
    parked = run_op(ask)
    at = datetime(2026, 7, 8, 9, tzinfo=UTC)
    yes = parked.respond(["Approve"], by=BOB, at=at)
    assert yes.state == "success"
    assert yes.xcoms["return_value"] == {
        "chosen_options": ["Approve"],
        "params_input": {},
        "responded_at": at,
        "responded_by_user": BOB,
    }
    assert yes.skipped == []
    no = parked.respond(["Reject"], by=ALICE)
    assert (no.state, no.skipped) == ("success", ["release"])
    assert no.ti.id == parked.ti.id


def test_reject_can_fail() -> None:
    assert run_op(approval(fail_on_reject=True)).respond(["Reject"], by=BOB).state == "failed"


def test_form_input_arrives() -> None:
    run = run_op(approval(params={"reason": Param("", type="string")}))
    answered = run.respond(["Approve"], by=BOB, params_input={"reason": "tested"})
    assert answered.xcoms["return_value"]["params_input"] == {"reason": "tested"}
    again = run.respond(["Reject"], by=BOB)
    assert again.ti.task.params["reason"] == ""


def test_answers_that_the_api_refuses() -> None:
    run = run_op(approval(assigned_users=[BOB]))
    for chosen, by, status in [
        (["Approve"], ALICE, 403),
        (["Maybe"], BOB, 400),
        (["Approve", "Reject"], BOB, 400),
        ([], BOB, 422),
    ]:
        with pytest.raises(AnswerRefusedError) as refused:
            run.respond(chosen, by=by)
        assert refused.value.status == status
    with pytest.raises(AssertionError, match="the task is success"):
        run.respond(["Approve"], by=BOB).respond(["Reject"], by=BOB)


def test_nobody_answers_in_time() -> None:
    run = run_op(approval(response_timeout=timedelta(hours=1))).timeout()
    assert run.state == "failed"
    assert type(run.error).__name__ == "HITLTimeoutError"


def test_defaults_answer_when_time_is_up() -> None:
    class Keeper(ApprovalOperator):
        def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
            return event

    keeper = Keeper(
        task_id="ask",
        subject="Release?",
        defaults="Approve",
        params={"reason": Param("none given", type="string")},
        response_timeout=timedelta(hours=1),
    )
    event = run_op(keeper).timeout().xcoms["return_value"]
    assert event["responded_at"] <= datetime.now(UTC)
    del event["responded_at"]
    assert event == {
        "chosen_options": ["Approve"],
        "params_input": {"reason": "none given"},
        "responded_by_user": None,
        "timedout": True,
    }


def test_without_a_limit_time_is_never_up() -> None:
    with pytest.raises(AssertionError, match="without a limit"):
        run_op(approval()).timeout()
    assert run_op(approval()).time_limit is None
    assert run_op(approval(response_timeout=timedelta(hours=1))).time_limit == timedelta(hours=1)


class TwoApprovals(ApprovalOperator):
    """Asks again until two people approved, and keeps something in `self` that no resumed task may rely on."""

    def execute(self, context: Context) -> Any:
        self.hitl_summary_extra["left behind"] = True
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any], so_far: Sequence[str] = ()) -> Any:
        assert "left behind" not in self.hitl_summary_extra
        names = [*so_far, event["responded_by_user"]["name"]]
        if len(names) == 2:
            return names
        upsert_hitl_detail(context["ti"].id, self.options, subject="One more", params={})
        raise TaskAwaitingInput(method_name="execute_complete", kwargs={"so_far": names})


def test_parking_again_keeps_the_first_question_and_drops_the_answer() -> None:
    first = run_op(TwoApprovals(task_id="ask", subject="Release?"))
    second = first.respond(["Approve"], by=BOB)
    assert second.state == "awaiting_input"
    assert second.hitl is not None
    assert second.question is not None
    assert (second.hitl.subject, second.question.subject) == ("One more", "Release?")
    assert second.question.responded_at is None
    assert second.next_kwargs == {"so_far": ["bob"]}
    assert second.respond(["Approve"], by=ALICE).xcoms["return_value"] == ["bob", "alice"]


# Waiting for triggers


def waiting(**kwargs: Any) -> TimeDeltaSensor:
    return TimeDeltaSensor(task_id="wait", deferrable=True, **{"delta": timedelta(days=1), **kwargs})


def test_a_deferred_sensor_resumes_with_the_event() -> None:
    run = run_op(waiting(timeout=60))
    assert run.state == "deferred"
    assert run.deferred is not None
    trigger = run.deferred.trigger
    assert isinstance(trigger, DateTimeTrigger)
    assert trigger.moment > datetime.now(UTC) + timedelta(hours=23)
    assert (run.deferred.method, run.deferred.kwargs) == ("execute_complete", {})
    assert run.deferred.timeout == timedelta(seconds=60)
    assert run.resume({"any": "event"}).state == "success"


class Defers(BaseOperator):
    """Defers to a trigger that fires at once, and returns all that comes back."""

    moment = datetime(2026, 1, 2, tzinfo=UTC)

    def execute(self, context: Context) -> None:
        self.defer(
            trigger=DateTimeTrigger(moment=self.moment), method_name="done", kwargs={"kept": {"at": self.moment}}
        )

    def done(self, context: Context, kept: Any, event: Any) -> Any:
        return [kept, event]


def test_a_trigger_runs_until_it_fires() -> None:
    run = run_op(Defers(task_id="wait"))
    assert run.deferred is not None
    assert run.deferred.kwargs == {"kept": {"at": Defers.moment}}
    event = run.trigger_event()
    assert event.payload == Defers.moment
    done = run.resume(event)
    assert (done.state, done.xcoms["return_value"]) == ("success", [{"at": Defers.moment}, Defers.moment])


def test_a_trigger_that_fails_or_takes_too_long_fails_the_task() -> None:
    run = run_op(waiting(timeout=60))
    late = run.timeout()
    assert (late.state, type(late.error).__name__) == ("failed", "AirflowSensorTimeout")
    broken = run.fail_trigger(RuntimeError("lost the store"))
    assert (broken.state, type(broken.error).__name__) == ("failed", "TaskDeferralError")
    assert "lost the store" in broken.logs


def test_events_travel_as_over_the_wire() -> None:
    run = run_op(Defers(task_id="wait"))
    assert run.resume({"pair": (1, 2)}).xcoms["return_value"][1] == {"pair": [1, 2]}


def test_a_rescheduled_sensor_pokes_again() -> None:
    answers = iter([False, False, True])
    first = run_op(PythonSensor(task_id="poke", python_callable=lambda: next(answers), mode="reschedule"))
    assert first.state == "up_for_reschedule"
    second = first.rerun()
    assert second.state == "up_for_reschedule"
    assert second.rerun().state == "success"


# What must not get through, and what must stay as it was


def test_a_task_has_no_database() -> None:
    def query() -> None:
        with create_session():
            pass

    run = run_op(python_task(query))
    assert run.state == "failed"
    assert not Path(os.environ["AIRFLOW_HOME"], "airflow.db").exists()


def test_what_the_simulation_does_not_know_is_an_error_of_the_test() -> None:
    with pytest.raises(AssertionError, match="task-instances/count"):
        run_op(python_task(lambda ti: ti.get_ti_count(dag_id="d")))


def test_global_state_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def snapshot() -> dict[str, Any]:
        return {
            "environment": dict(os.environ),
            "folder": Path.cwd(),
            "signals": [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)],
            "handlers": logging.getLogger().handlers[:],
            "levels": [logging.getLogger(name).level for name in ("", "airflow", "httpx")],
            "structlog": structlog.get_config(),
            "streams": (sys.stdout, sys.stderr),
            "comms": hasattr(task_runner, "SUPERVISOR_COMMS"),
            "contextvars": structlog.contextvars.get_contextvars(),
            "recursion": sys.getrecursionlimit(),
            "database session": settings.Session,
            "secrets": [(set(masker.patterns), masker.replacer) for masker in (core_masker(), sdk_masker())],
            "descriptors": psutil.Process().num_fds(),
        }

    def bind(context: Context) -> None:
        structlog.contextvars.bind_contextvars(meddled=1)

    def meddle() -> None:
        mask_secret("meddled with")
        os.environ["MEDDLED"] = "1"
        os.environ.pop("AIRFLOW_HOME")
        os.chdir("/")
        raise ValueError

    run_op(BashOperator(task_id="warm_up", bash_command="true"))
    assert settings.Session is not BlockedDBSession
    for masker in (core_masker(), sdk_masker()):
        monkeypatch.setattr(masker, "patterns", {"known before"})
    before = snapshot()
    assert run_op(python_task(meddle, on_failure_callback=bind)).state == "failed"
    assert run_op(approval()).state == "awaiting_input"
    assert snapshot() == before


def test_airflow_lives_in_a_home_of_this_process() -> None:
    from airflow.configuration import AIRFLOW_HOME, conf

    assert AIRFLOW_HOME == os.environ["AIRFLOW_HOME"] != str(Path("~/airflow").expanduser())
    assert conf.get("database", "sql_alchemy_conn").startswith(f"sqlite:///{AIRFLOW_HOME}")
    assert not conf.getboolean("core", "load_examples")


def test_interrupting_the_tests_is_no_failure_of_the_task() -> None:
    with pytest.raises(KeyboardInterrupt):
        run_op(python_task(raising(KeyboardInterrupt())))


def test_a_finished_task_does_not_go_on() -> None:
    run = run_op(BashOperator(task_id="t", bash_command="echo 1", retries=1))
    with pytest.raises(AssertionError, match="the task is success, not up_for_retry or up_for_reschedule"):
        run.rerun()
