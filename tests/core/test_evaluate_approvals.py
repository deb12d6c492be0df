"""Approvals: different people, rejections, expiry."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.policy import Decision, evaluate
from airflow_mlsecops.core.predicates import APPROVAL
from airflow_mlsecops.core.statement import Statement
from tests.support.evidence import World, bundle, policy, trust

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def ask(count: int = 1, **fields: Any) -> dict[str, Any]:
    return {"evidence": "approval", "of": "model", "count": count, **fields}


def codes(decision: Decision) -> list[str]:
    return [reason.code for reason in decision.reasons]


def test_different_people_are_counted() -> None:
    world = World()
    world.approve("alice")
    assert world.decide(ask(1))
    assert codes(world.decide(ask(2))) == ["approvals-missing"]

    world.approve("bob")
    assert world.decide(ask(2))
    assert codes(world.decide(ask(3))) == ["approvals-missing"]


def test_one_person_counts_once_however_often_and_through_whom_they_approve() -> None:
    world = World(trust=trust({"approvals": ["approve"], "gate": ["approve"]}))
    world.approve("alice", age=3)
    world.approve("alice", age=2)
    world.approve("alice", age=2, signer="gate")

    assert codes(world.decide(ask(2))) == ["approvals-missing"]


def test_one_approval_under_two_signatures_counts_once() -> None:
    """Anyone can turn an ECDSA signature (r, s) into (r, n - s), which verifies too: a second bundle of one person."""
    world = World()
    world.approve("alice")
    (found,) = world.store.find(world.model.digest)
    assert found.bundle is not None
    r, s = decode_dss_signature(found.bundle.signature)
    twin = Bundle.build(found.bundle.statement, encode_dss_signature(r, P256_ORDER - s), found.bundle.key_hint)
    world.store.put(twin)

    assert len(world.dossier().verified) == 2
    assert codes(world.decide(ask(2))) == ["approvals-missing"]


def test_a_rejection_is_a_no_however_many_approve() -> None:
    world = World()
    for name in ("alice", "bob", "carol"):
        world.approve(name)
    world.approve("dave", decision="rejected", age=100)

    assert codes(world.decide(ask(1))) == ["rejected"]
    assert "dave" in world.decide(ask(1)).reasons[0].text


def test_a_persons_newest_answer_counts() -> None:
    world = World()
    world.approve("alice", decision="rejected", age=3)
    world.approve("alice", age=2)
    assert world.decide(ask())

    world.approve("alice", decision="rejected", age=1)
    assert codes(world.decide(ask())) == ["rejected"]


@pytest.mark.parametrize("order", [("approved", "rejected"), ("rejected", "approved")])
def test_of_two_answers_at_one_moment_the_rejection_counts(order: tuple[str, str]) -> None:
    world = World()
    for decision in order:
        world.approve("alice", decision=decision)

    assert codes(world.decide(ask())) == ["rejected"]


def test_an_approval_counts_until_it_expires() -> None:
    world = World()
    world.approve("alice", age=5, expires_in=0)
    assert world.decide(ask())

    world.approve("bob", age=5, expires_in=-0.001)
    assert codes(world.decide(ask(2))) == ["approvals-missing"]


def test_an_expired_approval_does_not_bring_back_an_older_one() -> None:
    world = World()
    world.approve("alice", age=5)
    world.approve("alice", age=4, expires_in=-1)

    assert codes(world.decide(ask())) == ["approvals-missing"]


def test_a_rejection_that_expired_is_still_a_rejection() -> None:
    world = World()
    world.approve("alice", decision="rejected", age=5, expires_in=-1)
    world.approve("bob")

    assert codes(world.decide(ask())) == ["rejected"]


def test_an_old_approval_counts_for_nothing_but_undoes_no_fresh_ones() -> None:
    world = World()
    world.approve("alice", age=30)
    assert codes(world.decide(ask(max_age="24h"))) == ["evidence-stale"]

    world.approve("bob")
    assert world.decide(ask(max_age="24h"))
    assert codes(world.decide(ask(2, max_age="24h"))) == ["evidence-stale"]
    world.approve("carol")
    assert world.decide(ask(2, max_age="24h"))


def test_an_approval_from_the_future_is_a_no() -> None:
    world = World()
    world.approve("alice", age=-1)
    world.approve("bob")

    assert codes(world.decide(ask())) == ["evidence-from-the-future"]


def test_expiry_is_judged_at_the_moment_of_the_decision() -> None:
    world = World()
    world.approve("alice", age=10, expires_in=-5)

    assert evaluate(policy(ask()), world.dossier(), world.now, decided_at=world.ago(6))
    assert not evaluate(policy(ask()), world.dossier(), world.now)


@pytest.mark.parametrize(
    "change",
    [
        {"decision": "APPROVED"},
        {"decision": ""},
        {"approver": {"id": "1", "name": ""}},
        {"approver": {"id": "1"}},
        {"approver": None},
        {"assurance": "certain"},
        {"decidedAt": "today"},
        {"expiresAt": None},
        {"expiresAt": "never"},
        {"request": {}},
        {"evidence": None},
        {"reason": None},
    ],
)
def test_an_approval_that_cannot_be_read_is_a_no(change: dict[str, Any]) -> None:
    world = World()
    world.approve("alice")
    (found,) = world.store.find(world.model.digest)
    assert found.bundle is not None
    predicate = {**json.loads(found.bundle.statement.payload)["predicate"], **change}
    world.store.put(bundle(Statement.build([world.model], APPROVAL.uri, predicate), "approvals"))

    assert codes(world.decide(ask())) == ["malformed-statement"]
