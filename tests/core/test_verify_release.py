"""Verifying a released model against evidence and policy: after any change of either the answer is NO."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.errors import StoreUnavailableError
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.predicates import VERIFICATION_SUMMARY
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store.local import LocalBackend
from airflow_mlsecops.core.verification import Verification, verify_release
from tests.support.evidence import World, trust

POLICY = b"""
version: 1
name: production
valid_for: 30d
require:
  - {evidence: test-result, control: data-validation, of: datasets, max_age: 7d}
  - {evidence: provenance, of: model}
  - {evidence: signature, of: model, signed_by: [pipeline]}
  - {evidence: approval, of: model}
"""
RULES = ReleasePolicy.from_bytes(POLICY)


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "model.pkl").write_bytes(b"weights " * 100)
    (tmp_path / "data.csv").write_bytes(b"a,b\n1,2\n")
    world = World(
        backend=LocalBackend(tmp_path / "evidence"),
        model=pin(str(tmp_path / "model.pkl"), kind=Kind.MODEL).artifact,
        dataset=pin(str(tmp_path / "data.csv")).artifact,
    )
    world.control(age=30)
    world.provenance(age=28)
    world.sign(age=27)
    world.approve("alice", age=26)
    world.release(RULES, age=25)
    return world


def _verify(world: World, rules: ReleasePolicy = RULES, later: timedelta = timedelta(0)) -> Verification:
    artifact = pin(world.model.uri, kind=Kind.MODEL).artifact
    return verify_release(artifact, world.store, world.trust, rules, world.now + later)


def _codes(verification: Verification) -> set[str]:
    assert not verification
    return {reason.code for reason in verification.decision.reasons}


def _evidence(world: World) -> list[Path]:
    backend = world.backend
    assert isinstance(backend, LocalBackend)
    return sorted(backend._root.rglob("*.sigstore.json"))


def test_a_released_model_is_accepted(world: World) -> None:
    verification = _verify(world)

    assert verification, verification.decision.reasons
    assert verification.signers == ("approvals", "gate", "pipeline")
    assert any("released at" in line for line in verification.decision.satisfied)


def test_a_release_under_a_policy_that_the_trust_policy_does_not_name_is_none(world: World) -> None:
    world.trust = trust(sections={"release_policies": ["0" * 64, RULES.digest]})
    assert _verify(world)
    world.trust = trust(sections={"release_policies": ["0" * 64]})
    assert _codes(_verify(world)) == {"policy-not-trusted"}


def test_ages_are_counted_from_the_release_so_that_use_does_not_make_it_stale(world: World) -> None:
    assert _verify(world, later=timedelta(days=20))  # the validation of seven days was fresh when it was released


def test_a_release_expires(world: World) -> None:
    assert _verify(world, later=timedelta(days=30, hours=-25))
    assert _codes(_verify(world, later=timedelta(days=30, hours=-25, seconds=1))) == {"release-expired"}


def test_one_changed_byte_of_the_model_is_a_no(world: World, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"Weights " + b"weights " * 99)

    assert _codes(_verify(world)) == {"not-released"}


@pytest.mark.parametrize("number", range(5))
def test_one_changed_byte_of_any_evidence_is_a_no(world: World, number: int) -> None:
    path = _evidence(world)[number]
    raw = bytearray(path.read_bytes())
    raw[-10] ^= 1
    path.chmod(0o644)
    path.write_bytes(raw)

    assert "evidence-broken" in _codes(_verify(world))


@pytest.mark.parametrize("number", range(5))
def test_any_deleted_evidence_is_a_no(world: World, number: int) -> None:
    assert len(_evidence(world)) == 5
    _evidence(world)[number].unlink()

    assert _codes(_verify(world)) & {"evidence-missing", "not-released"}


@pytest.mark.parametrize("number", range(5))
def test_evidence_replaced_by_good_evidence_that_the_gate_never_saw_is_a_no(world: World, number: int) -> None:
    path = _evidence(world)[number]
    slug = path.parent.name
    path.unlink()
    again: dict[str, Callable[[], object]] = {
        "test-result": world.control,
        "provenance": world.provenance,
        "signature": world.sign,
        "approval": lambda: world.approve("bob"),
        "verification-summary": lambda: None,
    }
    again[slug]()

    assert _codes(_verify(world)) == ({"not-released"} if slug == "verification-summary" else {"evidence-missing"})


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"7d", b"8d"),
        lambda data: data.replace(b"production", b"Production"),
        lambda data: data + b"# a comment\n",
        lambda data: data + b"\n",
        lambda data: data.replace(b"version: 1", b"version:  1"),
        lambda data: data.replace(b"valid_for: 30d\n", b""),
    ],
)
def test_one_changed_byte_of_the_policy_is_a_no(world: World, change: Callable[[bytes], bytes]) -> None:
    changed = change(POLICY)
    assert changed != POLICY

    verification = _verify(world, ReleasePolicy.from_bytes(changed))

    assert _codes(verification) == {"not-released"}
    assert "another policy" in verification.decision.reasons[0].text


@pytest.mark.parametrize(
    "signers, codes",
    [
        ({"pipeline": ["control", "provenance"]}, {"evidence-missing"}),
        ({"pipeline": ["control", "sign"]}, {"evidence-missing", "no-dataset"}),
        ({"pipeline": ["provenance", "sign"]}, {"evidence-missing"}),
        ({"pipeline": ["provenance", "sign", "control:label-poisoning"]}, {"evidence-missing"}),
        ({"approvals": ["gate"]}, {"evidence-missing"}),
        ({"gate": ["approve"]}, {"not-released"}),
        ({"gate": None}, {"not-released"}),
        ({"approvals": None}, {"evidence-missing"}),
    ],
)
def test_a_trust_policy_in_which_a_signer_lost_its_role_is_a_no(
    world: World, signers: dict[str, Any], codes: set[str]
) -> None:
    roles = {"pipeline": ["control", "provenance", "sign"], "approvals": ["approve"], "gate": ["gate"], **signers}
    world.trust = trust({name: given for name, given in roles.items() if given})

    assert _codes(_verify(world)) == codes


def test_a_key_that_expired_since_the_release_is_a_no(world: World) -> None:
    world.trust = trust(approvals={"not_after": to_text(world.ago(1))})

    assert _codes(_verify(world)) == {"evidence-missing"}


@pytest.mark.parametrize("signer", ["pipeline", "approvals", "stranger"])
def test_a_summary_by_a_key_without_the_role_is_none(world: World, signer: str) -> None:
    for path in _evidence(world):
        if path.parent.name == "verification-summary":
            path.unlink()
    world.release(RULES, signer=signer)

    assert _codes(_verify(world)) == {"not-released"}


def test_the_newest_summary_counts(world: World) -> None:
    world.release(RULES, age=10, passed=False)
    assert _codes(_verify(world)) == {"gate-said-no"}

    world.release(RULES, age=5)
    assert _verify(world)


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_of_two_summaries_of_one_moment_the_no_counts(world: World, order: tuple[bool, bool]) -> None:
    for passed in order:
        world.release(RULES, age=10, passed=passed)

    assert _codes(_verify(world)) == {"gate-said-no"}


def test_a_no_under_another_policy_does_not_matter(world: World) -> None:
    stricter = ReleasePolicy.from_bytes(POLICY.rstrip()[:-1] + b", count: 2}\n")
    world.release(stricter, age=1)

    assert _verify(world)
    assert "gate-said-no" in _codes(_verify(world, stricter))


def test_a_summary_from_the_future_is_a_no_because_it_would_never_expire(world: World) -> None:
    world.release(RULES, age=-24 * 365 * 50)

    assert "evidence-from-the-future" in _codes(_verify(world))


def test_a_gate_that_says_yes_against_its_policy_is_not_believed(world: World) -> None:
    world.control(age=24.5, verdict=Verdict.FAIL)
    world.release(RULES, age=1, passed=True)

    assert _codes(_verify(world)) == {"verdict"}


def test_a_control_that_fails_after_the_release_is_a_no(world: World) -> None:
    world.control(age=1)
    assert _verify(world)  # run again for another model, with the same result: nothing changed

    world.control(age=0.5, verdict=Verdict.FAIL)
    assert _codes(_verify(world)) == {"verdict"}


def test_a_rejection_after_the_release_is_a_no(world: World) -> None:
    world.approve("carol", age=1)
    world.sign(age=1)
    assert _verify(world)

    world.approve("alice", age=0.5, decision="rejected")
    assert _codes(_verify(world)) == {"rejected"}


def test_a_data_set_that_turns_up_later_has_to_hold_too(world: World, tmp_path: Path) -> None:
    (tmp_path / "more.csv").write_bytes(b"a,b\n3,4\n")
    more = pin(str(tmp_path / "more.csv")).artifact
    world.provenance(inputs=[world.dataset, more], age=1)
    assert _codes(_verify(world)) == {"evidence-missing"}

    world.control(more, age=0.5)
    assert _verify(world)


@pytest.mark.parametrize(
    "change",
    [
        {"verificationResult": "YES"},
        {"verificationResult": None},
        {"timeVerified": "0001-01-01T00:00:00+23:59"},
        {"policy": {}},
        {"inputAttestations": None},
        {"inputAttestations": [{"digest": {"sha256": "x"}}]},
    ],
)
def test_a_summary_that_cannot_be_read_is_a_no(world: World, change: dict[str, Any]) -> None:
    assert _verify(world)
    (path,) = (path for path in _evidence(world) if path.parent.name == "verification-summary")
    found = world.store.get(path.name.removesuffix(".sigstore.json")).bundle
    assert found is not None
    world.put(Statement.build([world.model], VERIFICATION_SUMMARY.uri, {**found.statement.predicate, **change}), "gate")

    assert _codes(_verify(world)) == {"malformed-statement"}


def test_a_model_that_no_gate_has_judged_is_a_no(world: World, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(b"another model")

    verification = _verify(world)

    assert _codes(verification) == {"not-released"}
    assert "has judged it" in verification.decision.reasons[0].text


def test_broken_evidence_is_named_also_where_there_is_no_release(world: World) -> None:
    for path in _evidence(world):
        if path.parent.name == "verification-summary":
            path.chmod(0o644)
            path.write_bytes(b"{}")

    assert _codes(_verify(world)) == {"not-released", "evidence-broken"}


def test_a_store_that_is_not_there_is_an_error(world: World, tmp_path: Path) -> None:
    (tmp_path / "evidence").rename(tmp_path / "unmounted")

    with pytest.raises(StoreUnavailableError):
        _verify(world)
