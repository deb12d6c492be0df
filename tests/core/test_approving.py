"""Answering with one's own key: what counts is signed, put and read back; what wouldn't count is never signed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_mlsecops.core.approving.errors import (
    AlreadyAnsweredError,
    AnswerRefusedError,
    ApproverExcludedError,
    ApproverNotAskedError,
    NobodysKeyError,
    RequestDecidedError,
    RequestEvidenceError,
    RequestExpiredError,
    RequestUnknownError,
)
from airflow_mlsecops.core.approving.requests import (
    Case,
    find_request,
    open_case,
    open_requests,
    read_requests,
)
from airflow_mlsecops.core.approving.screen import shown, since_asked
from airflow_mlsecops.core.approving.sign import Signed, own_key, sign_answer
from airflow_mlsecops.core.approving.tally import State
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import ConfigurationError, RevokedError, TrustError
from airflow_mlsecops.core.evidence import collect
from airflow_mlsecops.core.policy import quorum
from airflow_mlsecops.core.predicates import approval, approval_request
from airflow_mlsecops.core.predicates.approval import Assurance, Decision
from airflow_mlsecops.core.predicates.approval_request import EVERY_REQUEST, Shown
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.telling import describe
from tests.support.evidence import (
    NOW,
    ROLES,
    RUN,
    World,
    approval_request_statement,
    approval_statement,
    artifact,
    key,
    trust,
)

APPROVED, REJECTED = Decision.APPROVED, Decision.REJECTED
PEOPLE = ("alice", "bob", "carol")
SIGNERS: dict[str, list[str]] = {**ROLES, "asker": ["ask"], **{f"{name}-key": ["approve"] for name in PEOPLE}}
PERSONS = {f"{name}-key": {"person": name} for name in PEOPLE}


@pytest.fixture
def world() -> World:
    """A model, checked and signed, in a deployment whose people have keys of their own."""
    world = World(trust=trust(SIGNERS, **PERSONS))
    world.control(age=3)
    world.provenance(age=3)
    world.sign(age=3)
    return world


def _ask(world: World, **terms: Any) -> Sha256:
    """Ask as a gate does: everything that is there now is on the screen."""
    items = world.dossier().verified
    told = [
        (item.digest, describe(item.statement)) for item in items if item.slug not in ("approval", "approval-request")
    ]
    rows = tuple(Shown(digest, said.what, said.verdict, said.summary) for digest, said in told)
    terms = {"shown": rows, "quorum": 2, "level": Assurance.SIGNED, **terms}
    people, when = terms.pop("approvers", PEOPLE), terms.pop("requested_at", world.ago(1))
    return world.put(approval_request_statement(world.model, people, when, **terms), "asker")


def _case(world: World, request: Sha256) -> Case:
    asked = find_request(request, world.store, world.trust, world.now)
    return open_case(asked, world.store, world.trust, world.now)


def _sign(world: World, request: Sha256, who: str = "alice-key", decision: Decision = APPROVED) -> Signed:
    case = _case(world, request)
    return sign_answer(case, decision, "looked at it", key(who), world.store, world.trust, world.now)


def _nothing_more(world: World) -> Callable[[], bool]:
    before = dict(world.backend.objects)  # type: ignore[attr-defined]
    return lambda: before == world.backend.objects  # type: ignore[attr-defined]


def test_two_own_signatures_are_a_quorum(world: World) -> None:
    request = _ask(world)
    signed = _sign(world, request)
    assert (signed.person, signed.counts) == ("alice", True)
    case = _case(world, request)
    assert (case.standing.state, case.standing.needed) == (State.WAITING, 1)
    _sign(world, request, "bob-key")
    assert _case(world, request).standing.state is State.APPROVED

    (first,) = (
        item
        for item in collect(world.store, world.model.digest, world.trust, NOW).of("approval")
        if item.digest == signed.evidence.digest
    )
    said = approval.parse(first.statement)
    assert (said.approver, said.assurance, said.request) == ("alice", Assurance.SIGNED, request)
    assert set(said.evidence) == {row.digest for row in shown(case)}
    assert quorum.answer(said, first).level is Assurance.SIGNED
    assert world.model.identity in first.statement.identities
    wanted = {"evidence": "approval", "of": "model", "count": 2, "level": "signed", "approvers": list(PEOPLE)}
    assert world.decide(wanted)
    assert not world.decide({**wanted, "count": 3})


def test_a_request_says_how_long_an_approval_counts(world: World) -> None:
    request = _ask(world, valid_for=timedelta(hours=5))
    said = approval.parse(_sign(world, request).evidence.statement)
    assert said.expires_at == NOW + timedelta(hours=5)
    world.now = NOW + timedelta(hours=6)
    assert not _case(world, request).standing.counted
    assert _sign(world, request).counts  # given anew


def test_what_waits_for_whom(world: World) -> None:
    request = _ask(world)
    other = _ask(world, approvers=("bob", "carol"), requested_at=world.ago(2))
    _ask(world, expires_at=world.ago(0.5))
    cases, found = open_requests(world.store, world.trust, NOW)
    assert [case.asked.digest for case in cases] == [other, request]
    assert (len(found.asked), found.refused, found.broken) == (3, (), ())
    waits = {name: [case.asked.digest for case in cases if case.waits_for(name, "", NOW)] for name in (*PEOPLE, "dave")}
    assert waits == {"alice": [request], "bob": [other, request], "carol": [other, request], "dave": []}

    _sign(world, request, "bob-key")
    _sign(world, other, "carol-key", REJECTED)
    (case,), _ = open_requests(world.store, world.trust, NOW)
    assert (case.asked.digest, case.waits_for("bob", "", NOW)) == (request, False)


@pytest.mark.parametrize(
    ("terms", "who", "error", "words"),
    [
        ({"triggered_by": "alice"}, "alice-key", ApproverExcludedError, "alice triggered"),
        ({"excluded": ("dave", "alice-key")}, "alice-key", ApproverExcludedError, "alice-key triggered"),
        ({"approvers": ("bob", "carol")}, "alice-key", ApproverNotAskedError, "bob, carol"),
        ({"expires_at": NOW - timedelta(minutes=1)}, "alice-key", RequestExpiredError, "until 2026-03-01T11:59"),
        (
            {"requested_at": NOW + timedelta(hours=1), "expires_at": NOW + timedelta(hours=2)},
            "alice-key",
            AnswerRefusedError,
            "ahead",
        ),
        ({}, "approvals", NobodysKeyError, "whose own key approvals is"),
        ({}, "gate", NobodysKeyError, "not approve"),
        ({}, "stranger", TrustError, "not in the trust policy"),
    ],
)
def test_who_may_not_answer_signs_nothing(
    world: World, terms: dict[str, Any], who: str, error: type[Exception], words: str
) -> None:
    request = _ask(world, **terms)
    unchanged = _nothing_more(world)
    with pytest.raises(error, match=words):
        _sign(world, request, who)
    assert unchanged()


def test_one_person_counts_once(world: World) -> None:
    request = _ask(world)
    _sign(world, request)
    unchanged = _nothing_more(world)
    with pytest.raises(AlreadyAnsweredError, match="alice approved it"):
        _sign(world, request)
    assert unchanged()
    assert _case(world, request).standing.needed == 1


def test_what_is_decided_is_over(world: World) -> None:
    rejected, approved = _ask(world), _ask(world, quorum=1)
    _sign(world, rejected, "bob-key", REJECTED)
    _sign(world, approved, "bob-key")
    unchanged = _nothing_more(world)
    for decision in Decision:
        with pytest.raises(RequestDecidedError, match="bob rejected"):
            _sign(world, rejected, "alice-key", decision)
    with pytest.raises(RequestDecidedError, match="enough people"):
        _sign(world, approved)
    assert unchanged()
    # Until its time is over, somebody else who is asked can still say NO.
    assert _sign(world, approved, "alice-key", REJECTED).counts
    assert _case(world, approved).standing.state is State.REJECTED


@pytest.mark.parametrize("request_digest", ["0" * 64, ""])
def test_an_unknown_request_is_refused(world: World, request_digest: str) -> None:
    _ask(world)
    with pytest.raises(RequestUnknownError, match="no request"):
        find_request(request_digest, world.store, world.trust, NOW)


def test_a_request_that_nobody_who_may_has_signed_is_refused(world: World) -> None:
    request = world.put(approval_request_statement(world.model, PEOPLE, world.ago(1)), "stranger")
    with pytest.raises(RequestUnknownError, match="not in the trust policy"):
        find_request(request, world.store, world.trust, NOW)


def test_a_withdrawn_request_is_refused(world: World) -> None:
    request = _ask(world)
    world.revoke(request, target="evidence")
    with pytest.raises(RequestUnknownError, match="it leaked"):
        find_request(request, world.store, world.trust, NOW)


@pytest.mark.parametrize("subjects", [0, 2])
def test_a_request_is_about_one_artifact(world: World, subjects: int) -> None:
    good = json.loads(approval_request_statement(world.model, PEOPLE, world.ago(1)).payload)
    others = [item.subject for item in (world.model, artifact("other"))]
    good["subject"] = [*others[:subjects], EVERY_REQUEST.subject]
    world.put(Statement.parse(json.dumps(good).encode()), "asker")
    found = read_requests(world.store, world.trust, NOW)
    assert (found.asked, [item.code for item in found.refused]) == ((), ["malformed-statement"])


@pytest.mark.parametrize("how", ["taken away", "withdrawn", "artifact", "source"])
def test_evidence_that_no_longer_holds_cannot_be_approved(world: World, how: str) -> None:
    scan = world.control(world.model, control="model-scan", age=2)
    request = _ask(world)
    if how == "taken away":
        objects = world.backend.objects  # type: ignore[attr-defined]
        del objects[next(name for name in objects if scan in name)]
    elif how == "withdrawn":
        world.revoke(scan, target="evidence")
    else:
        world.revoke({"artifact": world.model, "source": world.dataset}[how].digest)
    with pytest.raises(RequestEvidenceError, match="is gone" if how == "taken away" else "it leaked"):
        _sign(world, request)
    # To say NO, nothing has to hold.
    assert _sign(world, request, decision=REJECTED).evidence


def test_a_request_that_tells_something_else_than_the_evidence_is_shown_up(world: World) -> None:
    scan = world.control(world.model, control="model-scan", verdict=Verdict.FAIL, age=2)
    request = _ask(world, shown=(Shown(scan, "model-scan", "pass", "nothing found"),))
    (row,) = shown(_case(world, request))
    assert (row.verdict, row.claimed, row.summary) == ("fail", "pass: model-scan", "model-scan said fail")


def test_what_came_since_is_shown_and_bound(world: World) -> None:
    request = _ask(world)
    late = world.control(world.model, control="model-scan", verdict=Verdict.WARN, age=0.5)
    (row,) = since_asked(_case(world, request))
    assert (row.digest, row.verdict, row.about) == (late, "warn", "model")
    assert late in approval.parse(_sign(world, request).evidence.statement).evidence


@pytest.mark.parametrize("by", ["trust policy", "statement"])
def test_a_withdrawn_key_signs_nothing(world: World, by: str) -> None:
    request = _ask(world)
    if by == "statement":
        world.revoke(key("alice-key").public_key.hint, target="key", cause="compromised")
    else:
        revoked = [{"signer": "alice-key", "cause": "compromised"}]
        world.trust = trust(SIGNERS, {"revoked": revoked}, **PERSONS)
    unchanged = _nothing_more(world)
    with pytest.raises(RevokedError):
        _sign(world, request)
    assert unchanged()


def test_a_key_that_is_no_longer_valid_signs_nothing(world: World) -> None:
    request = _ask(world)
    world.trust = trust(SIGNERS, **{**PERSONS, "alice-key": {"person": "alice", "not_after": "2026-02-01T00:00:00Z"}})
    with pytest.raises(TrustError, match="valid until"):
        _sign(world, request)


def test_a_reason_is_needed(world: World) -> None:
    request = _ask(world)
    with pytest.raises(ConfigurationError, match="reason"):
        sign_answer(_case(world, request), APPROVED, " ", key("alice-key"), world.store, world.trust, NOW)


def test_an_answer_counts_for_its_request_alone(world: World) -> None:
    first = _ask(world, quorum=1)
    second = _ask(world, quorum=1, requested_at=world.ago(0.5))
    _sign(world, first)
    assert _case(world, second).standing.state is State.WAITING


def test_a_recorded_answer_of_the_same_person_does_not_stand_in_the_way(world: World) -> None:
    request = _ask(world, quorum=1)
    said = approval_statement(world.model, "alice", "approved", NOW)
    predicate = {**said.predicate, "request": {"digest": {"sha256": request}}}
    world.put(Statement.build([world.model], said.predicate_type, predicate), "approvals")
    assert _case(world, request).standing.state is State.WAITING
    _sign(world, request)
    assert _case(world, request).standing.state is State.APPROVED


def test_whose_key_it_is_the_trust_policy_says(world: World) -> None:
    assert own_key(key("alice-key"), world.trust, NOW).person == "alice"
    changed = replace(world, trust=trust(SIGNERS, **{**PERSONS, "alice-key": {"person": "eve"}}))
    request = _ask(changed)
    with pytest.raises(ApproverNotAskedError, match="eve"):
        _sign(changed, request)


def test_the_run_is_that_of_the_gate(world: World) -> None:
    request = _ask(world)
    asked = find_request(request, world.store, world.trust, NOW)
    assert asked.run == RUN
    assert _sign(world, request).evidence.statement.predicate["run"] == RUN
    assert approval_request.parse(world.store.get(request).bundle.statement) == asked.said  # type: ignore[union-attr]


REQUESTED = {"evidence": "approval", "of": "model", "count": 2, "level": "signed", "requested": True}


def _forge(world: World, request: Sha256, who: str, *, age: float = 0, reason: str = "forged") -> Sha256:
    """What the command wouldn't sign: put with the person's own key."""
    statement = approval.build(
        world.model,
        decision=APPROVED,
        approver={"id": who, "name": who},
        identity_source="trust-policy",
        assurance=Assurance.SIGNED,
        reason=reason,
        request=request,
        evidence=[],
        requested_at=world.ago(1),
        decided_at=world.ago(age),
        expires_at=None,
        run=RUN,
    )
    return world.put(statement, f"{who}-key")


def test_a_policy_can_hold_approvals_to_the_terms_of_their_request(world: World) -> None:
    request = _ask(world)
    for who in ("alice-key", "bob-key"):
        _sign(world, request, who)
    decision = world.decide(REQUESTED)
    assert decision
    assert request in decision.evidence
    assert request not in world.decide({**REQUESTED, "requested": False}).evidence

    world.revoke(request, target="evidence")
    assert world.decide({**REQUESTED, "requested": False})
    assert "answers no request that counts" in str(world.decide(REQUESTED).reasons)


@pytest.mark.parametrize(
    ("terms", "age", "reason", "words"),
    [
        ({"excluded": ("bob",)}, 0, "fine", "bob triggered the run, or made or signed"),
        ({"approvers": ("alice", "carol")}, 0, "fine", "bob isn't one of those"),
        ({"expires_at": NOW - timedelta(minutes=20)}, 0, "fine", "and the request is open until"),
        ({}, 2, "fine", "and the request is open until"),
        ({"valid_for": timedelta(minutes=10)}, 0.5, "fine", "expired at"),
        ({}, 0, " ", "gives no reason"),
    ],
)
def test_whoever_goes_round_the_gate_does_not_go_round_its_terms(
    world: World, terms: dict[str, Any], age: float, reason: str, words: str
) -> None:
    request = _ask(world, **terms)
    _forge(world, request, "alice", age=0.5 if "expires_at" in terms else 0)
    _forge(world, request, "bob", age=age, reason=reason)
    assert world.decide({**REQUESTED, "requested": False})
    decision = world.decide(REQUESTED)
    assert [reason.code for reason in decision.reasons] == ["approvals-missing"]
    assert words in str(decision.reasons)
    assert world.decide({**REQUESTED, "count": 1})  # alice's counts


def test_a_request_that_cannot_be_read_asks_for_nothing(world: World) -> None:
    good = json.loads(approval_request_statement(world.model, PEOPLE, world.ago(1)).payload)
    good["predicate"]["quorum"] = 0
    request = world.put(Statement.parse(json.dumps(good).encode()), "asker")
    for who in ("alice", "bob"):
        _forge(world, request, who)
    assert not world.decide(REQUESTED)
