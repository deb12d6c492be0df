"""Evidence held against the log: what isn't logged doesn't count, what was removed is missed, an old log is noticed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_mlsecops.core.log import Checkpoint, Entry
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.trust_document import trust_document
from airflow_mlsecops.core.verification import verify_release, verify_signature
from tests.support.evidence import ROLES, World, key, policy, trust
from tests.support.logs import ORIGIN, MemoryLogBackend, log_key, log_trust, made_log

SIGNED = {"evidence": "signature", "of": "model"}
SCANNED = {"evidence": "test-result", "of": "model", "control": "scan"}
CHECKED = {"evidence": "test-result", "of": "datasets", "control": "data-validation"}
RULES = policy(SIGNED, SCANNED, CHECKED, {"evidence": "provenance", "of": "model"})


def _trust(required: bool | None = None, name: str = "log") -> TrustPolicy:
    log: dict[str, Any] = {"origin": ORIGIN, "keys": [log_key(name).public_key.pem]}
    return trust(ROLES, {"log": log | ({} if required is None else {"required": required})})


def _world() -> World:
    """Everything that :data:`RULES` ask for, not yet logged."""
    world = World(backend=MemoryLogBackend(), trust=_trust())
    world.provenance()
    world.control()
    world.control(world.model, control="scan")
    world.sign()
    return world


def _objects(world: World) -> dict[str, bytes]:
    assert isinstance(world.backend, MemoryLogBackend)
    return world.backend.objects


def _log(world: World, *, but: str = "", backwards: bool = False) -> Checkpoint:
    """A log of everything that lies in the store now, but for what has this in its key."""
    entries: list[bytes] = []
    for place in sorted(_objects(world), reverse=backwards):
        if place.startswith("bundles/") and not (but and but in place):
            found = world.store.get(place.rsplit("/", 1)[1].removesuffix(".sigstore.json"))
            assert found.bundle is not None
            entries.append(Entry.of(found.bundle).encode())
    for place in [place for place in _objects(world) if place.startswith("log/")]:
        del _objects(world)[place]
    assert isinstance(world.backend, MemoryLogBackend)
    return made_log(list(dict.fromkeys(entries)), world.backend)[1]


def _released() -> World:
    world = _world()
    _log(world)
    world.release(RULES)
    _log(world)
    assert verify_release(world.model, world.store, world.trust, RULES, world.now)
    return world


def _codes(world: World, since: bytes = b"") -> set[str]:
    answers = [
        verify_release(world.model, world.store, world.trust, RULES, world.now, since=since),
        verify_signature(world.model, world.store, world.trust, world.now, since=since),
    ]
    return {reason.code for answer in answers for reason in answer.decision.reasons}


def test_what_is_logged_counts_and_its_place_is_told() -> None:
    world = _released()
    dossier = world.dossier()
    places = [item.place for item in dossier.verified]
    assert sorted(place for place in places if place is not None) == list(range(5))
    assert dossier.checkpoint == _objects(world)["log/checkpoint"]


def test_without_a_log_nothing_counts() -> None:
    world = _world()
    assert not world.decide(SIGNED)
    assert {item.code for item in world.dossier().sets[world.model.digest].refused} == {"not-logged"}
    world.trust = _trust(required=False)
    assert world.decide(SIGNED)


@pytest.mark.parametrize("slug", ["signature", "test-result", "provenance"])
def test_what_is_not_logged_does_not_count(slug: str) -> None:
    world = _world()
    _log(world, but=f"/{slug}/")
    decision = world.decide({"evidence": slug, "of": "model", **({"control": "scan"} if slug == "test-result" else {})})
    assert not decision
    assert "isn't in the evidence log" in str(decision.reasons)


@pytest.mark.parametrize("slug", ["signature", "test-result", "provenance", "verification-summary"])
def test_what_the_log_names_and_the_store_lacks_is_missed(slug: str) -> None:
    world = _released()
    (place,) = [item for item in _objects(world) if f"{world.model.digest}/{slug}/" in item]
    del _objects(world)[place]
    assert "evidence-withheld" in _codes(world)
    world.trust = _trust(required=False)
    assert "evidence-withheld" in _codes(world)


def test_a_verdict_that_was_removed_does_not_let_an_older_one_count_again() -> None:
    world = _world()
    failed = world.control(world.model, control="scan", verdict=Verdict.FAIL, age=0.5)
    _log(world)
    assert [reason.code for reason in world.decide(SCANNED).reasons] == ["verdict"]
    for place in [place for place in _objects(world) if failed in place]:
        del _objects(world)[place]
    assert [reason.code for reason in world.decide(SCANNED).reasons] == ["evidence-withheld"]


def test_a_verdict_against_counts_before_it_is_logged() -> None:
    world = _released()
    world.control(world.model, control="scan", verdict=Verdict.FAIL, age=0.5)
    assert [reason.code for reason in world.decide(SCANNED).reasons] == ["verdict"]


@pytest.mark.parametrize("of", ["artifact", "evidence", "key"])
def test_a_revocation_that_was_removed_is_missed_and_one_that_is_not_logged_counts(of: str) -> None:
    world = _released()
    (signed,) = world.dossier().sets[world.model.digest].of("signature")
    digest = {"artifact": world.model.digest, "evidence": signed.digest, "key": key("pipeline").public_key.hint}[of]
    world.revoke(digest, target=of)
    assert _codes(world) & {"artifact-revoked", "revoked"}
    _log(world)
    assert _codes(world) & {"artifact-revoked", "revoked"}
    for place in [place for place in _objects(world) if "/revocation/" in place]:
        del _objects(world)[place]
    assert "evidence-withheld" in _codes(world)


def test_evidence_of_a_data_set_is_held_against_the_log_too() -> None:
    world = _released()
    (place,) = [item for item in _objects(world) if f"{world.dataset.digest}/test-result/" in item]
    del _objects(world)[place]
    assert "evidence-withheld" in _codes(world)


def test_a_log_by_another_key_or_of_another_name_is_a_no() -> None:
    world = _released()
    world.trust = _trust(name="other")
    assert "log-signature" in _codes(world)
    log = {"origin": "example.com/other", "keys": [log_key().public_key.pem]}
    world.trust = trust(ROLES, {"log": log})
    assert "log-signature" in _codes(world)


def test_a_log_that_was_changed_is_a_no() -> None:
    world = _released()
    for place in [place for place in _objects(world) if place.startswith("log/tile/entries/")]:
        _objects(world)[place] = _objects(world)[place].replace(b"signature", b"signaturf")
    assert _codes(world) & {"log-broken", "log-entry"}


def test_a_log_that_is_rolled_back_or_gone_is_noticed_by_whoever_remembers_it() -> None:
    world = _released()
    old = dict(_objects(world))
    world.approve()
    newer = _log(world).raw
    assert _codes(world, since=newer) == set()
    _log(world, backwards=True)  # as long as before, in another order: a fork
    assert "log-proof" in _codes(world, since=newer)

    _objects(world).clear()
    _objects(world).update(old)
    assert _codes(world) == set()
    assert "log-proof" in _codes(world, since=newer)
    for place in [place for place in _objects(world) if place.startswith("log/")]:
        del _objects(world)[place]
    assert "log-proof" in _codes(world, since=newer)


def test_a_log_that_grew_is_a_continuation() -> None:
    from airflow_mlsecops.core.log import EvidenceLog

    world = _released()
    log = EvidenceLog(world.backend, log_trust(), log_key(), admit=lambda _: True)
    since = _objects(world)["log/checkpoint"]
    found = world.store.get(world.approve())
    assert found.bundle is not None
    log.append([Entry.of(found.bundle).encode()])
    assert _codes(world, since=since) == set()
    assert world.dossier().checkpoint != since


def test_a_remembered_checkpoint_that_is_none_is_a_no() -> None:
    assert "log-signature" in _codes(_released(), since=b"nothing")


def test_the_log_is_read_once_for_all_subjects() -> None:
    world = _released()
    assert isinstance(world.backend, MemoryLogBackend)
    world.backend.reads.clear()
    world.dossier()
    entries = [place for place in world.backend.reads if place.startswith("log/tile/entries/")]
    assert len(entries) == len(set(entries)) == 1


def test_a_trust_policy_that_is_written_names_the_log() -> None:
    public, log = key("pipeline").public_key, log_trust("log", "older")
    written = TrustPolicy.from_bytes(trust_document("pipeline", public, ["sign"], log=log).encode())
    assert written.log is not None
    assert (written.log.trust, written.log.required) == (log, True)
    assert TrustPolicy.from_bytes(trust_document("pipeline", public, ["sign"]).encode()).log is None
