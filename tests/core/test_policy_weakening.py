"""Invariants over example evidence: weaker evidence never makes a YES, and a child is never weaker than its parents.

What a statement says *against* a model is no support: taking that away is what the evidence log notices.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.errors import PolicyError
from airflow_mlsecops.core.policy import Decision, ReleasePolicy
from airflow_mlsecops.core.policy.cases import try_cases

ARTIFACTS = {"model": "model", "data": "dataset", "raw": "dataset", "base": "model"}
SUPPORT: dict[str, dict[str, Any]] = {
    "signed": {"of": "model", "evidence": "signature"},
    "made": {"of": "model", "evidence": "provenance", "from": ["data", "base"], "triggered_by": "tina"},
    "derived": {"of": "data", "evidence": "provenance", "from": ["raw"], "triggered_by": "tina"},
    "scan": {"of": "model", "evidence": "test-result", "control": "scan", "metrics": {"share": 0.01}},
    "labels": {"of": "data", "evidence": "test-result", "control": "labels"},
    "raw-labels": {"of": "raw", "evidence": "test-result", "control": "labels"},
    "base-scan": {"of": "base", "evidence": "test-result", "control": "scan", "metrics": {"share": 0}},
    "asked": {"of": "model", "evidence": "approval-request", "approvers": ["alice", "bob"]},
    "asked-all": {"of": "model", "evidence": "approval-request"},
    "asked-zoe": {"of": "model", "evidence": "approval-request", "approvers": ["zoe"]},
    "alice": {
        "of": "model",
        "evidence": "approval",
        "approver": "alice",
        "person": "alice",
        "level": "signed",
        "request": "asked",
    },
    "bob": {
        "of": "model",
        "evidence": "approval",
        "approver": "bob",
        "person": "bob",
        "level": "signed",
        "signer": "b",
        "request": "asked-all",
    },
    "data-bill": {"of": "data", "evidence": "bom", "licences": ["MIT"]},
    "raw-bill": {"of": "raw", "evidence": "bom", "licences": ["MIT OR X"]},
    "base-bill": {"of": "base", "evidence": "bom", "licences": ["MIT"]},
    "risk": {"of": "model", "evidence": "waiver", "requirement": "fair", "for": "5d"},
}
REQUESTS = {name: fact for name, fact in SUPPORT.items() if fact["evidence"] == "approval-request"}
RULES: list[dict[str, Any]] = [
    {"id": "signed", "evidence": "signature", "of": "model", "max_age": "7d"},
    {"id": "made", "evidence": "provenance", "of": "model"},
    {"id": "scan", "evidence": "test-result", "control": "scan", "of": "model", "metrics": {"share": {"max": 0.1}}},
    {"id": "labels", "evidence": "test-result", "control": "labels", "of": "all-datasets", "signer_roles": ["control"]},
    {"id": "bases", "evidence": "test-result", "control": "scan", "of": "base-models", "max_age": "3d"},
    {"id": "people", "evidence": "approval", "of": "model", "count": 2, "level": "signed", "not_trainer": True},
    {"id": "asked", "evidence": "approval", "of": "model", "count": 2, "requested": True},
    {"id": "one", "evidence": "approval", "of": "model", "approvers": ["alice"], "max_age": "7d"},
    {"id": "licences", "evidence": "bom", "of": "sources", "licences": ["MIT"]},
    {"id": "fair", "evidence": "test-result", "control": "fairness", "of": "model", "waivable": "5d"},
]
SOME_RULES = st.lists(st.sampled_from(RULES), min_size=1, unique_by=lambda rule: rule["id"])
SOME_SUPPORT = st.sets(st.sampled_from(sorted(SUPPORT))).map(
    lambda gone: {k: v for k, v in SUPPORT.items() if k not in gone}
)
WEAKER: dict[str, dict[str, Any]] = {
    "withdrawn": {"withdrawn": True},
    "older": {"age": "8d"},
    "without the role": {"roles": ["revoke"]},
    "failed": {"verdict": "fail"},
    "warned": {"verdict": "warn"},
    "worse": {"metrics": {"share": 0.5}},
    "unmeasured": {"metrics": {}},
    "recorded": {"level": "recorded"},
    "by a gate": {"person": ""},
    "by the trainer": {"person": "tina", "approver": "tina"},
    "rejected": {"decision": "rejected"},
    "unasked": {"request": None},
    "answer to another": {"request": "asked-zoe"},
    "asking others": {"approvers": ["zoe"]},
    "asking for none of them": {"excluded": ["alice", "bob", "tina"], "approvers": None},
    "ended": {"age": "3d", "for": "2d"},
    "not free": {"licences": ["X"]},
    "without a licence": {"licences": None},
    "of another requirement": {"requirement": "x"},
    "of another policy": {"policy": "x"},
    "too long": {"for": "6d"},
}
FIELDS = {
    "test-result": {"verdict", "metrics"},
    "approval": {"level", "person", "approver", "decision", "request"},
    "approval-request": {"approvers", "excluded", "for"},
    "bom": {"licences"},
    "waiver": {"requirement", "policy", "for"},
}


def rules_of(*rules: dict[str, Any], **fields: Any) -> ReleasePolicy:
    return ReleasePolicy.from_bytes(json.dumps({"version": 1, "name": "p", "require": list(rules), **fields}).encode())


def decide(policy: ReleasePolicy, facts: dict[str, dict[str, Any]], revoked: tuple[str, ...] = ()) -> Decision:
    case: dict[str, Any] = {"name": "it", "expect": True, **({"revoked": list(revoked)} if revoked else {})}
    # Like what a store no longer has, a request that is left out can still be named.
    if gone := sorted(set(REQUESTS) - set(facts)):
        case["without"] = gone
    file = {"version": 1, "artifacts": ARTIFACTS, "evidence": {**REQUESTS, **facts}, "cases": [case]}
    return try_cases(policy, json.dumps(file).encode())[0].decision


def weakened(fact: dict[str, Any], how: str) -> dict[str, Any]:
    """The fact with the fields that its kind has; None takes a field out."""
    common = {"withdrawn", "age", "roles"}
    change = {k: v for k, v in WEAKER[how].items() if k in common | FIELDS.get(fact["evidence"], set())}
    return {key: value for key, value in {**fact, **change}.items() if value is not None}


def test_all_the_support_is_a_yes_with_one_waiver() -> None:
    decision = decide(rules_of(*RULES), SUPPORT)
    assert decision, decision.reasons
    assert len(decision.waived) == 1


@settings(max_examples=150, deadline=None)
@given(SOME_RULES, SOME_SUPPORT, st.data())
def test_weaker_evidence_never_makes_a_yes(
    rules: list[dict[str, Any]], facts: dict[str, dict[str, Any]], data: st.DataObject
) -> None:
    policy = rules_of(*rules)
    before = decide(policy, facts)
    # What names the sources and the trainer also speaks against: without it there is less to check. The log keeps it.
    names = sorted(set(facts) - {"made", "derived"})
    after = dict(facts)
    for name in data.draw(st.lists(st.sampled_from(names), max_size=3)) if names else []:
        how = data.draw(st.sampled_from([*WEAKER, "gone"]))
        if how == "gone":
            after.pop(name, None)
        elif name in after:
            after[name] = weakened(after[name], how)
    revoked = tuple(data.draw(st.lists(st.sampled_from(sorted(ARTIFACTS)), max_size=1)))
    assert before or not decide(policy, after, revoked)


UNRELATED = st.fixed_dictionaries(
    {
        "of": st.sampled_from(sorted(ARTIFACTS)),
        "evidence": st.just("test-result"),
        "control": st.sampled_from(["other", "drift"]),
        "verdict": st.sampled_from(["pass", "warn", "fail"]),
        "age": st.sampled_from(["1m", "9d"]),
    }
)


@settings(max_examples=60, deadline=None)
@given(SOME_RULES, st.lists(UNRELATED, max_size=4))
def test_an_unrelated_statement_never_unmakes_a_yes(rules: list[dict[str, Any]], extra: list[dict[str, Any]]) -> None:
    policy = rules_of(*rules)
    more = {f"extra {number}": fact for number, fact in enumerate(extra)}
    other = {"of": "model", "evidence": "waiver", "requirement": "other", "for": "900d"}
    assert decide(policy, SUPPORT).evidence == decide(policy, {**SUPPORT, **more, "other": other}).evidence
    assert decide(policy, {**SUPPORT, **more, "other": other})


@settings(max_examples=100, deadline=None)
@given(SOME_RULES, SOME_RULES, SOME_SUPPORT, st.data())
def test_a_child_is_never_weaker_than_its_parent(
    parent: list[dict[str, Any]], own: list[dict[str, Any]], facts: dict[str, dict[str, Any]], data: st.DataObject
) -> None:
    base = json.dumps({"version": 1, "name": "p", "require": parent}).encode()
    looser: list[dict[str, Any]] = [{}, {"signed_by": ["signer"]}, {"max_age": "900d"}]
    changed = [{**rule, **data.draw(st.sampled_from(looser))} for rule in own]
    child = json.dumps({"version": 1, "name": "p", "extends": "base.yaml", "require": changed}).encode()
    composed = ReleasePolicy.from_bytes(child, lambda name: base)
    assert bool(decide(ReleasePolicy.from_bytes(base), facts)) or not decide(composed, facts)
    assert set(ReleasePolicy.from_bytes(base).require) <= set(composed.require)


def test_only_what_is_stated_is_weaker() -> None:
    base = json.dumps({"version": 1, "name": "p", "require": RULES}).encode()
    facts = {name: fact for name, fact in SUPPORT.items() if "bill" not in name}
    child = {"version": 1, "name": "p", "extends": "b.yaml", "require": [], "without": {"licences": "all our own"}}
    assert not decide(ReleasePolicy.from_bytes(base), facts)
    assert decide(ReleasePolicy.from_bytes(json.dumps(child).encode(), lambda name: base), facts)
    with pytest.raises(PolicyError, match="licence"):
        ReleasePolicy.from_bytes(json.dumps({**child, "without": {"licence": "x"}}).encode(), lambda name: base)
