"""Attacks on a really running Airflow: nothing unapproved is released, and the record shows who tried.

One Airflow, two gates, a model of its own for each attack. Whether a model may be used is asked as a server asks that
serves it: ``mlsecops verify``. A forged asset event is attacked with in ``test_events.py``.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import pytest
from airflow_api import SETTLE_SECONDS, AirflowApi, AirflowApiError
from airflow_stack import AirflowStack

from airflow_mlsecops.cli.main import main
from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.predicates import approval, approval_request, vsa
from airflow_mlsecops.core.predicates.approval import Assurance, Decision
from airflow_mlsecops.core.predicates.approval_request import ApprovalRequest
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.telling import gate_reasons
from tests.support.attacked import Attacked

pytestmark = pytest.mark.e2e

DAG, FORGER = "stack_attacked", "stack_forger"
ATTACKS = {
    "marked": "recorded",
    "forged": "recorded",
    "own": "recorded",
    "edited": "recorded",
    "stolen": "recorded",
    "late": "brief",
    "signed": "signed",
    "replayed": "signed",
    "roleless": "signed",
}
"""A run for each, and the Dag in which it is made."""
WEAK = "version: 1\nname: recorded\nrequire: [{evidence: signature, of: model}]\n"


@dataclass
class Stage:
    """The runs that are attacked, all waiting for an answer."""

    stack: AirflowStack
    attacked: Attacked
    models: Mapping[str, Artifact]
    runs: Mapping[str, str]

    def dag(self, attack: str) -> str:
        return f"{DAG}_{ATTACKS[attack]}"

    def policy(self, attack: str) -> Path:
        """The one that whoever verifies has."""
        return self.attacked.policy("recorded" if ATTACKS[attack] == "recorded" else "signed")

    def mark(self, attack: str, task: str) -> None:
        """As admin, by REST."""
        self.stack.api("admin").set_task_state(self.dag(attack), self.runs[attack], task, "success")

    def wait(self, attack: str, **states: str) -> None:
        """Until the run's tasks are in these states."""
        self.stack.api("admin").wait_for_states(self.dag(attack), self.runs[attack], states, timeout=300)

    def gate_says_no(self, attack: str) -> str:
        """Have the release gate decide though nobody approved; what it logs."""
        self.mark(attack, "approve")
        self.wait(attack, approve="success", release="failed")
        return self.stack.api("admin").task_log(self.dag(attack), self.runs[attack], "release")

    def decision(self, attack: str) -> Statement:
        """What the release gate signed, once it has."""
        deadline = time.monotonic() + 300
        while not (found := self.attacked.about(self.models[attack].digest).of("verification-summary")):
            assert time.monotonic() < deadline, "the gate decided nothing"
            time.sleep(0.5)
        return found[0].statement

    def answer(self, attack: str, api: AirflowApi, option: str = "Approve") -> None:
        """Through Airflow, as whoever that is."""
        api.respond(self.dag(attack), self.runs[attack], "approve", [option], {"reason": "looks fine to me"})

    def parked_again(self, attack: str) -> None:
        """Until the gate has looked at an answer, and asks on."""
        self.stack.api("admin").wait_for_request(self.dag(attack), self.runs[attack], "approve", timeout=300, settle=0)

    def request(self, attack: str) -> tuple[str, ApprovalRequest]:
        """The signed request of the run's gate."""
        (item,) = self.attacked.about(self.models[attack].digest).of("approval-request")
        return item.digest, approval_request.parse(item.statement)

    def answers(self, attack: str) -> list[approval.Approval]:
        found = self.attacked.about(self.models[attack].digest).of("approval")
        return [approval.parse(item.statement) for item in found]

    def forged(self, attack: str, person: str) -> Statement:
        """An approval that claims to be the person's own, given now."""
        digest, said = self.request(attack)
        return approval.build(
            self.models[attack],
            decision=Decision.APPROVED,
            approver={"id": person, "name": person},
            identity_source="trust-policy",
            assurance=Assurance.SIGNED,
            reason="forged",
            request=digest,
            evidence=[],
            requested_at=said.requested_at,
            decided_at=utcnow(),
            expires_at=None,
            run={},
        )


class Mlsecops:
    """The command line, in this process."""

    def __init__(self, stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
        self._stage, self._capsys = stage, capsys

    def __call__(self, *arguments: str) -> Any:
        self._capsys.readouterr()
        code = main([*arguments, *self._stage.attacked.options, "--json"])
        return {"exit": code, **json.loads(self._capsys.readouterr().out)}

    def verify(self, attack: str, policy: Path | None = None) -> Any:
        """What a server is told that wants to use the model."""
        model = self._stage.models[attack].uri.removeprefix("file://")
        answer = self("verify", model, "--policy", str(policy or self._stage.policy(attack)))
        return {**answer, "codes": {reason["code"] for reason in answer["reasons"]}}

    def approve(self, attack: str, person: str) -> Any:
        """What a person does on their own machine."""
        signer = f"file:{self._stage.attacked.key(person)}"
        request, _ = self._stage.request(attack)
        return self("approve", request, "--signer", signer, "--yes", "--reason", "I looked at it")

    def alarms(self, attack: str, least: int = 0) -> set[tuple[str, str, str]]:
        """Event, task and user of the alarms about the run, as signed; the notifier was told the same.

        Alarms are signed beside the request that raises them, so a busy machine is given time for as many as there are.
        """
        pager, deadline = self._stage.attacked.pager, time.monotonic() + 300
        while True:
            signed = self._about(attack, self("alarms")["alarms"])
            told = self._about(attack, map(json.loads, pager.read_text().splitlines()))
            if told == signed and len(signed) >= least:
                return signed
            assert time.monotonic() < deadline, f"the notifier was told {told}, and signed is {signed}"
            time.sleep(0.2)

    def _about(self, attack: str, rows: Iterable[Any]) -> set[tuple[str, str, str]]:
        own = [row for row in rows if row["run"]["run_id"] == self._stage.runs[attack]]
        return {(row["event"], row["run"]["task_id"], row["user"]) for row in own}


@pytest.fixture(scope="module")
def stage(airflow_stack: AirflowStack, attacked: Attacked) -> Iterator[Stage]:
    """Everything is triggered at once, so that all of it waits while one attack after the other is made."""
    admin = airflow_stack.api("admin")
    models = {attack: attacked.model(attack) for attack in ATTACKS}
    (attacked.root / "weak.yaml").write_text(WEAK)
    for name in (*{f"{DAG}_{level}" for level in ATTACKS.values()}, FORGER):
        admin.wait_for_dag(name)
    runs: dict[str, str] = {}
    stage = Stage(airflow_stack, attacked, models, runs)
    for attack in ATTACKS:
        policy = attacked.root / "weak.yaml" if attack == "edited" else stage.policy(attack)
        conf = {"model": models[attack].uri.removeprefix("file://"), "policy": str(policy)}
        runs[attack] = airflow_stack.api("bob" if attack == "own" else "admin").trigger(stage.dag(attack), conf)
    for attack, run_id in runs.items():
        if attack != "late":
            admin.wait_for_request(stage.dag(attack), run_id, "approve", timeout=300, settle=0)
    time.sleep(SETTLE_SECONDS)
    yield stage


@pytest.fixture
def mlsecops(stage: Stage, capsys: pytest.CaptureFixture[str]) -> Mlsecops:
    return Mlsecops(stage, capsys)


def minted(stack: AirflowStack, victim: str) -> AirflowApi:
    """Airflow's API as somebody else, with a token signed with the secret that any task of a LocalExecutor can read."""
    real = stack.api("admin").token()
    claims, header = jwt.decode(real, options={"verify_signature": False}), jwt.get_unverified_header(real)
    secret = json.loads((stack.home / "secrets.json").read_text())["jwt_secret"]
    thief = AirflowApi(stack.base_url)
    thief._token = jwt.encode({**claims, "sub": victim, "role": "user"}, secret, header["alg"], headers=header)
    return thief


def test_a_gate_marked_success_releases_nothing(stage: Stage, mlsecops: Mlsecops) -> None:
    said = stage.gate_says_no("marked")
    assert "[evidence-missing] model: no valid approval" in said
    stage.mark("marked", "release")
    stage.wait("marked", release="success")
    stage.stack.api("admin").clear(stage.dag("marked"), stage.runs["marked"], ["approve"])

    answer = mlsecops.verify("marked")
    assert (answer["exit"], answer["codes"]) == (1, {"gate-said-no", "evidence-missing"})
    assert "no valid approval" in str(answer["reasons"])
    assert mlsecops.alarms("marked", 3) == {
        ("state-set", "approve", "admin"),
        ("state-set", "release", "admin"),
        ("cleared", "approve", "admin"),
    }


def test_a_forged_xcom_releases_nothing(stage: Stage, mlsecops: Mlsecops) -> None:
    run_id, dag = stage.runs["forged"], stage.dag("forged")
    place = f"/dags/{dag}/dagRuns/{run_id}/taskInstances/approve/xcomEntries"
    value = {"decision": "approved", "approver": "bob"}
    alice = stage.stack.api("alice")
    alice.request("POST", place, json={"key": "return_value", "value": value})
    by_task = alice.trigger(FORGER, {"dag_id": dag, "run_id": run_id})
    assert alice.wait_for_run(FORGER, by_task, timeout=300).state == "success"
    assert alice.xcom(dag, run_id, "release")["released"] is True

    assert "no valid approval" in stage.gate_says_no("forged")
    assert mlsecops.verify("forged")["exit"] == 1
    forger = f"task {FORGER}.forge of {by_task}"
    assert mlsecops.alarms("forged", 2) == {
        ("xcom-changed", "approve", "alice"),
        ("xcom-changed", "approve", forger),
        ("xcom-changed", "release", forger),
        ("state-set", "approve", "admin"),
    }


def test_whoever_triggered_cannot_approve(stage: Stage, mlsecops: Mlsecops) -> None:
    with pytest.raises(AirflowApiError) as refusal:
        stage.answer("own", stage.stack.api("bob"))
    assert refusal.value.status == 403
    refused = mlsecops.approve("own", "bob")
    assert (refused["exit"], refused["error"]["code"]) == (1, "approver-excluded")
    # What the command wouldn't sign: it lies in the store, and counts for nothing.
    stage.attacked.put(stage.forged("own", "bob"), "bob")

    assert "0 of 1 approvals; bob triggered the run, or made or signed the artifact" in stage.gate_says_no("own")
    assert mlsecops.verify("own")["exit"] == 1
    assert [said.approver for said in stage.answers("own")] == ["bob"]


def test_an_edited_policy_is_another_policy(stage: Stage, mlsecops: Mlsecops) -> None:
    """The trust policy names the policies that count: the gate says NO under any other, and so does who verifies."""
    assert "[policy-not-trusted]" in stage.gate_says_no("edited")
    weak = stage.attacked.root / "weak.yaml"
    answer = mlsecops.verify("edited", weak)
    assert (answer["exit"], answer["codes"]) == (1, {"gate-said-no", "policy-not-trusted"})
    true = mlsecops.verify("edited")
    assert (true["exit"], true["codes"]) == (1, {"not-released"})
    assert "judged by another policy" in true["reasons"][0]["text"]
    assert ("state-set", "approve", "admin") in mlsecops.alarms("edited", 1)
    (said,) = stage.attacked.about(stage.models["edited"].digest).of("verification-summary")
    assert vsa.parse(said.statement).policy == sha256_bytes(WEAK.encode())


def test_a_stolen_answer_passes_where_recorded_is_enough(stage: Stage, mlsecops: Mlsecops) -> None:
    """What the level ``recorded`` can't stop: to Airflow it is that person, and the statement says no more."""
    stage.answer("stolen", minted(stage.stack, "bob"))
    stage.wait("stolen", approve="success", release="success")
    assert mlsecops.verify("stolen")["exit"] == 0
    (said,) = stage.answers("stolen")
    assert (said.approver, said.assurance) == ("bob", Assurance.RECORDED)
    assert mlsecops.alarms("stolen") == set()
    # The same model, under a policy that asks for people's own signatures.
    assert mlsecops.verify("stolen", stage.attacked.policy("signed"))["exit"] == 1


def test_a_stolen_answer_counts_for_nothing_where_people_sign(stage: Stage, mlsecops: Mlsecops) -> None:
    stage.answer("roleless", minted(stage.stack, "bob"))
    stage.parked_again("roleless")
    (said,) = stage.answers("roleless")
    assert (said.approver, said.assurance) == ("bob", Assurance.RECORDED)
    # Keys that may not approve, a key that nobody knows, and the gate's own, which may only record.
    for signer, person in (("pipeline", "bob"), ("alarms", "carol"), ("stranger", "carol"), ("gates", "carol")):
        stage.attacked.put(stage.forged("roleless", person), signer)

    said_no = stage.gate_says_no("roleless")
    assert "0 of 2 approvals" in said_no
    assert "bob is only recorded, and the person's own signature is asked for" in said_no
    answer = mlsecops.verify("roleless")
    refused = {(item["key"].split("/")[2], item["code"]) for item in answer["not_counted"]}
    assert (answer["exit"], refused) == (1, {("approval", "trust")})
    assert sum("/approval/" in item["key"] for item in answer["not_counted"]) == 3


def test_two_people_sign_and_nobody_counts_twice(stage: Stage, mlsecops: Mlsecops) -> None:
    """The good way, on a gate that was answered with a stolen token before."""
    stage.answer("signed", minted(stage.stack, "bob"))
    stage.parked_again("signed")
    assert mlsecops.approve("signed", "bob")["exit"] == 0
    again = mlsecops.approve("signed", "bob")
    assert (again["exit"], again["error"]["code"]) == (1, "answered-already")
    stage.attacked.put(stage.forged("signed", "bob"), "bob")
    request, _ = stage.request("signed")
    (row,) = [row for row in mlsecops("requests")["requests"] if row["request"] == request]
    assert (row["approved_by"], row["quorum"]) == (["bob"], 2)
    assert mlsecops.verify("signed")["exit"] == 1

    assert mlsecops.approve("signed", "carol")["exit"] == 0
    stage.wait("signed", approve="success", release="success")
    assert mlsecops.verify("signed")["exit"] == 0
    assert {said.approver for said in stage.answers("signed") if said.assurance is Assurance.SIGNED} == {"bob", "carol"}
    assert mlsecops.alarms("signed") == set()


def test_evidence_that_was_removed_is_missed(stage: Stage, mlsecops: Mlsecops) -> None:
    """Of what was released in the test before; the log tells what was there."""
    assert mlsecops.verify("signed")["exit"] == 0
    folder = stage.attacked.root / "evidence" / "bundles" / stage.models["signed"].digest
    for name in ("signature", "approval"):
        (path, *_) = sorted((folder / name).glob("*.json"))
        away = path.rename(stage.attacked.root / path.name)
        answer = mlsecops.verify("signed")
        assert (answer["exit"], "evidence-withheld" in answer["codes"]) == (1, True)
        away.rename(path)
    assert mlsecops.verify("signed")["exit"] == 0


def test_an_old_approval_is_none_of_a_new_digest(stage: Stage, mlsecops: Mlsecops) -> None:
    """Bundles that two people signed about another model, copied to where this one's would lie."""
    bundles = stage.attacked.root / "evidence" / "bundles"
    old, new = (bundles / stage.models[attack].digest / "approval" for attack in ("signed", "replayed"))
    new.mkdir(parents=True)
    for path in old.glob("*.json"):
        shutil.copy(path, new / path.name)

    assert "[evidence-broken]" in stage.gate_says_no("replayed")
    answer = mlsecops.verify("replayed")
    assert (answer["exit"], "evidence-broken" in answer["codes"]) == (1, True)
    assert any("lies in a folder where it doesn't belong" in reason["text"] for reason in answer["reasons"])
    assert ("state-set", "approve", "admin") in mlsecops.alarms("replayed", 1)


def test_an_answer_after_the_end_approves_nothing(stage: Stage, mlsecops: Mlsecops) -> None:
    stage.stack.api("admin").wait_for_run(stage.dag("late"), stage.runs["late"], timeout=300)
    stage.wait("late", approve="failed", release="upstream_failed")
    refused = mlsecops.approve("late", "carol")
    assert (refused["exit"], refused["error"]["code"]) == (1, "request-expired")
    # What the command wouldn't sign, and a gate that is marked success all the same.
    for person in ("bob", "carol"):
        stage.attacked.put(stage.forged("late", person), person)
    stage.mark("late", "approve")  # which lets the tasks after it run
    (reason,) = gate_reasons(stage.decision("late"))
    assert (reason.code, "and the request is open until" in reason.text) == ("approvals-missing", True)
    answer = mlsecops.verify("late")
    assert (answer["exit"], "gate-said-no" in answer["codes"]) == (1, True)
    assert ("state-set", "approve", "admin") in mlsecops.alarms("late", 1)
