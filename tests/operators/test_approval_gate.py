"""The approval gate, through Airflow's own task runner: asking, answering, waiting, ending."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import BaseNotifier

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.evidence import Evidence
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import approval, approval_request, control_run
from airflow_mlsecops.core.predicates.approval import Assurance, Decision
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.core.signing import generate_key, signer_from_uri
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.trust_document import trust_entry
from airflow_mlsecops.operators.approval_gate import ApprovalGateOperator
from airflow_mlsecops.operators.release_gate import ReleaseGateOperator
from airflow_mlsecops.operators.sign_artifact import SignArtifactOperator
from airflow_mlsecops.triggers.approval import _store
from tests.support.deployment import Deployment
from tests.support.parked import AnswerRefusedError
from tests.support.run_op import OpRun, run_op

pytestmark = pytest.mark.airflow

FINE = {"reason": "metrics are fine"}
POLICY = """\
version: 1
name: small
require:
  - {evidence: test-result, of: model, control: model-scan}
  - {evidence: approval, of: model, count: 2}
"""


def user(name: str, number: str = "") -> dict[str, str]:
    return {"id": number or name, "name": name}


BOB, CAROL, ERIN = user("bob"), user("carol"), user("erin")


def ask(artifact: Any, deployment: Deployment, *, by: str | None = "alice", run_id: str = "r1", **kwargs: Any) -> OpRun:
    operator = ApprovalGateOperator(task_id="approve", artifact=artifact, **kwargs)
    return run_op(operator, connections=deployment.connections, triggering_user=by, run_id=run_id)


def approve(run: OpRun, who: Mapping[str, str], **kwargs: Any) -> OpRun:
    return run.respond(["Approve"], by=who, params_input=FINE, **kwargs)


def reject(run: OpRun, who: Mapping[str, str], reason: str = "drifted") -> OpRun:
    return run.respond(["Reject"], by=who, params_input={"reason": reason})


def sign(model: Path, deployment: Deployment) -> Any:
    operator = SignArtifactOperator(task_id="sign", artifact=str(model))
    return run_op(operator, connections=deployment.connections).xcoms["return_value"]


def about(model: Path, deployment: Deployment, slug: str) -> tuple[Evidence, ...]:
    return deployment.about(pin(str(model)).artifact.digest).of(slug)


def answers(model: Path, deployment: Deployment) -> list[approval.Approval]:
    said = [approval.parse(item.statement) for item in about(model, deployment, "approval")]
    return sorted(said, key=lambda each: each.decided_at)


def requests(model: Path, deployment: Deployment) -> list[Path]:
    """The files of the requests about the model."""
    return [path for path in deployment.bundles() if pin(str(model)).artifact.digest in path.parts]


def body(run: OpRun) -> str:
    assert run.question is not None
    return run.question.body or ""


@dataclass
class People:
    """A deployment whose trust policy also knows people, and their own keys."""

    deployment: Deployment
    people: list[dict[str, Any]] = field(default_factory=list)

    def key(self, person: str, *roles: str) -> str:
        """Give somebody a key of their own; return the signer's URI."""
        pem, public = generate_key()
        path = self.deployment.root / f"{person}-{'-'.join(roles)}.pem"
        path.write_bytes(pem)
        entry = trust_entry(path.stem, public, roles) + f"    person: {json.dumps(person)}\n"
        text = self.deployment.trust_file.read_text()
        self.deployment.trust_file.write_text(text + entry)
        return f"file:{path}"

    def logged(self) -> None:
        """Ask for an evidence log, whose key the gate has and the people don't."""
        log = {"origin": "ml.example.com/evidence", "keys": [self.deployment.public.pem]}
        text = self.deployment.trust_file.read_text()
        self.deployment.trust_file.write_text(f"{text}log: {json.dumps(log)}\n")

    def named(self, *people: Mapping[str, Any]) -> None:
        """Add the section ``people``."""
        text = self.deployment.trust_file.read_text()
        self.deployment.trust_file.write_text(f"{text}people: {json.dumps(people)}\n")

    def signs(self, uri: str, person: str, model: Path, request: str, decision: str = "approved") -> str:
        """What ``mlsecops approve`` does: the person signs, and puts it straight into the store."""
        artifact, now = pin(str(model), kind=Kind.MODEL).artifact, utcnow()
        said = approval.build(
            artifact,
            decision=Decision(decision),
            approver=user(person),
            identity_source="own-key",
            reason="I looked",
            request=request,
            evidence=[],
            requested_at=now,
            decided_at=now,
            expires_at=None,
            run={},
        )
        statement = Statement.build([artifact], said.predicate_type, {**said.predicate, "assurance": "signed"})
        return self.deployment.store.put(signer_from_uri(uri).sign(statement))


@pytest.fixture(autouse=True)
def a_new_triggerer() -> Iterator[None]:
    """A triggerer keeps stores for a while; here each test has another one."""
    yield
    _store.cache_clear()


@pytest.fixture
def people(deployment: Deployment) -> People:
    return People(deployment)


class Remember(BaseNotifier):
    """A notifier that remembers in a file what it was told, for workers that share nothing."""

    template_fields = ("message",)

    def __init__(self, path: Path, message: str = "{{ approval.needed }} of {{ ti.task_id }}") -> None:
        super().__init__()
        self.path = path
        self.message = message

    def notify(self, context: Any) -> None:
        with self.path.open("a") as stream:
            stream.write(self.message + "\n")


class Broken(BaseNotifier):
    """A notifier whose service is down."""

    def __call__(self, *args: Any) -> None:
        raise OSError("no such host")


class TestAsking:
    def test_the_request_is_signed_with_its_terms(self, model: Path, deployment: Deployment) -> None:
        signed = sign(model, deployment)
        asked = ask(signed, deployment, approvers=["bob", "carol"], quorum=2, valid_for=timedelta(days=1.5))
        assert asked.state == "deferred"
        (item,) = about(model, deployment, "approval-request")
        said = approval_request.parse(item.statement)
        assert (said.approvers, said.quorum, said.level) == (("bob", "carol"), 2, Assurance.RECORDED)
        assert (said.triggered_by, said.reason_required, said.valid_for) == ("alice", True, timedelta(days=1.5))
        assert set(said.excluded) == {"alice", "pipeline"}
        assert [shown.digest for shown in said.shown] == [signed["evidence"]]
        assert said.expires_at - said.requested_at == timedelta(days=7)

    def test_people_see_digest_evidence_terms_and_where_to_look(self, model: Path, deployment: Deployment) -> None:
        signed = sign(model, deployment)
        asked = ask(signed, deployment, approvers=["bob"])
        digest = pin(str(model)).artifact.digest
        page = f"/mlsecops/dags/test_dag/artifacts/{digest}"
        assert f"`sha256:{digest}`" in body(asked)
        assert f"[All evidence, verified as you open it]({page})" in body(asked)
        assert f"[signature]({page}/evidence/{signed['evidence']})" in body(asked)
        (request,) = about(model, deployment, "approval-request")
        assert f"[What was said since, and what others answered]({page}/requests/{request.digest})" in body(asked)
        assert "To approve: **1** of bob; one rejection ends it." in body(asked)
        assert "the first version at this stage" in body(asked)
        assert asked.hitl is not None
        assert (asked.hitl.options, asked.hitl.defaults) == (["Approve", "Reject"], None)
        assert [assigned.id for assigned in asked.hitl.assigned_users or []] == ["bob"]

    def test_many_questions_in_a_list_are_told_apart(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment, artifact_name="digits")
        digest = pin(str(model)).artifact.digest
        assert asked.question is not None
        assert asked.question.subject == f"Approve model digits sha256:{digest[:12]}… for release?"
        own = ask(str(model), deployment, subject="Ship it?", run_id="r2")
        assert own.question is not None
        assert own.question.subject == "Ship it?"

    def test_what_controls_found_is_told_first(self, model: Path, deployment: Deployment) -> None:
        assert "**No control has checked anything about it.**" in body(ask(str(model), deployment))
        artifact = pin(str(model), name="m", kind=Kind.MODEL).artifact
        signer = signer_from_uri(f"file:{deployment.key}")
        for control, verdict in (("fine", Verdict.PASS), ("odd", Verdict.WARN), ("[x](y)", Verdict.FAIL)):
            report = Report(artifact, control, verdict, f"says {verdict.value}")
            run = {"dag_id": "d", "run_id": "r", "task_id": control}
            said = control_run.build(
                report, finished_at=utcnow(), run=run, report_blob=sha256_bytes(b"report"), blobs={}
            )
            deployment.store.put(signer.sign(said))
        told = body(ask(str(model), deployment, run_id="r2"))
        assert "**2 of 3 checks found something: \\[x\\]\\(y\\), odd.**" in told
        assert "| ✓ pass | says pass |" in told
        assert "| ⚠ **warn** | says warn |" in told
        assert "| ✗ **fail** | says fail |" in told

    def test_what_the_policy_misses_is_shown_and_not_the_approvals_themselves(
        self, model: Path, tmp_path: Path, deployment: Deployment
    ) -> None:
        (tmp_path / "policy.yaml").write_text(POLICY)
        asked = ask(str(model), deployment, policy=str(tmp_path / "policy.yaml"))
        (missing,) = [line for line in body(asked).splitlines() if line.startswith("- small")]
        assert "model\\-scan" in missing
        assert "run the control" in missing

    def test_a_level_that_asks_for_own_signatures_says_how(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment, level="signed")
        (item,) = about(model, deployment, "approval-request")
        assert f"`mlsecops approve {item.digest}`" in body(asked)

    def test_nobody_is_asked_by_a_run_of_nobody(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment, by=None, retries=2)
        assert asked.state == "failed"
        assert "who triggered its run" in str(asked.error)
        assert not deployment.bundles()

    def test_terms_that_nobody_can_meet_fail_before_anybody_is_asked(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment, approvers=["alice", "bob"], quorum=2)
        assert asked.state == "failed"
        assert "expected 2 or more who may answer, got 1" in str(asked.error)
        assert asked.question is None

    @pytest.mark.parametrize("missing", ["ask", "approve"])
    def test_a_key_that_may_not_ask_or_record_asks_nobody(self, missing: str, model: Path, tmp_path: Path) -> None:
        roles = tuple({"ask", "approve", "sign"} - {missing})
        deployment = Deployment(tmp_path / "d", roles=roles)
        asked = ask(str(model), deployment)
        assert asked.state == "failed"
        assert missing in str(asked.error)
        assert not deployment.bundles()

    @pytest.mark.parametrize("argument", ["defaults", "options", "multiple", "body", "assigned_users"])
    def test_no_default_answer_can_be_configured(self, argument: str) -> None:
        with pytest.raises(ValueError, match="a timeout never approves"):
            ApprovalGateOperator(task_id="approve", artifact="x", **{argument: ["Approve"]})  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        "arguments",
        [
            {"approvers": "bob"},
            {"approvers": []},
            {"approver_roles": "lead"},
            {"quorum": 0},
            {"level": "believed"},
            {"response_timeout": timedelta()},
            {"escalate_after": timedelta(hours=1)},
            {"escalation_notifiers": Broken()},
        ],
    )
    def test_what_makes_no_gate_is_refused_when_the_dag_is_parsed(self, arguments: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"expected|both"):
            ApprovalGateOperator(task_id="approve", artifact="x", **arguments)

    def test_hostile_names_are_escaped(self, model: Path, deployment: Deployment) -> None:
        name = "<script>alert(1)</script> [click](javascript:alert(1)) | # h"
        asked = ask(str(model), deployment, artifact_name=name, by="[x](javascript:y)", run_id="<b>r</b>")
        assert "<" not in body(asked).replace("\\<", "")
        assert "](javascript" not in body(asked)

    def test_hostile_evidence_is_escaped(self, model: Path, deployment: Deployment) -> None:
        """What an approver wrote earlier is shown to the next one; it must not become markup."""
        reason = "**[free](javascript:x)** <img src=x onerror=y> | x | y\n# heading"
        ask(str(model), deployment).respond(["Approve"], by=BOB, params_input={"reason": reason})
        asked = ask(str(model), deployment, run_id="r2")
        (row,) = [line for line in body(asked).splitlines() if "free" in line]
        plain = re.sub(r"^\| \[approval\]\(/mlsecops[^)]*\)", "| approval", row).replace(" **approved** ", "")
        assert not re.search(r"(?<!\\)[<\[*!]", plain)
        assert row.replace("\\|", "").count("|") == 6  # five cells, whatever was in them


class TestAnswers:
    def test_an_approval_is_signed_about_the_digest_and_the_request(self, model: Path, deployment: Deployment) -> None:
        done = approve(ask(sign(model, deployment), deployment, valid_for=timedelta(days=1)), BOB)
        assert done.state == "success"
        (said,) = answers(model, deployment)
        (request,) = about(model, deployment, "approval-request")
        assert (said.decision, said.approver, said.reason) == (Decision.APPROVED, "bob", FINE["reason"])
        assert (said.assurance, said.request) == (Assurance.RECORDED, request.digest)
        assert said.expires_at is not None
        assert said.expires_at - said.decided_at == timedelta(days=1)
        reference = done.xcoms["return_value"]
        assert (reference["decision"], reference["approver"], reference["request"]) == (
            "approved",
            "bob",
            request.digest,
        )
        assert done.xcoms["_link_EvidenceLink"].endswith(pin(str(model)).artifact.digest)

    def test_two_of_three_whoever_they_are(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment, approvers=["bob", "carol", "erin"], quorum=2)
        first = approve(asked, ERIN)
        assert first.state == "deferred"
        assert "Waiting for 1 more" in first.logs
        assert first.question is not None
        assert first.question.responded_at is None  # asked again, in Airflow's own words
        assert body(first) == body(asked)
        twice = approve(first, ERIN)
        assert twice.state == "deferred"
        done = approve(twice, BOB)
        assert done.state == "success"
        assert done.xcoms["return_value"]["approvals"] == 2
        assert {said.approver for said in answers(model, deployment)} == {"bob", "erin"}

    @pytest.mark.parametrize(("on_reject", "state"), [("fail", "failed"), ("skip", "skipped")])
    def test_one_rejection_ends_it(self, on_reject: Any, state: str, model: Path, deployment: Deployment) -> None:
        asked = ask(
            str(model), deployment, approvers=["bob", "carol", "erin"], quorum=2, on_reject=on_reject, retries=2
        )
        done = reject(approve(asked, BOB), CAROL, reason="")
        assert done.state == state
        assert "carol rejected" in done.logs
        assert [said.decision for said in answers(model, deployment)] == [Decision.APPROVED, Decision.REJECTED]
        again = done.clear()
        assert again.state == state
        assert again.question is None

    @pytest.mark.parametrize("who", [user("alice"), user("alice", "7"), user("pipeline")])
    def test_who_triggered_or_signed_counts_for_nothing_and_is_told(
        self, who: dict[str, str], model: Path, deployment: Deployment
    ) -> None:
        asked = approve(ask(sign(model, deployment), deployment), who)
        assert asked.state == "deferred"
        assert not answers(model, deployment)
        assert "ALARM answer-refused" in asked.logs
        assert approve(asked, BOB).state == "success"

    def test_whose_own_key_signed_the_model_cannot_approve_it(self, model: Path, people: People) -> None:
        people.deployment.key.write_bytes(Path(people.key("bob", "sign").removeprefix("file:")).read_bytes())
        signed = sign(model, people.deployment)
        fresh = People(Deployment(people.deployment.root / "gate"))
        fresh.deployment.trust_file.write_text(
            fresh.deployment.trust_file.read_text()
            + people.deployment.trust_file.read_text().split("signers:\n")[1].replace('"pipeline"', '"unused"')
        )
        for path in people.deployment.bundles():
            target = fresh.deployment.evidence / path.relative_to(people.deployment.evidence)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
        asked = approve(ask(signed, fresh.deployment, approvers=["bob", "carol"]), CAROL)
        assert asked.state == "success"
        refused = ask(signed, fresh.deployment, approvers=["bob"], run_id="r2")
        assert "got 0" in str(refused.error)

    def test_only_those_who_are_asked_may_answer(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment, approvers=["carol"])
        with pytest.raises(AnswerRefusedError, match="403"):
            approve(asked, BOB)
        # Whatever lets an answer pass Airflow, it doesn't pass here.
        forged = asked.resume({**_event(BOB), "responded_at": utcnow()})
        assert forged.state == "deferred"
        assert not answers(model, deployment)

    def test_an_approval_without_a_reason_is_asked_for_again(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment).respond(["Approve"], by=BOB, params_input={"reason": "  "})
        assert asked.state == "deferred"
        assert "gave no reason" in asked.logs
        assert not answers(model, deployment)
        assert (
            ask(str(model), deployment, require_reason=False, run_id="r2").respond(["Approve"], by=BOB).state
            == "success"
        )

    @pytest.mark.parametrize(
        "change",
        [
            {"responded_by_user": None},
            {"timedout": True},
            {"chosen_options": ["Approve", "Reject"]},
            {"chosen_options": []},
            {"chosen_options": ["approve"]},
        ],
    )
    def test_what_is_no_persons_answer_is_none(
        self, change: dict[str, Any], model: Path, deployment: Deployment
    ) -> None:
        asked = ask(str(model), deployment).resume({**_event(BOB), "responded_at": utcnow(), **change})
        assert asked.state == "deferred"
        assert not answers(model, deployment)

    def test_the_model_swapped_while_waiting_is_approved_under_its_old_digest_only(
        self, tmp_path: Path, model: Path, deployment: Deployment
    ) -> None:
        asked = ask(sign(model, deployment), deployment)
        old = pin(str(model)).artifact.digest
        model.write_bytes(b"swapped")
        assert approve(asked, BOB).state == "success"
        assert deployment.about(old).of("approval")
        assert not deployment.about(pin(str(model)).artifact.digest).verified
        (tmp_path / "policy.yaml").write_text(POLICY)
        gate = ReleaseGateOperator(task_id="release", artifact=str(model), policy=str(tmp_path / "policy.yaml"))
        assert run_op(gate, connections=deployment.connections).state == "failed"


def _event(who: Mapping[str, str]) -> dict[str, Any]:
    return {"chosen_options": ["Approve"], "params_input": FINE, "responded_by_user": dict(who)}


class TestCounting:
    def test_an_answer_is_counted_from_the_store_and_not_from_what_the_task_kept(
        self, model: Path, deployment: Deployment
    ) -> None:
        asked = ask(str(model), deployment, approvers=["bob", "carol"], quorum=2)
        first = approve(asked, BOB)
        (path,) = [path for path in deployment.bundles() if "/approval/" in str(path)]
        path.unlink()
        assert approve(first, CAROL).state == "deferred"

    def test_a_look_by_itself_approves_nothing(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment)
        for event in ({"look": "answers"}, {"look": "time"}, {}, {"decision": "approved"}):
            assert asked.resume(event).state == "deferred"

    def test_a_request_that_was_removed_ends_it(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment)
        (path,) = requests(model, deployment)
        path.unlink()
        done = approve(asked, BOB)
        assert done.state == "failed"
        assert "isn't among the evidence that counts" in str(done.error)
        assert not answers(model, deployment)

    def test_another_tasks_request_is_not_this_ones(self, model: Path, deployment: Deployment) -> None:
        asked, other = ask(str(model), deployment), ask(str(model), deployment, run_id="r2")
        api = asked._api
        kept = dict(asked.next_kwargs["asked"])
        kept["request"] = other.next_kwargs["asked"]["request"]
        api.ti.next_kwargs = {"asked": kept}
        assert approve(asked, BOB).state == "failed"
        assert not answers(model, deployment)

    def test_approved_and_broken_is_no(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment)
        (request,) = requests(model, deployment)
        (request.parent / f"{'0' * 64}.sigstore.json").write_text("{")
        done = approve(asked, BOB)
        assert done.state == "failed"
        assert "can't go on" in str(done.error)


class TestLasting:
    def test_a_clear_takes_up_the_request_and_its_answers(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment, approvers=["bob", "carol"], quorum=2)
        cleared = approve(asked, BOB).clear()
        assert cleared.state == "deferred"
        assert cleared.question is not None  # a new row, for the new try
        assert len(about(model, deployment, "approval-request")) == 1
        assert approve(cleared, CAROL).state == "success"

    def test_a_clear_after_the_approval_asks_nobody(self, model: Path, deployment: Deployment) -> None:
        again = approve(ask(str(model), deployment), BOB).clear()
        assert (again.state, again.question) == ("success", None)
        assert len(answers(model, deployment)) == 1

    def test_other_bytes_are_another_request(self, model: Path, deployment: Deployment) -> None:
        done = approve(ask(str(model), deployment), BOB)
        model.write_bytes(b"retrained")
        again = done.clear()
        assert again.state == "deferred"
        assert len(about(model, deployment, "approval-request")) == 1
        assert not answers(model, deployment)

    @pytest.mark.parametrize("terms", [{"quorum": 2}, {"level": "signed"}, {"response_timeout": timedelta(days=1)}])
    def test_other_terms_are_another_request(self, terms: dict[str, Any], model: Path, deployment: Deployment) -> None:
        approve(ask(str(model), deployment, approvers=["bob", "carol"]), BOB)
        again = ask(str(model), deployment, approvers=["bob", "carol"], **terms)
        assert again.state == "deferred"
        assert len(about(model, deployment, "approval-request")) == 2

    def test_another_run_asks_for_itself(self, model: Path, deployment: Deployment) -> None:
        approve(ask(str(model), deployment), BOB)
        assert ask(str(model), deployment, run_id="r2").state == "deferred"

    def test_evidence_that_came_since_is_marked(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment)
        approve(ask(str(model), deployment, run_id="r2"), BOB)
        assert "new since it was asked" not in body(asked)
        assert re.search(r"\[approval\]\([^)]*\) \(new since it was asked\)", body(asked.clear()))

    def test_its_end_never_approves_and_a_clear_asks_anew(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment, approvers=["bob", "carol"], quorum=2, response_timeout=SHORT, retries=2)
        first = approve(asked, BOB)
        done = first.resume(first.trigger_event())
        assert done.state == "failed"
        assert "a timeout never approves" in str(done.error)
        assert done.clear().state == "deferred"
        assert len(about(model, deployment, "approval-request")) == 2

    def test_without_a_triggerer_airflow_ends_it(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment)
        assert asked.time_limit is not None
        assert timedelta(days=7) < asked.time_limit < timedelta(days=7, hours=1)
        assert asked.timeout().state == "failed"


SHORT = timedelta(milliseconds=700)


class TestTrigger:
    def test_an_answer_that_nobody_heard_is_found(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment).answered_unheard(["Approve"], by=BOB, params_input=FINE)
        event = asked.trigger_event()
        assert event.payload["responded_by_user"] == BOB
        assert asked.resume(event).state == "success"

    def test_an_answer_in_the_store_is_found(self, model: Path, people: People) -> None:
        uri = people.key("bob", "approve")
        asked = ask(str(model), people.deployment, approvers=["bob"], level="signed", poke_interval=0.01)
        recorded = approve(asked, BOB)
        assert recorded.state == "deferred"
        assert "only recorded" in recorded.logs
        (request,) = about(model, people.deployment, "approval-request")
        people.signs(uri, "bob", model, request.digest)
        event = recorded.trigger_event()
        assert event.payload == {"look": "answers"}
        done = recorded.resume(event)
        assert done.state == "success"
        assert done.xcoms["return_value"]["approver"] == "bob"

    def test_the_gate_enters_into_the_log_what_a_person_signed(self, model: Path, people: People) -> None:
        uri = people.key("bob", "approve")
        people.logged()
        asked = ask(str(model), people.deployment, approvers=["bob"], level="signed", poke_interval=0.01)
        (request,) = about(model, people.deployment, "approval-request")
        people.signs(uri, "bob", model, request.digest)
        people.signs(uri, "bob", model, "0" * 64)
        assert not answers(model, people.deployment)
        assert asked.resume(asked.trigger_event()).state == "success"
        assert [said.request for said in answers(model, people.deployment)] == [request.digest]

    def test_a_signature_without_the_persons_key_is_none(self, model: Path, people: People) -> None:
        people.key("bob", "approve")
        asked = ask(str(model), people.deployment, approvers=["bob"], level="signed", poke_interval=0.01)
        (request,) = about(model, people.deployment, "approval-request")
        people.signs(f"file:{people.deployment.key}", "bob", model, request.digest)
        assert asked.resume(asked.trigger_event()).state == "deferred"

    def test_a_signed_rejection_ends_it(self, model: Path, people: People) -> None:
        uri = people.key("bob", "approve")
        asked = ask(str(model), people.deployment, approvers=["bob", "carol"], poke_interval=0.01)
        (request,) = about(model, people.deployment, "approval-request")
        people.signs(uri, "bob", model, request.digest, "rejected")
        assert asked.resume(asked.trigger_event()).state == "failed"

    def test_it_sleeps_over_what_was_looked_at(self, model: Path, deployment: Deployment) -> None:
        asked = ask(
            str(model), deployment, approvers=["bob", "carol"], quorum=2, response_timeout=SHORT, poke_interval=0.01
        )
        first = approve(asked, BOB)
        assert first.trigger_event().payload == {"look": "time"}

    def test_a_store_that_is_down_is_looked_at_again(self, model: Path, tmp_path: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment, response_timeout=SHORT, poke_interval=0.05)
        deployment.evidence.rename(tmp_path / "away")
        assert asked.trigger_event().payload == {"look": "time"}

    def test_an_answer_outlasts_a_store_that_is_down(self, model: Path, tmp_path: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment, poke_interval=0.05)
        deployment.evidence.rename(tmp_path / "away")
        given = approve(asked, BOB)
        assert given.state == "deferred"
        assert "Looking again" in given.logs
        (tmp_path / "away").rename(deployment.evidence)
        event = given.trigger_event()
        assert event.payload["responded_by_user"] == BOB
        assert given.resume(event).state == "success"
        assert [said.approver for said in answers(model, deployment)] == ["bob"]

    def test_a_store_that_stays_down_ends_with_the_request(
        self, model: Path, tmp_path: Path, deployment: Deployment
    ) -> None:
        asked = ask(str(model), deployment, response_timeout=SHORT, poke_interval=0.05)
        deployment.evidence.rename(tmp_path / "away")
        given = approve(asked, BOB)
        assert given.state == "deferred"
        ended = given.resume(given.trigger_event())
        assert ended.state == "failed"
        assert "store" in str(ended.error)

    def test_escalation_calls_any_notifier_once(self, model: Path, tmp_path: Path, deployment: Deployment) -> None:
        told, late = tmp_path / "told", tmp_path / "late"
        asked = ask(
            str(model),
            deployment,
            quorum=2,
            notifiers=[Broken(), Remember(told)],
            escalate_after=SHORT,
            escalation_notifiers=[Broken(), Remember(late)],
        )
        assert told.read_text() == "2 of approve\n"
        event = asked.trigger_event()
        assert event.payload == {"look": "time"}
        escalated = asked.resume(event)
        assert escalated.state == "deferred"
        assert "Broken wasn't told: it raised OSError" in escalated.logs
        assert "no such host" not in escalated.logs  # an address may stand in it
        assert late.read_text() == "2 of approve\n"
        once = approve(escalated, BOB)
        assert once.state == "deferred"
        assert (told.read_text(), late.read_text()) == ("2 of approve\n", "2 of approve\n")


class TestPeople:
    def test_roles_come_from_the_trust_policy(self, model: Path, people: People) -> None:
        people.named({"id": "bob", "roles": ["lead"]}, {"id": "carol", "roles": ["lead", "risk"]}, {"id": "erin"})
        asked = ask(str(model), people.deployment, approver_roles=["lead"], approvers=["frank"], quorum=2)
        (item,) = about(model, people.deployment, "approval-request")
        assert approval_request.parse(item.statement).approvers == ("bob", "carol", "frank")
        with pytest.raises(AnswerRefusedError, match="403"):
            approve(asked, ERIN)
        assert approve(approve(asked, CAROL), BOB).state == "success"

    def test_a_role_of_nobody_asks_nobody(self, model: Path, deployment: Deployment) -> None:
        asked = ask(str(model), deployment, approver_roles=["lead"])
        assert asked.state == "failed"
        assert "nobody has the role" in str(asked.error)

    def test_an_account_is_its_persons(self, model: Path, people: People, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(
            "AIRFLOW__CORE__AUTH_MANAGER", "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
        )
        people.named({"id": "bob", "accounts": {"fab": "3"}}, {"id": "carol", "accounts": {"fab": "4"}})
        asked = ask(str(model), people.deployment, approvers=["bob", "carol"], quorum=2)
        assert asked.hitl is not None
        assert [assigned.id for assigned in asked.hitl.assigned_users or []] == ["3", "4"]
        done = approve(approve(asked, user("bob", "3")), user("carol", "4"))
        assert done.state == "success"
        assert {said.approver_id for said in answers(model, people.deployment)} == {"bob", "carol"}

    def test_a_name_that_airflow_cannot_know_asks_nobody(
        self, model: Path, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(
            "AIRFLOW__CORE__AUTH_MANAGER", "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
        )
        asked = ask(str(model), deployment, approvers=["bob"])
        assert asked.state == "failed"
        assert "accounts: {fab: …}" in str(asked.error)
