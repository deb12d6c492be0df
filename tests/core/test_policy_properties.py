"""Invariants of a decision: what may turn it to NO, and that nothing untrusted ever turns it to YES."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.errors import TrustError
from airflow_mlsecops.core.log import Entry
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.trust import TrustPolicy
from tests.support.evidence import (
    ROLES,
    MemoryBackend,
    World,
    approval_request_statement,
    approval_statement,
    artifact,
    bundle,
    control_statement,
    provenance_statement,
    trust,
    trust_bytes,
    waiver_statement,
)
from tests.support.logs import ORIGIN, MemoryLogBackend, log_key, made_log

REQUIREMENTS: list[dict[str, Any]] = [
    {"evidence": "test-result", "of": "datasets", "control": "data-validation", "verdicts": ["pass", "warn"]},
    {"evidence": "test-result", "of": "model", "control": "scan", "max_age": "24h"},
    {"evidence": "provenance", "of": "model"},
    {"evidence": "signature", "of": "model", "signed_by": ["pipeline"]},
    {"evidence": "approval", "of": "model", "count": 2},
    {"evidence": "approval", "of": "model", "count": 2, "requested": True},
    {"evidence": "signature", "of": "datasets"},
    {"evidence": "test-result", "of": "model", "id": "fair", "control": "fairness", "waivable": "5d"},
]
RULES = st.lists(st.sampled_from(REQUIREMENTS), min_size=1, unique_by=str)
ONE, TWO = artifact("one", Kind.DATASET), artifact("two", Kind.DATASET)
MODEL = artifact()


def _complete() -> World:
    """A world in which every requirement above is met, each by no more than what it needs."""
    world = World(backend=MemoryBackend(), trust=trust({**ROLES, "asker": ["ask"]}), model=MODEL, dataset=ONE)
    world.provenance(inputs=[ONE, TWO])
    for dataset in (ONE, TWO):
        world.control(dataset)
        world.sign(dataset)
    world.control(MODEL, control="scan")
    world.sign()
    request = world.put(approval_request_statement(MODEL, ["alice", "bob"], world.ago(2)), "asker")
    for person in ("alice", "bob"):
        world.approve(person, request=request)
    world.waive(requirement="fair")
    return world


COMPLETE = _complete()


def _copy(world: World) -> World:
    backend = MemoryBackend()
    assert isinstance(world.backend, MemoryBackend)
    backend.objects.update(world.backend.objects)
    return World(backend=backend, trust=world.trust, model=world.model, dataset=world.dataset)


def _objects(world: World) -> dict[str, bytes]:
    assert isinstance(world.backend, MemoryBackend)
    return world.backend.objects


@given(RULES, st.data())
def test_without_any_one_counted_piece_of_evidence_a_yes_becomes_a_no(
    rules: list[dict[str, Any]], data: st.DataObject
) -> None:
    decision = COMPLETE.decide(*rules)
    assert decision, decision.reasons
    victim = data.draw(st.sampled_from(decision.evidence))

    world = _copy(COMPLETE)
    keys = [key for key in _objects(world) if victim in key]
    assert keys
    for key in keys:
        del _objects(world)[key]

    assert not world.decide(*rules)


@given(RULES, st.data())
def test_any_one_changed_byte_of_any_evidence_about_the_model_is_a_no(
    rules: list[dict[str, Any]], data: st.DataObject
) -> None:
    world = _copy(COMPLETE)
    key = data.draw(st.sampled_from(sorted(key for key in _objects(world) if MODEL.digest in key)))
    raw = bytearray(_objects(world)[key])
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    _objects(world)[key] = bytes(raw)

    assert not world.decide(*rules)


def _statements() -> st.SearchStrategy[Statement]:
    """Statements that would help: about the model or a data set, recent or in the future, saying what is wanted."""
    moments = st.floats(-2, 30).map(COMPLETE.ago)
    subjects = st.sampled_from([MODEL, ONE, TWO])
    return st.one_of(
        st.builds(
            control_statement, subjects, st.sampled_from(["data-validation", "scan"]), st.sampled_from(Verdict), moments
        ),
        st.builds(provenance_statement, subjects, st.lists(st.sampled_from([ONE, TWO])), moments),
        st.builds(
            approval_statement, subjects, st.sampled_from("abcd"), st.sampled_from(["approved", "rejected"]), moments
        ),
        st.builds(approval_request_statement, subjects, st.just(["alice", "bob"]), moments),
        st.builds(waiver_statement, subjects, st.just("fair"), moments, st.just(COMPLETE.ago(-24))),
    )


@settings(max_examples=60)
@given(
    RULES,
    st.sets(st.sampled_from(sorted(_objects(COMPLETE))), min_size=1),
    st.lists(st.tuples(_statements(), st.sampled_from(["stranger", "gate"])), min_size=1, max_size=4),
)
def test_statements_of_unknown_keys_or_without_the_role_never_change_a_decision(
    rules: list[dict[str, Any]], missing: set[str], extra: list[tuple[Statement, str]]
) -> None:
    world = _copy(COMPLETE)
    for key in missing:
        del _objects(world)[key]
    before = world.decide(*rules)

    for statement, signer in extra:
        world.store.put(bundle(statement, signer))

    after = world.decide(*rules)
    assert bool(after) == bool(before)
    assert after.evidence == before.evidence
    assert [reason.code for reason in after.reasons] == [reason.code for reason in before.reasons]


@given(RULES, st.sets(st.sampled_from(sorted(_objects(COMPLETE)))))
def test_a_yes_needs_every_requirement(rules: list[dict[str, Any]], missing: set[str]) -> None:
    """A policy says YES exactly if each of its requirements, asked alone, does."""
    world = _copy(COMPLETE)
    for key in missing:
        del _objects(world)[key]

    assert bool(world.decide(*rules)) is all(world.decide(rule) for rule in rules)


@given(st.lists(st.sampled_from(list(Verdict)), min_size=1, max_size=4), st.randoms())
def test_the_order_in_which_evidence_is_stored_and_read_does_not_matter(verdicts: list[Verdict], random: Any) -> None:
    rule = {"evidence": "test-result", "of": "model", "control": "scan", "verdicts": ["pass", "warn"]}
    # Two moments only, so that there are ties.
    said = [(verdict, random.choice([1.0, 2.0])) for verdict in verdicts]
    answers = []
    for _ in range(3):
        random.shuffle(said)
        world = World(model=MODEL)
        for verdict, age in said:
            world.control(MODEL, control="scan", verdict=verdict, age=age)
        answers.append(bool(world.decide(rule)))

    newest = min(age for _, age in said)
    assert answers == [all(verdict is not Verdict.FAIL for verdict, age in said if age == newest)] * 3


@given(st.sampled_from(sorted(_objects(COMPLETE))), st.sampled_from([[], ["gate"]]))
def test_taking_trust_away_is_never_a_yes_where_there_was_a_no(key: str, roles: list[str]) -> None:
    world = _copy(COMPLETE)
    del _objects(world)[key]
    before = {str(rule): bool(world.decide(rule)) for rule in REQUIREMENTS}

    world.trust = trust({"approvals": ["approve"], **({"pipeline": roles} if roles else {})})

    for rule in REQUIREMENTS:
        assert before[str(rule)] or not world.decide(rule)


# --- revocation, thresholds, the log ----------------------------------------------------------------------------------

TEAM = {
    "pipeline": ["control", "provenance", "sign", "approve"],
    "second": ["control", "provenance", "sign", "approve"],
}
MORE_THAN_ONE = {"thresholds": {"control": 2, "sign": 2}}
TEAM_TRUST = [trust({**TEAM, "revoker": ["revoke"]}), trust({**TEAM, "revoker": ["revoke"]}, MORE_THAN_ONE)]


@st.composite
def _worlds(draw: st.DrawFn) -> World:
    """Some statements by two signers, for and against, under a trust policy that asks for one or two of them."""
    world = World(backend=MemoryBackend(), trust=draw(st.sampled_from(TEAM_TRUST)), model=MODEL, dataset=ONE)
    ages, by = st.sampled_from([1.0, 2.0, 3.0, 30.0]), st.sampled_from(sorted(TEAM))
    for _ in range(draw(st.integers(0, 4))):
        subject = draw(st.sampled_from([(MODEL, "scan"), (ONE, "data-validation"), (TWO, "data-validation")]))
        verdict = draw(st.sampled_from(Verdict))
        world.control(subject[0], control=subject[1], verdict=verdict, age=draw(ages), signer=draw(by))
    for _ in range(draw(st.integers(0, 2))):
        inputs = draw(st.sampled_from([[ONE], [TWO], [ONE, TWO]]))
        world.provenance(inputs=inputs, age=draw(ages), signer=draw(by))
    for _ in range(draw(st.integers(0, 2))):
        world.sign(age=draw(ages), signer=draw(by))
    for _ in range(draw(st.integers(0, 3))):
        said = draw(st.sampled_from(["approved", "rejected"]))
        world.approve(draw(st.sampled_from("ab")), decision=said, age=draw(ages), signer=draw(by))
    return world


@settings(max_examples=60, deadline=None)
@given(RULES, _worlds(), st.data())
def test_a_revocation_never_turns_a_no_into_a_yes(
    rules: list[dict[str, Any]], world: World, data: st.DataObject
) -> None:
    before = world.decide(*rules)
    bundles = sorted({place.rsplit("/", 1)[1].removesuffix(".sigstore.json") for place in _objects(world)})
    hints = [signer.signed_with for signer in world.trust.signers.values()]
    for digest in data.draw(st.lists(st.sampled_from([*bundles, *hints, MODEL.digest, ONE.digest]), max_size=3)):
        cause = data.draw(st.sampled_from(["superseded", "retired", "compromised", "untrusted"]))
        world.revoke(digest, cause=cause, since=data.draw(st.sampled_from([0.0, 5.0])))

    assert before or not world.decide(*rules)


@settings(max_examples=60, deadline=None)
@given(RULES, _worlds(), st.sampled_from(sorted(TEAM)), st.sampled_from(["compromised", "untrusted"]))
def test_a_signer_that_the_trust_policy_revokes_never_turns_a_no_into_a_yes(
    rules: list[dict[str, Any]], world: World, who: str, cause: str
) -> None:
    before = world.decide(*rules)
    world.trust = trust({**TEAM, "revoker": ["revoke"]}, {"revoked": [{"signer": who, "cause": cause}]})
    lenient = world.trust
    world.trust = trust({**TEAM, "revoker": ["revoke"]})
    plain = world.decide(*rules)
    world.trust = lenient
    assert plain or not world.decide(*rules)
    assert plain or not before  # and asking for two signers never makes a YES


@settings(max_examples=40, deadline=None)
@given(RULES, _worlds(), st.data())
def test_with_a_log_nothing_that_is_removed_or_not_logged_turns_a_no_into_a_yes(
    rules: list[dict[str, Any]], world: World, data: st.DataObject
) -> None:
    backend = MemoryLogBackend(_objects(world))
    sections = {"log": {"origin": ORIGIN, "keys": [log_key().public_key.pem]}, "thresholds": world.trust.thresholds}
    if not sections["thresholds"]:
        del sections["thresholds"]
    logged = World(backend, trust({**TEAM, "revoker": ["revoke"]}, sections), model=MODEL, dataset=ONE)
    digests = sorted({place.rsplit("/", 1)[1].removesuffix(".sigstore.json") for place in _objects(world)})
    entries = {digest: _entry(world, digest) for digest in digests}
    unlogged = set(data.draw(st.lists(st.sampled_from(digests), max_size=2))) if digests else set()
    made_log([entry for digest, entry in entries.items() if digest not in unlogged], backend)

    before = logged.decide(*rules)
    assert world.decide(*rules) or not before
    places = sorted(place for place in backend.objects if place.startswith("bundles/") and not _is_of(place, unlogged))
    for place in data.draw(st.lists(st.sampled_from(places), max_size=2, unique=True)) if places else []:
        del backend.objects[place]
        assert before or not logged.decide(*rules)


def _entry(world: World, digest: str) -> bytes:
    found = world.store.get(digest).bundle
    assert found is not None
    return Entry.of(found).encode()


def _is_of(place: str, digests: set[str]) -> bool:
    return any(digest in place for digest in digests)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_one_changed_byte_of_a_trust_policy_is_refused_or_has_another_digest(data: st.DataObject) -> None:
    sections = {"revoked": [{"signer": "gate", "cause": "untrusted"}], "thresholds": {"sign": 1}}
    raw = bytearray(trust_bytes(None, sections))
    digest = trust(None, sections).digest
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        changed = TrustPolicy.from_bytes(bytes(raw))
    except TrustError:
        return
    assert changed.digest != digest
