"""What a release policy can ask for beyond verdicts: metrics, licences, sources, levels, waivers, parents."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import airflow_mlsecops.core.policy
from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.errors import PolicyError, TrustError
from airflow_mlsecops.core.policy import Decision, ReleasePolicy, evaluate
from airflow_mlsecops.core.policy.cases import try_cases
from airflow_mlsecops.core.policy.licences import covers
from airflow_mlsecops.core.policy.release_policy import DEFAULTS
from airflow_mlsecops.core.policy.words import demands
from airflow_mlsecops.core.predicates import APPROVAL, control_run, provenance, signature, vsa
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.verification import Verification, verify_release
from airflow_mlsecops.core.waiving import waive
from tests.support.evidence import (
    RUN,
    World,
    approval_statement,
    artifact,
    key,
    policy,
    provenance_statement,
    signed_approval,
    trust,
    waiver_statement,
)

SCAN = {"id": "scan", "evidence": "test-result", "of": "model", "control": "scan"}
RAW, BASE, OLD = artifact("raw", Kind.DATASET), artifact("base"), artifact("old", Kind.DATASET)


def codes(decision: Decision) -> list[str]:
    assert not decision
    return [reason.code for reason in decision.reasons]


def measured(world: World, metrics: dict[str, Any], age: float = 1) -> None:
    report = Report(world.model, "scan", Verdict.PASS, "fine", metrics=metrics)
    statement = control_run.build(report, finished_at=world.ago(age), run=RUN, report_blob="0" * 64, blobs={})
    world.put(statement, "pipeline")


@pytest.mark.parametrize(
    ("metrics", "good"),
    [
        ({"accuracy": 0.9}, True),
        ({"accuracy": 1}, True),
        ({"accuracy": 0.89999}, False),
        ({"accuracy": 1.1}, False),
        ({"accuracy": "0.95"}, False),
        ({"accuracy": True}, False),
        ({"accuracy": None}, False),
        ({"accuracy": [0.95]}, False),
        ({"Accuracy": 0.95}, False),
    ],
)
def test_a_metric_has_to_be_a_finite_number_within_its_limits(metrics: dict[str, Any], good: bool) -> None:
    world = World()
    measured(world, metrics)
    decision = world.decide({**SCAN, "metrics": {"accuracy": {"min": 0.9, "max": 1}}})
    assert bool(decision) is good
    assert good or codes(decision) == ["metric"]


def test_a_newer_measurement_out_of_limits_beats_an_older_one_within() -> None:
    world = World()
    measured(world, {"a": 1}, age=3)
    measured(world, {"a": 0}, age=2)
    assert codes(world.decide({**SCAN, "metrics": {"a": {"min": 1}}})) == ["metric"]


# --- licences ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("expression", "good"),
    [
        ("MIT", True),
        ("mit", True),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("GPL-3.0-only OR (MIT AND Apache-2.0)", True),
        ("MIT AND (GPL-3.0-only OR Apache-2.0+)", True),
        ("MIT OR GPL-3.0-only AND GPL-2.0-only", True),
        ("(MIT OR GPL-3.0-only) AND GPL-2.0-only", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", True),
        ("MIT WITH Classpath-exception-2.0", False),
        ("", False),
        ("MIT OR", False),
        ("OR MIT", False),
        ("(MIT", False),
        ("MIT)", False),
        ("MIT Apache-2.0", False),
        ("see LICENSE.txt / MIT", False),
        ("(" * 100 + "MIT" + ")" * 100, False),
        ("MIT OR " * 1000 + "MIT", False),
    ],
)
def test_an_expression_is_covered_by_a_list_of_licences(expression: str, good: bool) -> None:
    assert covers({"MIT", "Apache-2.0", "GPL-2.0-only WITH Classpath-exception-2.0"}, expression) is good


@given(st.text("MIT ORANDWH()+-.", max_size=40), st.sets(st.sampled_from(["MIT", "A", "B"])))
def test_more_licences_never_cover_less(expression: str, allowed: set[str]) -> None:
    assert not covers(set(), expression)
    assert not covers(allowed, expression) or covers({"MIT", "A", "B"}, expression)


def test_licences_are_read_from_bills_of_materials() -> None:
    rule = {"evidence": "bom", "of": "datasets", "licences": ["MIT"]}
    world = World()
    world.provenance()
    assert codes(world.decide(rule)) == ["evidence-missing"]
    world.bill(licences=[], age=9)
    assert codes(world.decide(rule)) == ["licence-missing"]
    assert world.decide({"evidence": "bom", "of": "datasets"})
    world.bill(licences=["MIT"], age=8)
    assert world.decide(rule)
    wrong = world.bill(licences=["GPL-3.0-only"], age=7)
    assert codes(world.decide(rule)) == ["licence"]
    world.revoke(wrong, target="evidence")
    assert codes(world.decide(rule)) == ["licence"]  # withdrawn, it still speaks against it
    world.bill(licences=["MIT"], age=6)
    assert world.decide(rule)


# --- sources ----------------------------------------------------------------------------------------------------------


def _made(world: World, output: Artifact, *inputs: Artifact) -> None:
    world.put(provenance_statement(output, inputs, world.ago(1)), "pipeline")


def _far(world: World) -> None:
    _made(world, world.model, world.dataset, BASE)
    _made(world, world.dataset, RAW)
    _made(world, BASE, OLD, world.model)  # a circle
    _made(world, RAW, world.dataset)  # another one


@pytest.mark.parametrize(
    ("of", "judged"),
    [
        ("datasets", {"dataset"}),
        ("all-datasets", {"dataset", "raw", "old"}),
        ("base-models", {"base"}),
        ("sources", {"dataset", "raw", "old", "base"}),
    ],
)
def test_provenance_is_followed_however_far_and_in_circles(of: str, judged: set[str]) -> None:
    world = World()
    _far(world)
    decision = world.decide({"evidence": "signature", "of": of})
    assert {reason.text.split(":")[0].split()[-1] for reason in decision.reasons} == judged
    for item in (world.dataset, RAW, OLD, BASE):
        if item.name in judged:
            assert not world.decide({"evidence": "signature", "of": of})
            world.sign(item)
    assert world.decide({"evidence": "signature", "of": of})


def test_what_was_withdrawn_far_back_is_a_no() -> None:
    world = World()
    _far(world)
    world.sign()
    assert world.decide({"evidence": "signature", "of": "model"})
    world.revoke(OLD.digest)
    assert codes(world.decide({"evidence": "signature", "of": "model"})) == ["artifact-revoked"]


def test_a_model_without_base_models_needs_provenance_that_says_so() -> None:
    rules = [{"evidence": "signature", "of": "model"}, {**SCAN, "of": "base-models"}]
    world = World()
    world.sign()
    assert codes(world.decide(*rules)) == ["evidence-missing"]
    world.provenance()
    assert world.decide(*rules)


def test_more_sources_than_the_limit_is_a_no(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["airflow_mlsecops.core.policy.gather"], "MAX_SOURCES", 3)
    world = World()
    world.sign()
    _far(world)
    assert codes(world.decide({"evidence": "signature", "of": "model"})) == ["too-many-sources"]


# --- approvals --------------------------------------------------------------------------------------------------------

PEOPLE = {
    "pipeline": ["provenance", "sign"],
    "approvals": ["approve"],
    "alice-key": ["approve"],
    "bob-key": ["approve"],
}
OWN_KEYS = trust(PEOPLE, **{"alice-key": {"person": "alice"}, "bob-key": {"person": "bob"}})
APPROVED = {"evidence": "approval", "of": "model"}


def _signs(world: World, who: str, signer: str, decision: str = "approved", age: float = 1) -> None:
    said = approval_statement(world.model, who, decision, world.ago(age))
    world.put(signed_approval(said, world.model), signer)


def test_a_signed_approval_takes_the_persons_own_key() -> None:
    world = World(trust=OWN_KEYS)
    _signs(world, "alice", "approvals")
    assert world.decide(APPROVED)
    assert codes(world.decide({**APPROVED, "level": "signed"})) == ["approvals-missing"]
    world.put(approval_statement(world.model, "alice", "approved", world.ago(1)), "alice-key")
    assert codes(world.decide({**APPROVED, "level": "signed"})) == ["approvals-missing"]  # it doesn't say so itself
    _signs(world, "alice", "alice-key")
    assert world.decide({**APPROVED, "level": "signed"})
    assert codes(world.decide({**APPROVED, "count": 2})) == ["approvals-missing"]  # one person, three statements


def test_a_persons_key_speaks_for_nobody_else() -> None:
    world = World(trust=OWN_KEYS)
    _signs(world, "alice", "alice-key")
    _signs(world, "bob", "alice-key")
    assert codes(world.decide({**APPROVED, "count": 2})) == ["approvals-missing"]
    assert codes(world.decide({**APPROVED, "approvers": ["bob"]})) == ["approvals-missing"]


def test_a_recorded_answer_lends_nobody_another_persons_name() -> None:
    world = World(trust=OWN_KEYS)
    _signs(world, "bob", "bob-key", age=2)
    said = approval_statement(world.model, "bob", "approved", world.ago(9)).predicate
    both = {**said, "approver": {"id": "alice", "name": "bob"}}
    world.put(Statement.build([world.model], APPROVAL.uri, both), "approvals")
    rule = {**APPROVED, "level": "signed", "approvers": ["alice"]}
    assert codes(world.decide(rule)) == ["approvals-missing"]


def test_a_later_recorded_rejection_takes_a_signed_approval_back() -> None:
    world, rule = World(trust=OWN_KEYS), {**APPROVED, "level": "signed"}
    _signs(world, "alice", "alice-key", age=9)
    world.approve("alice", decision="rejected", age=8)
    assert codes(world.decide(rule)) == ["rejected"]
    world.approve("alice", age=7)
    assert codes(world.decide(rule)) == ["approvals-missing"]  # what she signed was before


def test_a_rejection_is_taken_back_by_nobody_else() -> None:
    """Neither by somebody who is merely called like the id, nor, if it was signed, by what Airflow says."""
    world = World(trust=OWN_KEYS)
    world.approve("7", decision="rejected", age=9)
    said = approval_statement(world.model, "8", "approved", world.ago(8)).predicate
    named = {**said, "approver": {"id": "8", "name": "7"}}
    world.put(Statement.build([world.model], APPROVAL.uri, named), "approvals")
    assert codes(world.decide(APPROVED)) == ["rejected"]

    signed = World(trust=OWN_KEYS)
    _signs(signed, "alice", "alice-key", "rejected", age=9)
    signed.approve("alice", age=8)
    assert codes(signed.decide(APPROVED)) == ["rejected"]
    _signs(signed, "alice", "alice-key", age=7)
    assert signed.decide({**APPROVED, "level": "signed"})


def test_whoever_triggered_or_signed_the_model_does_not_count() -> None:
    rule = {**APPROVED, "not_trainer": True}
    world = World(trust=OWN_KEYS)
    world.approve("alice")
    assert codes(world.decide(rule)) == ["trainer-unknown"]
    for trainer, good in (("alice", False), ("tina", True)):
        there = World(trust=OWN_KEYS)
        there.approve("alice")
        made = provenance.build(
            there.model,
            inputs=[],
            parameters={},
            run={**RUN, "triggered_by": trainer},
            builder="b",
            started_at=None,
            finished_at=there.ago(1),
        )
        there.put(made, "pipeline")
        assert bool(there.decide(rule)) is good
        there.put(there_signed(there), "pipeline")
        assert not there.decide(rule)


def there_signed(world: World) -> Statement:
    return signature.build(world.model, signed_at=world.ago(1), evidence=[], run={**RUN, "triggered_by": "alice"})


def test_a_persons_own_key_has_no_role_of_a_task() -> None:
    with pytest.raises(TrustError):
        trust({"gate": ["gate", "approve"]}, gate={"person": "alice"})


def test_an_approval_without_assurance_is_a_recorded_one() -> None:
    world = World(trust=OWN_KEYS)
    said = dict(approval_statement(world.model, "alice", "approved", world.ago(1)).predicate)
    del said["assurance"]
    world.put(Statement.build([world.model], APPROVAL.uri, said), "alice-key")
    assert world.decide(APPROVED)
    assert not world.decide({**APPROVED, "level": "signed"})


def test_groups_of_approvers_and_roles_of_signers() -> None:
    world = World(trust=trust({"wide": ["control"], "narrow": ["control:scan"], "approvals": ["approve"]}))
    world.approve("bob")
    rules = policy({**APPROVED, "approvers": ["risk"]}, groups={"risk": ["alice", "bob"]})
    assert evaluate(rules, world.dossier(), world.now)
    other = policy({**APPROVED, "approvers": ["risk"]}, groups={"risk": ["alice"]})
    assert codes(evaluate(other, world.dossier(), world.now)) == ["approvals-missing"]
    world.control(world.model, control="scan", signer="wide")
    assert codes(world.decide({**SCAN, "signer_roles": ["control:scan"]})) == ["evidence-missing"]
    world.control(world.model, control="scan", signer="narrow")
    assert world.decide({**SCAN, "signer_roles": ["control:scan"]})


# --- waivers ----------------------------------------------------------------------------------------------------------

WAIVABLE = {**SCAN, "waivable": "3d"}


def test_a_waiver_excuses_is_shown_and_counts_as_evidence() -> None:
    world = World()
    world.sign()
    world.control(world.model, control="scan", verdict=Verdict.FAIL)
    rules = (WAIVABLE, {"evidence": "signature", "of": "model"})
    assert codes(world.decide(*rules)) == ["verdict"]
    digest = world.waive()
    decision = world.decide(*rules)
    assert decision
    assert digest in decision.evidence
    assert "mended next week" in decision.waived[0]
    assert not world.decide(SCAN)  # not waivable there
    world.revoke(digest, target="evidence")
    assert codes(world.decide(*rules)) == ["verdict"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"requirement": "other"},
        {"policy": "other"},
        {"signer": "gate"},
        {"signer": "stranger"},
        {"ends_in": 72},
        {"age": 5, "ends_in": -0.01},
        {"age": 5, "ends_in": 0},
        {"age": -1},
        {"subject": BASE},
    ],
)
def test_a_waiver_counts_only_for_what_it_says_and_while_it_lasts(wrong: dict[str, Any]) -> None:
    world = World()
    world.waive(**wrong)
    assert codes(world.decide(WAIVABLE)) == ["evidence-missing"]


def test_a_release_ends_with_the_waiver_that_it_rests_on() -> None:
    world, rules = World(), policy(WAIVABLE, {"evidence": "signature", "of": "model"})
    world.sign()
    world.waive(ends_in=24)
    world.release(rules)

    def verified(hours: float) -> Verification:
        at = world.now + timedelta(hours=hours)
        return verify_release(world.model, world.store, world.trust, rules, at)

    assert verified(23)
    assert verified(23).decision.waived
    assert [reason.code for reason in verified(24).decision.reasons] == ["evidence-missing"]


def test_a_summary_lists_everything_that_was_read_and_what_was_waived() -> None:
    world = World()
    put = {world.sign(), world.waive(), world.control(world.model, control="scan", verdict=Verdict.FAIL)}
    put |= {world.sign(signer="stranger"), world.provenance(), world.bill()}
    decision, dossier = world.decide(WAIVABLE), world.dossier()
    statement = vsa.build(
        world.model,
        passed=bool(decision),
        verified_at=world.now,
        policy_name="p",
        policy_digest="0" * 64,
        trust_digest="0" * 64,
        evidence=decision.evidence,
        reasons=[],
        run=RUN,
        read=dossier.read,
        waived=decision.waived,
    )
    said = statement.predicate[vsa.GATE]
    assert (set(said["read"]), said["readTotal"], said["waived"]) == (put, 6, list(decision.waived))
    assert set(vsa.parse(statement).evidence) == set(decision.evidence) <= put


def test_nobody_can_waive_what_lies_ahead_or_is_withdrawn() -> None:
    world = World()
    world.control(world.model, control="scan", age=-1)
    world.waive()
    assert codes(world.decide(WAIVABLE)) == ["evidence-from-the-future"]
    withdrawn = World()
    withdrawn.waive()
    withdrawn.revoke(withdrawn.model.digest)
    assert codes(withdrawn.decide(WAIVABLE)) == ["artifact-revoked"]


def test_a_waiver_that_cannot_count_is_not_put() -> None:
    world, rules = World(), policy(WAIVABLE, SCAN | {"id": "fixed", "of": "datasets"})
    for name, ends in (("scan", 72), ("fixed", 1), ("nothing", 1)):
        statement = waiver_statement(world.model, name, world.ago(1), world.ago(-ends))
        with pytest.raises(PolicyError):
            waive(statement, rules, key("waiver"), world.store, world.trust, world.now)
    statement = waiver_statement(world.model, "scan", world.ago(1), world.ago(-1))
    with pytest.raises(TrustError):
        waive(statement, rules, key("gate"), world.store, world.trust, world.now)
    assert not world.store.find(world.model.digest)
    waive(statement, rules, key("waiver"), world.store, world.trust, world.now)
    assert evaluate(rules, World(backend=world.backend).dossier(), world.now).waived


# --- composition ------------------------------------------------------------------------------------------------------


def _written(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(f"version: 1\nname: {name}\n{text}")
    return folder


def test_a_child_asks_for_all_that_its_parents_ask_for(tmp_path: Path) -> None:
    base = "valid_for: 9d\nrequire: [{id: s, evidence: signature, of: model}]"
    _written(tmp_path, base=base, child="extends: base.yaml\nrequire: [{evidence: provenance, of: model}]")
    child = ReleasePolicy.from_file(tmp_path / "child.yaml")
    assert [item.evidence for item in child.require] == ["signature", "provenance"]
    assert child.valid_for == ReleasePolicy.from_file(tmp_path / "base.yaml").valid_for

    _written(tmp_path, base=base.replace("9d", "8d"))
    assert ReleasePolicy.from_file(tmp_path / "child.yaml").digest != child.digest

    _written(tmp_path, other="extends: base.yaml\nwithout: {s: not yet}\nrequire: [{evidence: provenance, of: model}]")
    other = ReleasePolicy.from_file(tmp_path / "other.yaml")
    assert [item.evidence for item in other.require] == ["provenance"]
    assert other.without == (("s", "not yet"),)
    assert any("not yet" in line for line in demands(other))


def test_policies_that_extend_each_other_are_refused(tmp_path: Path) -> None:
    _written(tmp_path, a="extends: b.yaml", b="extends: a.yaml")
    with pytest.raises(PolicyError, match="deep"):
        ReleasePolicy.from_file(tmp_path / "a.yaml")


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_shipped_policies_say_what_their_cases_expect(name: str) -> None:
    rules = ReleasePolicy.from_file(f"mlsecops:{name}")
    cases = Path(airflow_mlsecops.core.policy.__path__[0]) / "defaults" / "cases" / f"{name}.yaml"
    results = try_cases(rules, cases.read_bytes())
    assert len(results) >= 5
    assert [result.wrong for result in results if not result] == []
    assert len(demands(rules)) >= len(rules.require)


def test_a_case_that_is_not_as_expected_is_told() -> None:
    rules = policy({"evidence": "signature", "of": "model"})
    data = b"""{version: 1, artifacts: {model: model}, evidence: {s: {of: model, evidence: signature}}, cases: [
        {name: a, expect: no}, {name: b, expect: yes}, {name: c, without: [s], expect: no, reasons: [verdict]}]}"""
    assert [bool(result) for result in try_cases(rules, data)] == [False, True, False]
