"""Attacks on a really running Airflow: nothing unapproved is released, and the record shows who tried.

One Airflow, one Dag with the two gates, a model of its own for each attack. Whether a model may be used is asked as a
server asks that serves it: ``mlsecops verify``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
import pytest
from airflow_api import AirflowApi
from airflow_stack import AirflowStack

from airflow_mlsecops.cli.main import main
from airflow_mlsecops.core.artifact import Artifact
from tests.support.attacked import Attacked

pytestmark = pytest.mark.e2e

DAG, FORGER = "stack_attacked", "stack_forger"
ATTACKS = {
    "marked": "recorded",
    "forged": "recorded",
    "stolen": "recorded",
    "own": "recorded",
    "stolen-signed": "signed",
}
"""A run for each, and the level of its release policy."""


@dataclass
class Stage:
    """The runs that are attacked, all waiting for an answer."""

    stack: AirflowStack
    attacked: Attacked
    models: Mapping[str, Artifact]
    runs: Mapping[str, str]

    def api(self, user: str) -> AirflowApi:
        return self.stack.api(user)

    def state(self, attack: str, **states: str) -> None:
        """Wait until the run's tasks are in these states."""
        self.api("admin").wait_for_states(DAG, self.runs[attack], states, timeout=120)

    def verify(self, run: Any, attack: str, level: str = "") -> Any:
        """What a server is told that wants to use the model."""
        policy = self.attacked.policy(level or ATTACKS[attack])
        model = self.models[attack].uri.removeprefix("file://")
        return run("verify", model, *self.attacked.options, "--policy", str(policy))

    def alarms(self, run: Any, attack: str) -> set[tuple[str, str, str]]:
        """Event, task and user of the alarms about this run."""
        listed = run("alarms", *self.attacked.options)
        rows = [row for row in listed["alarms"] if row["run"]["run_id"] == self.runs[attack]]
        return {(row["event"], row["run"]["task_id"], row["user"]) for row in rows}


@pytest.fixture(scope="module")
def stage(airflow_stack: AirflowStack, attacked: Attacked) -> Iterator[Stage]:
    """Everything is triggered at once, so that all of it waits while one attack after the other is made."""
    models = {attack: attacked.model(attack) for attack in ATTACKS}
    admin = airflow_stack.api("admin")
    admin.wait_for_dag(DAG)
    admin.wait_for_dag(FORGER)
    runs = {}
    for attack, level in ATTACKS.items():
        conf = {"model": models[attack].uri.removeprefix("file://"), "policy": str(attacked.policy(level))}
        runs[attack] = airflow_stack.api("bob" if attack == "own" else "admin").trigger(DAG, conf)
    for run_id in runs.values():
        admin.wait_for_request(DAG, run_id, "approve", timeout=300)
    yield Stage(airflow_stack, attacked, models, runs)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Calls the command line in this process; what it says as JSON, with its exit code."""

    def call(*arguments: str) -> Any:
        capsys.readouterr()
        code = main([*arguments, "--json"])
        return {"code": code, **json.loads(capsys.readouterr().out)}

    return call


def minted(stack: AirflowStack, victim: str) -> AirflowApi:
    """Airflow's API as somebody else, with a token that was signed with the stolen secret."""
    claims = jwt.decode(stack.api("admin").token(), options={"verify_signature": False})
    secret = json.loads((stack.home / "secrets.json").read_text())["jwt_secret"]
    header = jwt.get_unverified_header(stack.api("admin").token())
    thief = AirflowApi(stack.base_url)
    thief._token = jwt.encode({**claims, "sub": victim, "role": "user"}, secret, header["alg"], headers=header)
    return thief


def codes(answer: Any) -> set[str]:
    return {reason["code"] for reason in answer["reasons"]}


def test_a_gate_marked_success_releases_nothing(stage: Stage, run: Any) -> None:
    admin = stage.api("admin")
    admin.set_task_state(DAG, stage.runs["marked"], "approve", "success")
    stage.state("marked", approve="success", release="failed")
    admin.set_task_state(DAG, stage.runs["marked"], "release", "success")
    stage.state("marked", release="success")

    answer = stage.verify(run, "marked")
    assert (answer["code"], codes(answer)) == (1, {"gate-said-no", "evidence-missing"})
    assert "no valid approval" in str(answer["reasons"])
    assert stage.alarms(run, "marked") == {("state-set", "approve", "admin"), ("state-set", "release", "admin")}
