"""Two of three people approve on a really running Airflow, by REST and in a browser on Airflow's own pages.

Whoever triggered the run doesn't count, nobody counts twice, one rejection ends it, and what waits outlives a crash of
what it waits in.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from airflow_api import SETTLE_SECONDS, AirflowApiError
from airflow_stack import AirflowStack

from airflow_mlsecops.cli.main import main
from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.predicates import approval, approval_request
from airflow_mlsecops.core.predicates.approval import Assurance, Decision
from tests.support.attacked import Attacked
from tests.support.people_browser import Browser, open_browser

pytestmark = pytest.mark.e2e

NAMED, OPEN = "stack_quorum_named", "stack_quorum_open"
RUNS = {"rest": OPEN, "browser": NAMED, "rejected": NAMED, "signed": NAMED}
"""The runs, and their Dags: in one three people are named, in the other everybody with the right may answer."""


@dataclass
class Quorum:
    """A run that alice triggered, and the model that its gate asks about."""

    stack: AirflowStack
    attacked: Attacked
    dag_id: str
    run_id: str
    model: Artifact

    def rest(self, person: str, option: str = "Approve") -> None:
        """Answer through the REST API."""
        reason = {"reason": f"{person} looked at it"}
        self.stack.api(person).respond(self.dag_id, self.run_id, "approve", [option], reason)

    def click(self, browser: Browser, person: str, option: str = "Approve") -> str:
        """Answer on Airflow's page."""
        return browser.answer(person, self.dag_id, self.run_id, "approve", option, f"{person} looked at it")

    def waits(self) -> None:
        """Until the gate asks again; for how long it has to be left alone, see `SETTLE_SECONDS`."""
        self.stack.api("admin").wait_for_request(self.dag_id, self.run_id, "approve", timeout=300, settle=0)

    def states(self, **states: str) -> None:
        self.stack.api("admin").wait_for_states(self.dag_id, self.run_id, states, timeout=300)

    def said(self) -> list[approval.Approval]:
        """The verified answers, in order."""
        found = self.attacked.about(self.model.digest).of("approval")
        return sorted((approval.parse(item.statement) for item in found), key=lambda each: each.decided_at)

    def approvers(self) -> list[str]:
        return [each.approver for each in self.said() if each.decision is Decision.APPROVED]

    def log(self) -> str:
        return self.stack.api("admin").task_log(self.dag_id, self.run_id, "approve")

    def verified(self, capsys: pytest.CaptureFixture[str]) -> int:
        """What a server is told that wants to use the model; 0 is YES."""
        policy = str(self.attacked.policy("quorum"))
        return main(["verify", self.model.uri.removeprefix("file://"), *self.attacked.options, "--policy", policy])


@pytest.fixture(scope="module")
def runs(airflow_stack: AirflowStack, attacked: Attacked) -> Mapping[str, Quorum]:
    """All of them waiting; scheduler and triggerer were killed meanwhile."""
    alice = airflow_stack.api("alice")
    made = {}
    for name, dag_id in RUNS.items():
        alice.wait_for_dag(dag_id)
        model = attacked.model(f"quorum-{name}")
        conf = {"model": model.uri.removeprefix("file://"), "policy": str(attacked.policy("quorum"))}
        made[name] = Quorum(airflow_stack, attacked, dag_id, alice.trigger(dag_id, conf), model)
    for each in made.values():
        each.waits()
    time.sleep(SETTLE_SECONDS)
    airflow_stack.crash("scheduler", "triggerer")
    return made


@pytest.fixture(scope="module")
def browser(airflow_stack: AirflowStack) -> Iterator[Browser]:
    with open_browser(airflow_stack.base_url, airflow_stack.passwords) as opened:
        yield opened


def test_two_of_three_by_rest_and_in_a_browser(
    runs: Mapping[str, Quorum], browser: Browser, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same steps each way, at the same time: most of it is waiting."""
    rest, page, rejected = runs["rest"], runs["browser"], runs["rejected"]
    both = (rest, page)

    # 1. Whoever triggered the run. Where people are named Airflow refuses; where not, the gate does.
    assert "Access Denied" in page.click(browser, "alice")
    with pytest.raises(AirflowApiError) as refused:
        page.rest("alice")
    assert refused.value.status == 403
    rest.rest("alice")
    rest.waits()
    assert "ALARM answer-refused" in rest.log()
    assert rest.approvers() == page.approvers() == []
    time.sleep(SETTLE_SECONDS)

    # 2. One of the two that it takes.
    rest.rest("bob")
    browser.question("bob", page.dag_id, page.run_id, "approve")
    browser.keep("bob", "approval-gate")
    page.click(browser, "bob")
    rejected.click(browser, "bob")
    for each in (*both, rejected):
        each.waits()
        assert each.approvers() == ["bob"]
        assert each.verified(capsys) == 1
    time.sleep(SETTLE_SECONDS)

    # 3. The same one again, and elsewhere a rejection.
    rest.rest("bob")
    page.click(browser, "bob")
    rejected.click(browser, "carol", "Reject")
    for each in both:
        each.waits()
        assert each.approvers() == ["bob", "bob"]
        assert each.verified(capsys) == 1
    rejected.states(approve="failed", release="upstream_failed")
    time.sleep(SETTLE_SECONDS)

    # 4. The second.
    rest.rest("carol")
    page.click(browser, "carol")
    for each in both:
        each.states(approve="success", release="success")
        assert each.verified(capsys) == 0


@pytest.mark.parametrize("name", ["rest", "browser"])
def test_the_evidence_names_both(runs: Mapping[str, Quorum], name: str) -> None:
    run = runs[name]
    (request,) = run.attacked.about(run.model.digest).of("approval-request")
    said = {each.approver: each for each in run.said()}
    assert set(said) == {"bob", "carol"}
    assert all(each.request == request.digest for each in said.values())
    assert {each.reason for each in said.values()} == {"bob looked at it", "carol looked at it"}
    assert {each.assurance for each in said.values()} == {Assurance.RECORDED}
    terms = approval_request.parse(request.statement)
    assert (terms.quorum, terms.triggered_by, "alice" in terms.excluded) == (2, "alice", True)
    told = run.stack.api("admin").xcom(run.dag_id, run.run_id, "approve")
    assert (told["decision"], sorted(told["approver"].split(", "))) == ("approved", ["bob", "carol"])
    (released,) = run.attacked.about(run.model.digest).of("verification-summary")
    assert {request.digest} < {item.digest for item in run.attacked.about(run.model.digest).verified}
    assert released.signer == "gates"


def test_one_rejection_ends_what_another_approved(
    runs: Mapping[str, Quorum], capsys: pytest.CaptureFixture[str]
) -> None:
    run = runs["rejected"]
    assert {each.approver: each.decision for each in run.said()} == {
        "bob": Decision.APPROVED,
        "carol": Decision.REJECTED,
    }
    assert "carol rejected" in run.log()
    assert run.verified(capsys) == 1


def test_a_request_outlives_a_clear_and_a_crash_of_scheduler_and_triggerer(
    runs: Mapping[str, Quorum], capsys: pytest.CaptureFixture[str]
) -> None:
    """What people sign is found by the triggerer alone, and it is another one since it was asked."""
    run = runs["signed"]
    (request,) = run.attacked.about(run.model.digest).of("approval-request")
    run.stack.api("admin").clear(run.dag_id, run.run_id, ["approve"])
    while run.stack.api("admin").run(run.dag_id, run.run_id).task("approve").try_number < 2:
        time.sleep(0.5)
    run.waits()
    for person in ("bob", "carol"):
        key = f"file:{run.attacked.key(person)}"
        signing: list[Any] = ["--signer", key, "--yes", "--reason", f"{person} looked at it"]
        assert main(["approve", request.digest, *signing, *run.attacked.options, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)
    run.states(approve="success", release="success")
    assert {(each.approver, each.assurance, each.request) for each in run.said()} == {
        ("bob", Assurance.SIGNED, request.digest),
        ("carol", Assurance.SIGNED, request.digest),
    }
    assert run.verified(capsys) == 0
