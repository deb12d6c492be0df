"""Invariants of a decision: what may turn it to NO, and that nothing untrusted ever turns it to YES."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.statement import Statement
from tests.support.evidence import (
    MemoryBackend,
    World,
    approval_statement,
    artifact,
    bundle,
    control_statement,
    provenance_statement,
    trust,
)

REQUIREMENTS: list[dict[str, Any]] = [
    {"evidence": "test-result", "of": "datasets", "control": "data-validation", "verdicts": ["pass", "warn"]},
    {"evidence": "test-result", "of": "model", "control": "scan", "max_age": "24h"},
    {"evidence": "provenance", "of": "model"},
    {"evidence": "signature", "of": "model", "signed_by": ["pipeline"]},
    {"evidence": "approval", "of": "model", "count": 2},
    {"evidence": "signature", "of": "datasets"},
]
RULES = st.lists(st.sampled_from(REQUIREMENTS), min_size=1, unique_by=str)
ONE, TWO = artifact("one", Kind.DATASET), artifact("two", Kind.DATASET)
MODEL = artifact()


def _complete() -> World:
    """A world in which every requirement above is met, each by no more than what it needs."""
    world = World(backend=MemoryBackend(), model=MODEL, dataset=ONE)
    world.provenance(inputs=[ONE, TWO])
    for dataset in (ONE, TWO):
        world.control(dataset)
        world.sign(dataset)
    world.control(MODEL, control="scan")
    world.sign()
    world.approve("alice")
    world.approve("bob")
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
