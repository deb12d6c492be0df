"""Revocation of an artifact, a statement, a key, by statement and by trust policy. It never makes a YES."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.bundle import Bundle
from airflow_mlsecops.core.errors import RevokedError, StatementError, TrustError
from airflow_mlsecops.core.evidence import verify_bundle
from airflow_mlsecops.core.predicates import REVOCATION
from airflow_mlsecops.core.predicates.revocation import Cause, identity_digest, voids
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.revoking import revoke
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.verification import verify_release, verify_signature
from tests.support.evidence import (
    NOW,
    ROLES,
    MemoryBackend,
    World,
    artifact,
    bundle,
    key,
    policy,
    revocation_statement,
    trust,
)

BEFORE, AT, AFTER = (NOW - timedelta(hours=hours) for hours in (2, 1, 0.5))
SIGNATURE = {"evidence": "signature", "of": "model"}
SCAN = {"evidence": "test-result", "of": "model", "control": "scan", "verdicts": ["pass", "warn"]}


@pytest.mark.parametrize(
    "cause, since, trusted, now, falls",
    [
        ("superseded", AT, BEFORE, NOW, False),
        ("superseded", AT, AT, NOW, True),
        ("superseded", AT, AFTER, NOW, True),
        ("superseded", AT, None, NOW, True),
        ("superseded", AT, None, BEFORE, False),  # not yet: whenever it was signed, that was before
        ("retired", AT, BEFORE, NOW, False),
        ("retired", AT, AFTER, NOW, True),
        ("retired", AT, None, NOW, True),
        ("compromised", AT, BEFORE, NOW, False),
        ("compromised", AT, AT, NOW, True),
        ("compromised", AT, AFTER, NOW, True),
        ("compromised", AT, None, NOW, True),
        ("compromised", AT, None, BEFORE, True),
        ("compromised", None, BEFORE, NOW, True),
        ("untrusted", AT, BEFORE, NOW, True),
        ("untrusted", None, None, BEFORE, True),
    ],
)
def test_what_falls_with_its_key(
    cause: str, since: datetime | None, trusted: datetime | None, now: datetime, falls: bool
) -> None:
    assert voids(Cause(cause), since, trusted, now) is falls


def test_a_trust_policy_withdraws_a_key_and_says_why() -> None:
    rule = {"signer": "pipeline", "cause": "compromised", "since": "2026-01-01T00:00:00Z", "reason": "laptop stolen"}
    for whom in ({"signer": "pipeline"}, {"key": key("pipeline").public_key.hint}):
        fields = {name: value for name, value in rule.items() if name != "signer"} | whom
        with pytest.raises(RevokedError, match="laptop stolen"):
            verify_bundle(bundle(), trust(sections={"revoked": [fields]}), NOW)


def test_a_key_that_retires_later_still_counts_without_a_trusted_time() -> None:
    rule = {"signer": "pipeline", "cause": "retired", "since": "2026-06-01T00:00:00Z"}
    assert verify_bundle(bundle(), trust(sections={"revoked": [rule]}), NOW).signer == "pipeline"
    with pytest.raises(RevokedError):
        verify_bundle(bundle(), trust(sections={"revoked": [rule]}), NOW + timedelta(days=365))


def _released() -> tuple[World, Any]:
    world = World(backend=MemoryBackend())
    rules = policy(SIGNATURE, SCAN)
    world.sign()
    world.control(world.model, control="scan")
    world.release(rules)
    assert verify_release(world.model, world.store, world.trust, rules, world.now)
    return world, rules


def _codes(world: World, rules: Any) -> tuple[set[str], str]:
    answers = [
        verify_release(world.model, world.store, world.trust, rules, world.now),
        verify_signature(world.model, world.store, world.trust, world.now),
    ]
    assert not any(answers)
    reasons = [reason for answer in answers for reason in answer.decision.reasons]
    return {reason.code for reason in reasons}, " ".join(reason.text for reason in reasons)


def test_a_revoked_artifact_is_refused_everywhere_with_the_reason() -> None:
    world, rules = _released()
    world.revoke(world.model.digest)

    codes, text = _codes(world, rules)
    assert "artifact-revoked" in codes
    assert "it leaked" in text and "carol" in text
    assert not world.decide(SIGNATURE)
    as_dataset = artifact("model", Kind.DATASET)  # the same bytes
    world.sign(as_dataset)
    assert not verify_signature(as_dataset, world.store, world.trust, world.now)


def test_a_revoked_data_set_takes_the_model_with_it() -> None:
    world = World(backend=MemoryBackend())
    world.provenance()
    rule = {"evidence": "provenance", "of": "model"}
    assert world.decide(rule)
    world.revoke(world.dataset.digest)
    assert [reason.code for reason in world.decide(rule).reasons] == ["artifact-revoked"]


def test_a_revoked_statement_no_longer_counts_and_the_reason_is_told() -> None:
    world, rules = _released()
    (signed,) = world.dossier().sets[world.model.digest].of("signature")
    world.revoke(signed.digest, target="evidence")

    _, text = _codes(world, rules)
    assert "it leaked" in text
    world.sign(age=0)  # signing again mends it; the old release, which read the old one, stays withdrawn
    assert verify_signature(world.model, world.store, world.trust, world.now)
    assert not verify_release(world.model, world.store, world.trust, rules, world.now)


@pytest.mark.parametrize("cause", ["compromised", "untrusted", "retired"])
def test_a_revoked_key_takes_what_it_signed_with_it(cause: str) -> None:
    world, rules = _released()
    world.revoke(key("pipeline").public_key.hint, target="key", cause=cause)
    _, text = _codes(world, rules)
    assert "signer pipeline" in text


@pytest.mark.parametrize("signer", ["pipeline", "gate", "stranger"])
def test_a_revocation_by_somebody_without_the_role_is_listed_and_changes_nothing(signer: str) -> None:
    world, rules = _released()
    world.revoke(world.model.digest, signer=signer)

    assert verify_release(world.model, world.store, world.trust, rules, world.now)
    refused = world.dossier().sets[world.model.digest].refused
    assert [(item.code, "/revocation/" in item.key) for item in refused] == [("trust", True)]


@pytest.mark.parametrize("of", ["artifact", "evidence", "key"])
def test_a_broken_object_where_a_revocation_would_lie_is_a_no(of: str) -> None:
    world, rules = _released()
    assert isinstance(world.backend, MemoryBackend)
    (signed,) = world.dossier().sets[world.model.digest].of("signature")
    place = {"artifact": world.model.digest, "evidence": signed.digest, "key": signed.signed_with}[of]
    world.backend.objects[f"bundles/{place}/revocation/{'0' * 64}.sigstore.json"] = b"{}"
    codes, _ = _codes(world, rules)
    assert "evidence-broken" in codes


def test_a_revocation_that_says_nothing_is_a_no() -> None:
    world, rules = _released()
    empty = Statement.parse(
        revocation_statement(world.model.digest).payload.replace(b'"reason":"it leaked"', b'"reasons":"it leaked"')
    )
    world.put(empty, "revoker")
    assert "artifact-revoked" in _codes(world, rules)[0]


def test_what_speaks_against_still_counts_when_it_is_revoked() -> None:
    world = World(backend=MemoryBackend())
    world.control(world.model, control="scan", age=3)
    failed = world.control(world.model, control="scan", verdict=Verdict.FAIL, age=2)
    world.approve("alice", age=3)
    rejected = world.approve("alice", decision="rejected", age=2)
    approval = {"evidence": "approval", "of": "model"}
    assert not world.decide(SCAN) and not world.decide(approval)

    for digest in (failed, rejected):
        world.revoke(digest, target="evidence")
    assert [reason.code for reason in world.decide(SCAN).reasons] == ["verdict"]
    assert [reason.code for reason in world.decide(approval).reasons] == ["rejected"]
    world.control(world.model, control="scan", age=1)
    assert world.decide(SCAN)


def test_a_refused_release_stays_refused_when_the_refusal_is_revoked() -> None:
    world, rules = _released()
    refusal = world.release(rules, passed=False)
    assert not verify_release(world.model, world.store, world.trust, rules, world.now)
    world.revoke(refusal, target="evidence")
    answer = verify_release(world.model, world.store, world.trust, rules, world.now)
    assert "gate-said-no" in {reason.code for reason in answer.decision.reasons}


def test_revoked_provenance_still_names_its_data_sets() -> None:
    world = World(backend=MemoryBackend())
    world.provenance()
    bad = artifact("bad", Kind.DATASET)
    digest = world.provenance(inputs=[bad])
    world.control()
    rule = {"evidence": "test-result", "of": "datasets", "control": "data-validation"}
    assert not world.decide(rule)
    world.revoke(digest, target="evidence")
    assert not world.decide(rule)


def test_a_revocation_can_not_be_revoked() -> None:
    world, rules = _released()
    digest = world.revoke(world.model.digest)
    world.revoke(digest, target="evidence")
    world.revoke(key("revoker").public_key.hint, target="key", cause="untrusted")
    assert "artifact-revoked" in _codes(world, rules)[0]


@pytest.mark.parametrize("limit", [{"not_after": "2026-02-01T00:00:00Z"}, {"not_before": "2026-12-01T00:00:00Z"}])
def test_a_revocation_does_not_lapse_with_its_signers_key(limit: dict[str, str]) -> None:
    world, rules = _released()
    world.revoke(world.model.digest)
    revoked = {"revoked": [{"signer": "revoker", "cause": "compromised"}]}
    world.trust = trust(ROLES, revoked, revoker=limit)
    assert "artifact-revoked" in _codes(world, rules)[0]


def test_what_would_not_count_is_not_put() -> None:
    world = World(backend=MemoryBackend())
    statement = revocation_statement(world.model.digest)
    with pytest.raises(TrustError):
        revoke(statement, key("pipeline"), world.store, world.trust, NOW)
    ahead = revocation_statement(world.model.digest, since=NOW + timedelta(days=1))
    with pytest.raises(StatementError, match="ahead"):
        revoke(ahead, key("revoker"), world.store, world.trust, NOW)
    assert world.store.find(world.model.digest) == []

    assert revoke(statement, key("revoker"), world.store, world.trust, NOW).slug == REVOCATION.slug
    (found,) = world.store.find(world.model.digest, REVOCATION.slug)
    assert isinstance(found.bundle, Bundle)


def test_an_identity_has_one_digest_which_binds_both_halves() -> None:
    digests = {identity_digest("a", "bc"), identity_digest("ab", "c"), identity_digest("bc", "a")}
    assert len(digests) == 3
    import hashlib

    assert identity_digest("a", "b") == hashlib.sha256(b'{"identity":"a","issuer":"b"}').hexdigest()
