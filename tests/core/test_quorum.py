"""Thresholds: a role can ask for several different signers that say the same."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_mlsecops.core.policy import quorum
from airflow_mlsecops.core.predicates import vsa
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.verification import verify_release, verify_signature
from tests.support.evidence import RUN, MemoryBackend, World, policy, trust

TEAM = {
    "a": ["control", "sign", "gate", "provenance", "approve"],
    "b": ["control:scan", "sign", "gate", "provenance", "approve"],
    "c": ["control", "sign", "gate", "provenance", "approve"],
}
SCAN: dict[str, Any] = {"evidence": "test-result", "of": "model", "control": "scan", "verdicts": ["pass", "warn"]}


def _world(**thresholds: int) -> World:
    return World(backend=MemoryBackend(), trust=trust(TEAM, {"thresholds": thresholds}))


def _scan(world: World, signer: str, verdict: Verdict = Verdict.PASS, age: float = 1) -> None:
    world.control(world.model, control="scan", signer=signer, verdict=verdict, age=age)


def _codes(world: World, *rules: Any) -> list[str]:
    return [reason.code for reason in world.decide(*rules).reasons]


def test_one_signer_twice_is_one() -> None:
    world = _world(control=2)
    _scan(world, "a", age=1)
    _scan(world, "a", age=2)
    assert _codes(world, SCAN) == ["signers-missing"]
    _scan(world, "b", age=3)
    assert world.decide(SCAN)
    assert len(world.decide(SCAN).evidence) == 2


def test_the_threshold_of_one_control_adds_to_that_of_all() -> None:
    world = World(backend=MemoryBackend(), trust=trust(TEAM, {"thresholds": {"control": 1, "control:scan": 3}}))
    for signer, expected in (("a", False), ("b", False), ("c", True)):
        _scan(world, signer)
        assert bool(world.decide(SCAN)) is expected
    world.control(world.model, control="other", signer="a")
    assert world.decide({**SCAN, "control": "other"})


def test_they_have_to_say_the_same() -> None:
    world = _world(control=2)
    _scan(world, "a", Verdict.PASS)
    _scan(world, "b", Verdict.WARN)
    assert _codes(world, SCAN) == ["signers-missing"]
    _scan(world, "c", Verdict.WARN)
    assert world.decide(SCAN)


def test_one_signer_is_enough_against_it() -> None:
    world = _world(control=2)
    _scan(world, "a", age=3)
    _scan(world, "b", age=3)
    assert world.decide(SCAN)
    _scan(world, "c", Verdict.FAIL, age=2)
    assert _codes(world, SCAN) == ["verdict"]
    _scan(world, "a", age=1)  # what b said is older than what c said
    assert _codes(world, SCAN) == ["signers-missing"]
    _scan(world, "b", age=1)
    assert world.decide(SCAN)


def test_what_is_too_old_is_not_counted_along() -> None:
    world = _world(control=2)
    _scan(world, "a", age=1)
    _scan(world, "b", age=30)
    assert world.decide(SCAN)
    assert _codes(world, {**SCAN, "max_age": "24h"}) == ["signers-missing"]


def test_signatures_provenance_and_approvals() -> None:
    world = _world(sign=2, provenance=2, approve=2)
    rules = [{"evidence": each, "of": "model"} for each in ("signature", "provenance", "approval")]
    world.sign(signer="a")
    world.provenance(signer="a")
    world.approve("alice", signer="a")
    assert _codes(world, *rules) == ["signers-missing"] * 3
    assert not verify_signature(world.model, world.store, world.trust, world.now)
    world.provenance(inputs=[], signer="b")  # another story
    assert _codes(world, rules[1]) == ["signers-missing"]

    world.sign(signer="b")
    world.provenance(signer="c")
    world.approve("bob", signer="b")
    assert world.decide(*rules)
    assert verify_signature(world.model, world.store, world.trust, world.now)


def _release(world: World, signer: str, passed: bool = True, age: float = 0.5) -> None:
    rules = policy(SCAN)
    statement = vsa.build(
        world.model,
        passed=passed,
        verified_at=world.ago(age),
        policy_name=rules.name,
        policy_digest=rules.digest,
        trust_digest=world.trust.digest,
        evidence=world.decide(SCAN).evidence,
        reasons=[],
        run=RUN,
    )
    world.put(statement, signer)


def test_releases() -> None:
    world = _world(gate=2)
    _scan(world, "a")

    def codes() -> set[str]:
        answer = verify_release(world.model, world.store, world.trust, policy(SCAN), world.now)
        return {reason.code for reason in answer.decision.reasons}

    _release(world, "a", age=0.6)
    _release(world, "a", age=0.5)
    assert codes() == {"signers-missing"}
    _release(world, "b", age=0.7)
    assert codes() == set()
    _release(world, "c", passed=False, age=0.55)
    assert codes() == {"signers-missing"}
    _release(world, "c", passed=False, age=0.1)
    assert codes() == {"gate-said-no"}


@pytest.mark.parametrize(
    "signer, signed_with, expected", [("a", "k1", 1), ("b", "k1", 1), ("a", "k2", 1), ("b", "k2", 2)]
)
def test_signers_differ_by_name_and_by_key(signer: str, signed_with: str, expected: int) -> None:
    from dataclasses import replace

    world = _world(control=1)
    _scan(world, "a")
    (item,) = world.dossier().verified
    one, two = (replace(item, signer=name, signed_with=used) for name, used in (("a", "k1"), (signer, signed_with)))
    assert quorum.signers([one, two]) == expected
