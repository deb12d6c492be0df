"""The evaluation of a release policy: each kind of requirement, and each way in which it isn't met."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from threading import Lock
from typing import Any

import pytest

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.policy import Decision, evaluate
from airflow_mlsecops.core.policy.decision import Reason
from airflow_mlsecops.core.predicates import PROVENANCE, TEST_RESULT
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.statement import Statement
from tests.support.evidence import MemoryBackend, World, artifact, bundle, control_statement, policy, trust

CONTROL = {"evidence": "test-result", "of": "model", "control": "scan"}
SIGNED = {"evidence": "signature", "of": "model"}
TRAINED = {"evidence": "provenance", "of": "model"}
APPROVED = {"evidence": "approval", "of": "model"}
VALIDATED = {"evidence": "test-result", "of": "datasets", "control": "data-validation"}


def scan(world: World, verdict: Verdict = Verdict.PASS, **options: Any) -> str:
    return world.control(world.model, control="scan", verdict=verdict, **options)


def codes(decision: Decision) -> list[str]:
    assert not decision
    return [reason.code for reason in decision.reasons]


MET: list[tuple[Mapping[str, Any], Callable[[World], object]]] = [
    (CONTROL, scan),
    (SIGNED, lambda world: world.sign()),
    (TRAINED, lambda world: world.provenance()),
    (APPROVED, lambda world: world.approve()),
    (VALIDATED, lambda world: (world.provenance(), world.control())),
]


@pytest.mark.parametrize("requirement, prepare", MET, ids=[str(item[0]["evidence"]) for item in MET])
def test_each_kind_of_requirement_met_and_not_met(
    requirement: Mapping[str, Any], prepare: Callable[[World], object]
) -> None:
    world = World()
    assert codes(world.decide(requirement)) in (["evidence-missing"], ["no-dataset"])

    prepare(world)

    decision = world.decide(requirement)
    assert decision
    assert decision.satisfied
    assert decision.evidence


@pytest.mark.parametrize("requirement, prepare", MET, ids=[str(item[0]["evidence"]) for item in MET])
def test_evidence_about_something_else_does_not_count(
    requirement: Mapping[str, Any], prepare: Callable[[World], object]
) -> None:
    other = World(model=artifact("other"), dataset=artifact("other data", Kind.DATASET))
    prepare(other)
    world = World(backend=other.backend)

    assert not world.decide(requirement)


@pytest.mark.parametrize("requirement, prepare", MET, ids=[str(item[0]["evidence"]) for item in MET])
def test_evidence_of_a_signer_who_is_not_trusted_does_not_count(
    requirement: Mapping[str, Any], prepare: Callable[[World], object]
) -> None:
    world = World()
    prepare(world)
    world.trust = trust({"gate": ["gate"]})

    assert "evidence-missing" in codes(world.decide(requirement)) or "no-dataset" in codes(world.decide(requirement))


def test_one_unmet_requirement_among_met_ones_is_a_no() -> None:
    world = World()
    scan(world)
    world.sign()

    assert world.decide(CONTROL, SIGNED)
    decision = world.decide(CONTROL, SIGNED, APPROVED)
    assert codes(decision) == ["evidence-missing"]
    assert len(decision.satisfied) == 2


@pytest.mark.parametrize(
    "verdict, allowed, good",
    [
        (Verdict.PASS, ["pass"], True),
        (Verdict.PASS, ["pass", "warn"], True),
        (Verdict.WARN, ["pass", "warn"], True),
        (Verdict.WARN, ["pass"], False),
        (Verdict.PASS, ["warn"], False),
        (Verdict.FAIL, ["pass", "warn"], False),
    ],
)
def test_a_verdict_counts_only_if_the_policy_names_it(verdict: Verdict, allowed: list[str], good: bool) -> None:
    world = World()
    scan(world, verdict)

    decision = world.decide({**CONTROL, "verdicts": allowed})

    assert bool(decision) is good
    assert good or codes(decision) == ["verdict"]


def test_another_controls_verdict_does_not_count() -> None:
    world = World()
    world.control(world.model, control="scanner")

    assert codes(world.decide(CONTROL)) == ["evidence-missing"]


def test_the_newest_verdict_counts() -> None:
    world = World()
    scan(world, Verdict.PASS, age=3)
    scan(world, Verdict.FAIL, age=2)
    assert codes(world.decide(CONTROL)) == ["verdict"]

    newest = scan(world, Verdict.PASS, age=1)
    assert world.decide(CONTROL).evidence == (newest,)


@pytest.mark.parametrize(
    "order", [(Verdict.PASS, Verdict.FAIL, Verdict.WARN), (Verdict.FAIL, Verdict.WARN, Verdict.PASS)]
)
def test_of_equally_new_verdicts_the_worst_counts(order: tuple[Verdict, ...]) -> None:
    world = World()
    for verdict in order:
        scan(world, verdict)

    assert codes(world.decide({**CONTROL, "verdicts": ["pass", "warn"]})) == ["verdict"]


def test_a_warning_beats_a_pass_of_the_same_moment() -> None:
    world = World()
    scan(world, Verdict.WARN)
    scan(world, Verdict.PASS)

    assert codes(world.decide(CONTROL)) == ["verdict"]
    assert world.decide({**CONTROL, "verdicts": ["pass", "warn"]})


AGED: list[tuple[Mapping[str, Any], Callable[[World, float], object]]] = [
    (CONTROL, lambda world, age: scan(world, age=age)),
    (SIGNED, lambda world, age: world.sign(age=age)),
    (TRAINED, lambda world, age: world.provenance(age=age)),
    (APPROVED, lambda world, age: world.approve(age=age)),
]


@pytest.mark.parametrize("requirement, prepare", AGED, ids=[str(item[0]["evidence"]) for item in AGED])
@pytest.mark.parametrize(
    "age, code", [(23, ""), (24, ""), (24.01, "evidence-stale"), (-0.08, ""), (-0.1, "evidence-from-the-future")]
)
def test_evidence_counts_from_its_time_until_it_is_too_old(
    requirement: Mapping[str, Any], prepare: Callable[[World, float], object], age: float, code: str
) -> None:
    world = World()
    prepare(world, age)

    decision = world.decide({**requirement, "max_age": "24h"})

    assert [reason.code for reason in decision.reasons] == ([code] if code else [])


def test_without_a_limit_nothing_is_too_old_but_the_future_is_refused() -> None:
    world = World()
    world.sign(age=24 * 365 * 20)
    assert world.decide(SIGNED)

    world.sign(age=-1)
    assert codes(world.decide(SIGNED)) == ["evidence-from-the-future"]


def test_what_was_said_after_an_earlier_decision_is_not_from_the_future() -> None:
    """A released model is verified again and again, while controls of its data set run anew for other models."""
    world = World()
    world.provenance(age=50)
    world.control(age=50)
    rules = policy({**VALIDATED, "max_age": "24h"}, TRAINED)
    decided_at = world.ago(48)
    assert evaluate(rules, world.dossier(), world.now, decided_at)
    assert not evaluate(rules, world.dossier(), world.now)  # decided now, it would be too old

    world.control(age=1)
    assert evaluate(rules, world.dossier(), world.now, decided_at)
    world.control(age=0.5, verdict=Verdict.FAIL)
    assert codes(evaluate(rules, world.dossier(), world.now, decided_at)) == ["verdict"]
    world.control(age=-1)
    assert codes(evaluate(rules, world.dossier(), world.now, decided_at)) == ["evidence-from-the-future"]


def test_only_the_named_signers_count() -> None:
    world = World(trust=trust({"pipeline": ["sign", "control"], "gate": ["sign", "control"]}))
    world.sign(signer="gate")
    scan(world, signer="gate")

    assert codes(world.decide({**SIGNED, "signed_by": ["pipeline"]})) == ["evidence-missing"]
    assert codes(world.decide({**CONTROL, "signed_by": ["pipeline"]})) == ["evidence-missing"]
    assert world.decide({**SIGNED, "signed_by": ["pipeline", "gate"]}, {**CONTROL, "signed_by": ["gate"]})
    assert not world.decide({**SIGNED, "signed_by": ["Gate"]})


def test_all_data_sets_that_the_provenance_names_are_asked_about() -> None:
    one, two = artifact("one", Kind.DATASET), artifact("two", Kind.DATASET)
    world = World()
    world.provenance(inputs=[one, two, artifact("base model", Kind.MODEL)])
    world.control(one)

    decision = world.decide(VALIDATED)
    assert codes(decision) == ["evidence-missing"]
    assert "data set two" in decision.reasons[0].text

    world.control(two)
    assert world.decide(VALIDATED)


def test_several_provenance_statements_name_the_union_of_data_sets() -> None:
    one, two = artifact("one", Kind.DATASET), artifact("two", Kind.DATASET)
    world = World()
    world.provenance(inputs=[one], age=2)
    world.provenance(inputs=[two], age=1)
    world.control(one)

    assert codes(world.decide(VALIDATED)) == ["evidence-missing"]
    world.control(two)
    assert world.decide(VALIDATED)


def test_no_data_set_is_a_no() -> None:
    world = World()
    world.control()
    assert codes(world.decide(VALIDATED)) == ["no-dataset"]

    world.provenance(inputs=[artifact("base model", Kind.MODEL)])
    assert codes(world.decide(VALIDATED)) == ["no-dataset"]


def test_a_provenance_statement_that_cannot_be_read_makes_the_data_sets_doubtful() -> None:
    """Also where the policy asks for no provenance: what it would have named might have failed."""
    world = World()
    world.provenance()
    world.control()
    assert world.decide(VALIDATED)

    world.put(Statement.build([world.model], PROVENANCE.uri, {"buildDefinition": {}}), "pipeline")

    assert codes(world.decide(VALIDATED)) == ["malformed-statement"]
    assert codes(world.decide(TRAINED)) == ["malformed-statement"]


def test_a_verdict_that_cannot_be_read_does_not_count() -> None:
    world = World()
    world.put(Statement.build([world.model], TEST_RESULT.uri, {"result": "PASSED"}), "pipeline")

    decision = world.decide(CONTROL)

    assert codes(decision) == ["evidence-missing"]
    assert "1 refused" in decision.reasons[0].text


@pytest.mark.parametrize("about", ["model", "dataset"])
def test_broken_evidence_is_a_no_whatever_else_there_is(about: str) -> None:
    world = World()
    world.provenance()
    world.control()
    assert world.decide(TRAINED, VALIDATED)

    subject = getattr(world, about).digest
    world.backend.create(f"bundles/{subject}/approval/{'0' * 64}.sigstore.json", b"{}")

    assert codes(world.decide(TRAINED, VALIDATED)) == ["evidence-broken"]


def test_broken_evidence_about_what_the_model_does_not_depend_on_changes_nothing() -> None:
    world = World()
    world.sign()
    world.backend.create(f"bundles/{world.dataset.digest}/approval/{'0' * 64}.sigstore.json", b"{}")

    assert world.decide(SIGNED)


def test_refused_evidence_is_named_in_the_reason() -> None:
    world = World()
    world.store.put(bundle(control_statement(world.model, "scan", Verdict.PASS, world.now), "stranger"))

    (reason,) = world.decide(CONTROL).reasons

    assert reason.code == "evidence-missing"
    assert "1 refused" in reason.text
    assert "not in the trust policy" in reason.text


def test_a_trust_policy_that_names_release_policies_lets_no_other_count() -> None:
    world = World()
    world.sign()
    named, other = policy(SIGNED), policy(SIGNED, valid_for="1d")
    world.trust = trust(sections={"release_policies": [named.digest]})

    assert evaluate(named, world.dossier(), world.now)
    decision = evaluate(other, world.dossier(), world.now)
    assert codes(decision) == ["policy-not-trusted"]
    assert other.digest in decision.reasons[0].text


def test_a_decision_about_nothing_is_a_no() -> None:
    assert not Decision((), (), ())
    assert not Decision((Reason("x", "y"),), ("satisfied",), ())
    assert Decision((), ("satisfied",), ())


def test_clock_skew_is_minutes() -> None:
    from airflow_mlsecops.core.policy import CLOCK_SKEW

    assert timedelta(0) < CLOCK_SKEW <= timedelta(minutes=5)


class FarBackend(MemoryBackend):
    """Each look takes as long as a network does; ``most`` looks were under way at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.mutex = Lock()

    def _read(self, key: str, limit: int) -> bytes | None:
        with self._far():
            return super()._read(key, limit)

    def _list(self, prefix: str) -> Iterator[str]:
        with self._far():
            yield from super()._list(prefix)

    @contextmanager
    def _far(self) -> Iterator[None]:
        with self.mutex:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.004)
        yield
        with self.mutex:
            self.now -= 1


def test_a_far_store_is_read_in_threads_with_the_same_result() -> None:
    near = World()
    sources = [artifact(str(number), Kind.DATASET) for number in range(5)]
    near.provenance(inputs=sources)
    withdrawn, *_ = [near.control(source) for source in sources]
    near.revoke(withdrawn, target="evidence")
    near.backend.create(f"bundles/{sources[1].digest}/approval/{'0' * 64}.sigstore.json", b"{}")
    assert isinstance(near.backend, MemoryBackend)
    far = FarBackend()
    far.objects |= near.backend.objects
    found = World(backend=far, trust=near.trust, model=near.model).dossier()

    assert found == near.dossier()
    assert codes(near.decide(VALIDATED)) == ["evidence-broken", "evidence-missing"]
    assert 1 < far.most <= 10
