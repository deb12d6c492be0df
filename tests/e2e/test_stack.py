"""The stack that the demo and all end-to-end tests stand on: it boots, works, names what fails, and leaves nothing."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from airflow_api import AirflowApi, AirflowApiError
from airflow_guard import locked
from airflow_stack import AirflowStack, StackError

pytestmark = pytest.mark.e2e

DAG_ID = "stack_approval"
SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
DAGS = Path(__file__).resolve().parent / "dags"
SLEEPING = {"sleep_in_python": "running", "sleep_in_bash": "running"}


def processes_of(home: Path) -> list[str]:
    """Return the living processes with that AIRFLOW_HOME; found by other means than the stack's own."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get("AIRFLOW_HOME") == str(home):
                found.append(" ".join(process.cmdline()))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def sleepers() -> list[int]:
    """Return what the Dag `stack_sleep` starts without any of Airflow's environment."""
    return [one.pid for one in psutil.process_iter(["cmdline"]) if one.info["cmdline"] == ["sleep", "7213"]]


def until(condition: Callable[[], object], seconds: float = 300.0) -> None:
    """Wait for a condition; the limit only keeps a failure from hanging."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"still not so after {seconds} s"
        time.sleep(0.1)


def test_all_components_are_healthy(airflow_stack: AirflowStack) -> None:
    health = AirflowApi(airflow_stack.base_url).health()
    assert {name: health[name]["status"] for name in health} == dict.fromkeys(
        ("metadatabase", "scheduler", "dag_processor", "triggerer"), "healthy"
    )
    airflow_stack.check()


def test_no_dag_file_fails_to_import(airflow_stack: AirflowStack) -> None:
    files = {
        str(path.relative_to(folder))
        for folder in airflow_stack.dags_folders
        for path in folder.rglob("*.py")
        if re.search(r"^@dag|\bD(AG|ag)\(", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert len(files) >= 2
    with airflow_stack.api("admin") as api:

        def read() -> set[str]:
            return api.import_errors().keys() | {row["relative_fileloc"] for row in api.pages("/dags", "dags")}

        # An empty list of errors tells something only once every file has been read.
        until(lambda: files <= read())
        assert api.import_errors() == {}


def test_a_wrong_password_is_refused(airflow_stack: AirflowStack) -> None:
    with pytest.raises(AirflowApiError) as error:
        AirflowApi(airflow_stack.base_url, "alice", airflow_stack.passwords["bob"]).dag_ids()
    assert error.value.status == 401


def test_roles_hold(airflow_stack: AirflowStack) -> None:
    with airflow_stack.api("dave") as viewer:
        viewer.wait_for_dag(DAG_ID)
        with pytest.raises(AirflowApiError) as error:
            viewer.trigger(DAG_ID)
        assert error.value.status == 403
        with pytest.raises(AirflowApiError) as error:
            viewer.request("GET", "/connections")
        assert error.value.status == 403
    with airflow_stack.api("admin") as admin:
        assert admin.request("GET", "/connections")["total_entries"] >= 0


def test_an_approval_from_the_question_to_the_answer(airflow_stack: AirflowStack) -> None:
    with airflow_stack.api("alice") as alice, airflow_stack.api("bob") as bob:
        alice.wait_for_dag(DAG_ID)
        run_id = alice.trigger(DAG_ID, conf={"note": "a + b"}, run_id="asked+by:alice")
        question = bob.wait_for_request(DAG_ID, run_id, "approve", timeout=300)
        assert (question.subject, question.body, question.assigned_users) == ("Go on?", "3 rows", ("bob",))
        assert bob.run(DAG_ID, run_id).task("finish").state is None

        with pytest.raises(AirflowApiError) as error:
            alice.respond(DAG_ID, run_id, "approve", ["Approve"])
        assert error.value.status == 403
        bob.respond(DAG_ID, run_id, "approve", ["Approve"])

        seen: list[str] = []
        run = bob.wait_for_run(DAG_ID, run_id, timeout=300, progress=lambda run: seen.append(run.state))
        assert (run.state, run.triggered_by, seen[-1]) == ("success", "alice", "success")
        assert [task.task_id for task in run.tasks] == ["prepare", "approve", "finish"]
        assert bob.xcom(DAG_ID, run_id, "finish") == 6
        assert "rows" in str(bob.xcom(DAG_ID, run_id, "prepare"))
        assert bob.requests(DAG_ID, run_id) == []
        (answer,) = bob.requests(DAG_ID, run_id, answered=True)
        assert (answer.answered_by, answer.chosen_options) == ("bob", ("Approve",))
        with pytest.raises(AirflowApiError) as error:
            bob.respond(DAG_ID, run_id, "approve", ["Approve"])
        assert error.value.status == 409


def test_a_task_marked_and_cleared_by_hand(airflow_stack: AirflowStack) -> None:
    with airflow_stack.api("admin") as api:
        api.wait_for_dag(DAG_ID)
        run_id = api.trigger(DAG_ID)
        api.wait_for_request(DAG_ID, run_id, timeout=300)
        api.set_task_state(DAG_ID, run_id, "approve", "success")
        assert api.wait_for_run(DAG_ID, run_id, timeout=300).state == "success"
        api.clear(DAG_ID, run_id, ["prepare"])
        run = api.wait_for_run(DAG_ID, run_id, timeout=300)
        assert (run.state, run.task("prepare").try_number) == ("success", 2)
        assert "prepare" in api.task_log(DAG_ID, run_id, "prepare", 2)


def test_requests_wait_for_who_writes_to_the_database(airflow_stack: AirflowStack) -> None:
    """Airflow's own components write to it for seconds when the machine is busy."""
    other = sqlite3.connect(
        airflow_stack.home / "airflow.db", isolation_level=None, timeout=30, check_same_thread=False
    )
    with airflow_stack.api("admin") as api, contextlib.closing(other):
        api.wait_for_dag(DAG_ID)
        other.execute("BEGIN IMMEDIATE")
        # SQLite's own patience is five seconds.
        release = threading.Timer(6.5, other.execute, ("ROLLBACK",))
        release.start()
        run_id = api.trigger(DAG_ID)
        release.join()
        assert api.run(DAG_ID, run_id).run_id == run_id
        api.wait_for_request(DAG_ID, run_id, timeout=300)
        api.set_task_state(DAG_ID, run_id, "approve", "success")
        assert api.wait_for_run(DAG_ID, run_id, timeout=300).state == "success"


def test_the_command_line_talks_to_the_same_airflow(airflow_stack: AirflowStack) -> None:
    done = airflow_stack.run("airflow", "config", "get-value", "database", "sql_alchemy_conn")
    assert done.returncode == 0, done.stderr
    assert f"sqlite:///{airflow_stack.home}/airflow.db?" in done.stdout


def test_secrets_are_for_the_owner_alone(airflow_stack: AirflowStack) -> None:
    for name in ("passwords.json", "secrets.json", "airflow.cfg"):
        assert (airflow_stack.home / name).stat().st_mode & 0o077 == 0, name
    assert airflow_stack.home.stat().st_mode & 0o077 == 0
    assert len(set(airflow_stack.passwords.values())) == len(airflow_stack.passwords)


def test_a_second_stack_in_the_same_home_is_refused(airflow_stack: AirflowStack) -> None:
    with pytest.raises(StackError, match="another Airflow stack runs"):
        AirflowStack(airflow_stack.home, airflow_stack.dags_folders, users=airflow_stack.users).start()
    with pytest.raises(StackError, match="running already"):
        airflow_stack.start()
    airflow_stack.check()
    assert AirflowApi(airflow_stack.base_url).health()["scheduler"]["status"] == "healthy"


def test_two_homes_a_foreign_environment_and_nothing_left(
    airflow_stack: AirflowStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "somebody-elses"))
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "no.such.Executor")
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "True")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "example.org")
    home = tmp_path / "a home with spaces & 100%"
    stack = AirflowStack(home, DAGS, users={"carol": "admin"}, passwords={"carol": "given by hand"})
    with stack:
        assert stack.base_url != airflow_stack.base_url
        assert stack.passwords == {"carol": "given by hand"}
        with stack.api("carol") as api:
            api.wait_for_dag("stack_sleep")
            assert not [name for name in api.dag_ids() if name.startswith("example_")]
            api.wait_for_states("stack_sleep", api.trigger("stack_sleep"), SLEEPING, timeout=300)
        until(sleepers)
        # The look itself works: without it, the last lines would prove nothing.
        assert len(processes_of(home)) >= 4
    assert processes_of(home) == []
    assert sleepers() == []
    assert not (tmp_path / "somebody-elses").exists()
    airflow_stack.check()


def test_a_taken_port_is_an_error_that_names_the_api_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stack = AirflowStack(tmp_path / "home", DAGS, users={"admin": "admin"}, port=port)
        with pytest.raises(StackError, match=f"api-server can't start: port {port} is taken"):
            stack.start()
    assert processes_of(stack.home) == []


def test_a_component_that_dies_early_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        # Given by the environment, the port escapes the check before the start, as one that is taken meanwhile would.
        extra = {"AIRFLOW__API__PORT": str(taken.getsockname()[1])}
        stack = AirflowStack(tmp_path / "home", DAGS, users={"admin": "admin"}, extra_env=extra)
        with pytest.raises(StackError, match=r"(?s)api-server ended with exit code [1-9].*address already in use"):
            stack.start()
    assert processes_of(stack.home) == []
    # The next start in the same home succeeds or fails for its own reasons.
    stack = AirflowStack(
        tmp_path / "home",
        DAGS,
        users={"admin": "admin"},
        extra_env={"AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "often"},
    )
    with pytest.raises(StackError, match=r'(?s)triggerer ended with exit code [1-9].*Current value: "often"'):
        stack.start()
    assert processes_of(stack.home) == []


def test_unusable_folders_of_dags_are_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="no such folder of Dags"):
        AirflowStack(tmp_path / "home", tmp_path / "dags", users={})
    with pytest.raises(StackError, match="must not lie inside"):
        AirflowStack(tmp_path / "home", [DAGS, tmp_path], users={})
    assert list(tmp_path.iterdir()) == []


def test_a_failed_migration_is_named(tmp_path: Path) -> None:
    extra = {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{tmp_path}/no/such/folder/airflow.db"}
    stack = AirflowStack(tmp_path / "home", DAGS, users={"admin": "admin"}, extra_env=extra)
    with pytest.raises(StackError, match=r"(?s)migrate ended with exit code [1-9].*unable to open database file"):
        stack.start()
    assert processes_of(stack.home) == []


STARTER = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from airflow_guard import locked
from airflow_stack import AirflowStack
with AirflowStack(Path(sys.argv[2]), Path(sys.argv[3]), users={"admin": "admin"}) as stack, stack.api("admin") as api:
    api.wait_for_dag("stack_sleep")
    api.wait_for_states("stack_sleep", api.trigger("stack_sleep"), {states}, timeout=300)
    print("asleep", flush=True)
    time.sleep(7213)
"""


@pytest.fixture
def starter(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A program that starts a stack in `tmp_path / "home"`."""
    program = STARTER.replace("{states}", repr(SLEEPING))
    command = [sys.executable, "-c", program, str(SCRIPTS), str(tmp_path / "home"), str(DAGS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_start_that_is_interrupted_leaves_nothing(
    signum: signal.Signals, starter: subprocess.Popen[str], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    # In the middle of the start, when all components are there and none is ready.
    until((home / "logs" / "components" / "triggerer.log").exists)
    assert processes_of(home)
    starter.send_signal(signum)
    errors = starter.communicate()[1]
    assert starter.returncode not in (0, -signal.SIGKILL)
    assert ("KeyboardInterrupt" if signum is signal.SIGINT else f"Terminated: {signum.name}") in errors
    assert processes_of(home) == []


def test_nothing_outlives_a_starter_that_is_killed(starter: subprocess.Popen[str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert starter.stdout is not None
    assert starter.stdout.readline() == "asleep\n", starter.communicate()[1]
    assert processes_of(home)
    until(sleepers)
    starter.kill()
    starter.wait()
    until(lambda: not processes_of(home) and not sleepers())
    # And the home is free again.
    with locked(home / "stack.lock"):
        pass
