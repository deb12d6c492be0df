"""What people are asked: who may not answer, what is missing, and which request is still the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from airflow_mlsecops.core.approving.answers import answers_in, answers_listed, fingerprint
from airflow_mlsecops.core.approving.asking import (
    MAX_LINES,
    MAX_SOURCES,
    Terms,
    asked_people,
    excluded_people,
    new_request,
    open_request,
    sections,
)
from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.evidence import Refused
from airflow_mlsecops.core.predicates import approval_request, signature
from airflow_mlsecops.core.predicates.approval import Assurance, Decision
from airflow_mlsecops.core.predicates.approval_request import ApprovalRequest
from airflow_mlsecops.core.releases import changes_since
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.trust_people import Person
from tests.support.evidence import ROLES, World, artifact, policy, provenance_statement, trust

TERMS = Terms(("alice", "bob"), 2, Assurance.RECORDED, timedelta(days=1), timedelta(hours=1.0001), True)
RUN = {"orchestrator": "apache-airflow", "dag_id": "d", "run_id": "r", "task_id": "t", "map_index": -1, "try_number": 1}


def _world() -> World:
    world = World(
        trust=trust({**ROLES, "gate": ["ask", "gate"], "carol-key": ["sign"]}, **{"carol-key": {"person": "carol"}})
    )
    world.provenance()
    return world


def _wanted(world: World, terms: Terms = TERMS, **words: Any) -> ApprovalRequest:
    return new_request(world.dossier(), terms, triggered_by="dave", now=world.now, **words)


def _found(world: World, wanted: ApprovalRequest, run: dict[str, Any] = RUN, later: timedelta = timedelta()) -> str:
    found = open_request(world.dossier().sets[world.model.digest], wanted, run, world.now + later)
    return found[0].digest if found else ""


def test_by_name_and_by_role() -> None:
    people = [Person("bob", frozenset({"lead"})), Person("carol", frozenset({"lead", "risk"}))]
    assert asked_people(["alice"], ["lead"], people) == ("alice", "bob", "carol")
    assert asked_people([], [], people) == ()
    for named, roles in (([""], []), ([], ["boss"])):
        with pytest.raises(ConfigurationError):
            asked_people(named, roles, people)


def test_who_triggered_made_or_signed_may_not_answer_even_if_it_was_withdrawn() -> None:
    world = _world()
    made = signature.build(world.model, signed_at=world.ago(1), evidence=[], run={**RUN, "triggered_by": "erin"})
    signed = world.put(made, "carol-key")
    expected = ("carol", "carol-key", "dave", "erin")
    assert excluded_people(world.dossier().sets[world.model.digest], "dave") == expected
    world.revoke(signed, target="evidence")
    evidence = world.dossier().sets[world.model.digest]
    assert not evidence.of("signature")
    assert excluded_people(evidence, "dave") == expected


def test_what_is_shown_is_what_the_evidence_says() -> None:
    world = _world()
    old, new = (
        world.control(world.model, control="scan", verdict=v, age=a) for v, a in ((Verdict.FAIL, 5), (Verdict.PASS, 2))
    )
    data = world.control()
    asked = _wanted(world)
    shown = {item.digest: item.verdict for item in asked.shown}
    assert old not in shown
    assert (shown[new], shown[data]) == ("pass", "pass")
    assert asked.missing == ()


def test_what_a_base_model_and_older_data_say_is_shown_too() -> None:
    world = World()
    base, raw = artifact("base"), artifact("raw", Kind.DATASET)
    world.provenance(inputs=[world.dataset, base])
    world.put(provenance_statement(world.dataset, [raw], world.ago(3)), "pipeline")
    scan, check = world.control(base, control="scan", verdict=Verdict.WARN), world.control(raw)
    dossier = world.dossier()
    assert [name for name, _ in sections(dossier)] == ["", "base model base", "data set dataset", "data set raw"]
    shown = {item.digest: item.verdict for item in _wanted(world).shown}
    assert (shown[scan], shown[check]) == ("warn", "pass")
    # And it stands in nobody's way who compares it with an earlier version.
    assert changes_since("m", "production", dossier, store=world.store, trust=world.trust, now=world.now).lines()


def test_of_many_sources_the_direct_ones_are_shown_first() -> None:
    world = World()
    older = [artifact(f"older {n:02}", Kind.DATASET) for n in range(MAX_SOURCES + 5)]
    world.provenance(inputs=[world.dataset])
    world.put(provenance_statement(world.dataset, older, world.ago(3)), "pipeline")
    names = [name for name, _ in sections(world.dossier())]
    assert names[:2] == ["", "data set dataset"]
    assert len(names) == 1 + MAX_SOURCES
    assert "it was made from 6 more, whose evidence isn't shown here" in _wanted(world).missing


def test_what_is_missing() -> None:
    world = World()
    assert _wanted(world).missing == ("no data set is named by any verified provenance",)
    world.sign(signer="stranger")
    rules = policy(
        {"evidence": "test-result", "of": "model", "control": "scan"},
        {"evidence": "approval", "of": "model", "count": 2},
    )
    lines = _wanted(world, policy=rules).missing
    assert any(line.startswith("signature doesn't count: key ") for line in lines)
    assert [line for line in lines if line.startswith("test: ")] == [line for line in lines if "scan" in line]


def test_what_is_no_bundle_is_told_too() -> None:
    dossier = _world().dossier()
    (digest, evidence), *others = dossier.sets.items()
    broken = replace(evidence, broken=(Refused("", "log/checkpoint", "log", "it was cut"),))
    asked = new_request(
        replace(dossier, sets={digest: broken, **dict(others)}), TERMS, triggered_by="dave", now=_world().now
    )
    assert asked.missing == ("log/checkpoint doesn't count: it was cut",)


def test_long_lists_are_cut_and_say_so() -> None:
    asked = _wanted(_world(), changes=[f"metric {n}" for n in range(MAX_LINES + 7)])
    assert len(asked.changes) == MAX_LINES + 1
    assert asked.changes[-1] == "and 7 more"


def test_an_open_request_of_the_same_task_is_found_again() -> None:
    world = _world()
    wanted = _wanted(world)
    digest = world.put(approval_request.build(world.model, wanted, RUN), "gate")
    assert _found(world, wanted) == digest
    assert _found(world, wanted, {**RUN, "try_number": 4}) == digest
    assert _found(world, _wanted(world, changes=["metric: new"])) == digest  # what is shown is no term
    assert _found(world, wanted, later=timedelta(days=1, seconds=1)) == ""


@pytest.mark.parametrize("field", ["dag_id", "run_id", "task_id", "map_index", "orchestrator"])
def test_another_tasks_request_is_not_found(field: str) -> None:
    world = _world()
    world.put(approval_request.build(world.model, _wanted(world), RUN), "gate")
    assert _found(world, _wanted(world), {**RUN, field: "other"}) == ""


@pytest.mark.parametrize(
    "change",
    [
        {"approvers": ("alice", "bob", "erin")},
        {"quorum": 1},
        {"level": Assurance.SIGNED},
        {"open_for": timedelta(days=2)},
        {"valid_for": None},
        {"reason_required": False},
    ],
)
def test_a_request_on_other_terms_is_not_found(change: dict[str, Any]) -> None:
    world = _world()
    world.put(approval_request.build(world.model, _wanted(world), RUN), "gate")
    assert _found(world, _wanted(world, replace(TERMS, **change))) == ""


def test_a_request_that_does_not_count_is_not_found() -> None:
    world = _world()
    asked = approval_request.build(world.model, _wanted(world), RUN)
    world.put(asked, "approvals")  # it has no role `ask`
    assert _found(world, _wanted(world)) == ""
    world.revoke(world.put(asked, "gate"), target="evidence")
    assert _found(world, _wanted(world)) == ""


def test_answers_are_read_with_withdrawn_rejections_and_listed_unread() -> None:
    world = _world()
    before = answers_listed(world.store, world.model.digest)
    yes, no = world.approve("alice"), world.approve("bob", decision="rejected")
    for digest in (yes, no):
        world.revoke(digest, target="evidence")
    said = answers_in(world.dossier().sets[world.model.digest])
    assert [each.said.decision for each in said] == [Decision.REJECTED]
    after = answers_listed(world.store, world.model.digest)
    assert after - before == {yes, no}
    assert fingerprint(after) != fingerprint(before)
    assert fingerprint(frozenset([yes, no])) == fingerprint(frozenset([no, yes]))


def test_changes_since_no_release_say_so() -> None:
    world = _world()
    changes = changes_since(
        "digits", "production", world.dossier(), store=world.store, trust=world.trust, now=world.now
    )
    assert changes.lines() == ["the first version at this stage: there is nothing to compare with"]
