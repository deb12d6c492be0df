"""Versions and stages: the chain of promotions, what may be promoted, what stands where, and what two at once do."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import StatementError, TrustError
from airflow_mlsecops.core.log import EvidenceLog
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.predicates import promotion as predicate
from airflow_mlsecops.core.predicates.promotion import Action, Promotion, Release
from airflow_mlsecops.core.releases import (
    Current,
    History,
    Promoted,
    PromotionConflictError,
    PromotionRefusedError,
    current,
    promote,
    read_history,
)
from airflow_mlsecops.core.signing import Signer
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.store.local import LocalBackend
from airflow_mlsecops.core.telling import describe
from airflow_mlsecops.core.trust import TrustPolicy
from tests.support.evidence import ROLES, RUN, World, artifact, key, policy, trust
from tests.support.logs import ORIGIN, MemoryLogBackend, log_key, log_trust

WITH = {**ROLES, "promoter": ["promote"]}
SIGNED = {"evidence": "signature", "of": "model"}
RULES = policy(SIGNED, name="production")
MODELS = [artifact(f"model-{number}") for number in range(4)]


class Releases(World):
    """A world in which models are released and promoted. Every promotion is a minute after the one before it."""

    signer: Signer

    @classmethod
    def make(cls, *, logged: bool = False, roles: dict[str, list[str]] | None = None) -> Releases:
        log: dict[str, Any] = {"log": {"origin": ORIGIN, "keys": [log_key().public_key.pem]}} if logged else {}
        world = cls(trust=trust(roles or WITH, log))
        if logged:
            world.backend = MemoryLogBackend()
        world.signer = key("promoter")
        return world

    @property
    def store(self) -> EvidenceStore:
        if self.trust.log is None:
            return EvidenceStore(self.backend)
        return EvidenceStore(self.backend, EvidenceLog(self.backend, log_trust(), log_key()))

    def gate(self, model: Artifact, rules: ReleasePolicy = RULES, *, passed: bool | None = None) -> None:
        self.model = model
        self.sign()
        self.release(rules, passed=passed)

    def promote(self, model: Artifact, version: str, stage: str = "production", **given: Any) -> Promoted:
        release = Release("digits", version, stage, given.pop("action", Action.PROMOTE), given.pop("reason", ""))
        arguments = {"store": self.store, "trust": self.trust, "policy": RULES, "signer": self.signer}
        return promote(release, model, now=self.now, run=RUN, **{**arguments, **given})

    def history(self) -> History:
        return read_history(self.store, "digits", self.trust, self.now)

    def at(self, stage: str = "production", rules: ReleasePolicy = RULES) -> Current:
        return current("digits", stage, store=self.store, trust=self.trust, policy=rules, now=self.now)

    def statement(self, model: Artifact, version: str, previous: str | None, **given: Any) -> Statement:
        """What nobody checked."""
        said = {
            "release": Release("digits", version, given.pop("stage", "production")),
            "artifact": model,
            "previous": previous,
            "replaces": None,
            "policy_name": "production",
            "policy": RULES.digest,
            "evidence": (),
            "changes": {"rows": [], "total": 0, "unreadable": []},
            "promoted_at": self.now,
        }
        return predicate.build(Promotion(**{**said, **given}), RUN)


@pytest.fixture(params=[False, True], ids=["no log", "log"])
def world(request: pytest.FixtureRequest) -> Releases:
    made = Releases.make(logged=request.param)
    for model in MODELS[:3]:
        made.gate(model)
    return made


def versions(history: History) -> list[str]:
    return [step.said.release.version for step in history.steps if not step.problem]


def test_versions_move_through_stages(world: Releases) -> None:
    first = world.promote(MODELS[0], "1", "staging")
    second = world.promote(MODELS[0], "1")
    third = world.promote(MODELS[1], "2", "staging")
    history = world.history()
    assert history
    assert [step.evidence.digest for step in history.steps] == [first.digest, second.digest, third.digest]
    assert (first.promotion.previous, second.promotion.previous) == (None, first.digest)
    assert (second.promotion.replaces, third.promotion.replaces) == (None, first.digest)
    for stage, model in (("production", MODELS[0]), ("staging", MODELS[1])):
        found = world.at(stage)
        assert found and found.step is not None
        assert found.step.said.artifact == model
    assert not world.at("canary")


def test_nothing_was_ever_promoted(world: Releases) -> None:
    found = world.at()
    assert not found
    assert found.reasons == ("no version of digits was ever promoted to production",)
    assert not world.history()


@pytest.mark.parametrize("passed", [None, False], ids=["no gate", "gate said no"])
def test_only_a_gates_yes_moves(world: Releases, passed: bool | None) -> None:
    if passed is False:
        world.gate(MODELS[3], passed=False)
    before = world.history()
    with pytest.raises(PromotionRefusedError, match=r"not-released|gate-said-no"):
        world.promote(MODELS[3], "9")
    assert world.history() == before


def test_under_another_policy_it_isnt_released(world: Releases) -> None:
    lax = policy(SIGNED, {"evidence": "provenance", "of": "model"}, name="dev")
    with pytest.raises(PromotionRefusedError, match="another policy"):
        world.promote(MODELS[0], "1", policy=lax)
    world.promote(MODELS[0], "1")
    assert world.at()
    assert not world.at(rules=lax)


def test_the_gates_yes_is_verified_again(world: Releases) -> None:
    world.revoke(MODELS[0].digest)
    with pytest.raises(PromotionRefusedError, match="revoked"):
        world.promote(MODELS[0], "1")


def test_a_version_stands_for_the_same_bytes(world: Releases) -> None:
    world.promote(MODELS[0], "1", "staging")
    with pytest.raises(PromotionRefusedError, match="stands for sha256"):
        world.promote(MODELS[1], "1")
    world.promote(MODELS[0], "1")
    assert versions(world.history()) == ["1", "1"]


def test_a_version_of_a_withdrawn_promotion_is_used_up(world: Releases) -> None:
    first = world.promote(MODELS[0], "1")
    world.revoke(first.digest, target="evidence")
    with pytest.raises(PromotionRefusedError, match="stands for sha256"):
        world.promote(MODELS[1], "1")


def test_rollback(world: Releases) -> None:
    world.promote(MODELS[0], "1")
    world.promote(MODELS[1], "2")
    with pytest.raises(StatementError, match="reason"):
        world.promote(MODELS[0], "1", action=Action.ROLLBACK)
    with pytest.raises(PromotionRefusedError, match="never stood at production"):
        world.promote(MODELS[2], "3", action=Action.ROLLBACK, reason="try")
    world.promote(MODELS[0], "1", action=Action.ROLLBACK, reason="2 is slow")
    found = world.at()
    assert found and found.step is not None
    assert (found.step.said.release.version, found.step.said.release.reason) == ("1", "2 is slow")
    assert "rolled back to production as digits 1" in describe(found.step.evidence.statement).line


def test_no_rollback_to_what_was_revoked(world: Releases) -> None:
    world.promote(MODELS[0], "1")
    world.promote(MODELS[1], "2")
    world.revoke(MODELS[0].digest)
    with pytest.raises(PromotionRefusedError, match="revoked"):
        world.promote(MODELS[0], "1", action=Action.ROLLBACK, reason="2 is slow")
    assert world.at()


def test_what_stands_is_verified_when_it_is_asked_for(world: Releases) -> None:
    world.promote(MODELS[0], "1")
    world.revoke(MODELS[0].digest)
    found = world.at()
    assert not found
    assert any("artifact-revoked" in reason for reason in found.reasons)


def test_withdrawing_a_promotion_doesnt_release_the_one_before(world: Releases) -> None:
    world.promote(MODELS[0], "1")
    second = world.promote(MODELS[1], "2")
    world.revoke(second.digest, target="evidence")
    found = world.at()
    assert not found
    assert "the newest promotion to production, version 2" in found.reasons[0]
    world.promote(MODELS[0], "1", action=Action.ROLLBACK, reason="2 was withdrawn")
    assert world.at()


def test_a_revoked_name_stands_nowhere(world: Releases) -> None:
    world.promote(MODELS[0], "1")
    world.revoke(Release("digits", "1", "x").topic.digest)
    assert not world.at()
    with pytest.raises(PromotionRefusedError, match="broken"):
        world.promote(MODELS[1], "2")


@pytest.mark.parametrize("signer", ["stranger", "gate", "pipeline"])
def test_only_a_promoter_promotes(world: Releases, signer: str) -> None:
    objects = dict(world.backend.objects)  # type: ignore[attr-defined]
    with pytest.raises(TrustError):
        world.promote(MODELS[0], "1", signer=key(signer))
    assert world.backend.objects == objects  # type: ignore[attr-defined]
    world.put(world.statement(MODELS[0], "1", None), signer)
    assert world.history().steps == ()
    assert len(world.history().refused) == 1
    assert not world.at()


def test_a_removed_promotion_is_missed() -> None:
    for logged in (True, False):
        world = Releases.make(logged=logged)
        for model in MODELS[:3]:
            world.gate(model)
        world.promote(MODELS[0], "1")
        second = world.promote(MODELS[1], "2")
        world.promote(MODELS[2], "3", "staging")
        objects = world.backend.objects  # type: ignore[attr-defined]
        (gone,) = [
            place for place in objects if second.digest in place and second.promotion.artifact.digest not in place
        ]
        del objects[gone]
        history, found = world.history(), world.at()
        assert [(gap.before, gap.missing) for gap in history.gaps] == [(1, second.digest)]
        assert not history
        assert not found  # version 1 is older than what is missing
        assert any("came after it, is gone" in reason for reason in found.reasons)
        assert any("it was removed" in reason for reason in found.reasons) is logged


def test_without_the_newest_the_log_says_no() -> None:
    world = Releases.make(logged=True)
    for model in MODELS[:2]:
        world.gate(model)
    world.promote(MODELS[0], "1")
    second = world.promote(MODELS[1], "2")
    objects = world.backend.objects  # type: ignore[attr-defined]
    for place in [place for place in objects if second.digest in place]:
        del objects[place]
    assert not world.at()


def racing(world: Releases, other: Callable[[], Any]) -> EvidenceStore:
    """A store in which ``other`` happens just before the first promotion is put."""
    store = world.store
    put, todo = store.put, [other]

    def slow(bundle: Any) -> Any:
        if todo:
            todo.pop()()
        return put(bundle)

    store.put = slow  # type: ignore[method-assign]
    return store


def test_of_two_at_once_the_first_in_the_log_counts() -> None:
    world = Releases.make(logged=True)
    for model in MODELS[:3]:
        world.gate(model)
    world.promote(MODELS[0], "1")
    with pytest.raises(PromotionConflictError, match="somebody else was first") as caught:
        world.promote(MODELS[1], "2", store=racing(world, lambda: world.promote(MODELS[2], "3")))
    assert caught.value.transient
    history = world.history()
    assert versions(history) == ["1", "3"]
    assert [step.said.release.version for step in history.lost] == ["2"]
    assert history
    world.promote(MODELS[1], "2")  # tried again
    assert versions(world.history()) == ["1", "3", "2"]
    assert world.at()


def test_many_at_once_end_in_one_chain(tmp_path: Path) -> None:
    world = Releases.make(logged=True)
    world.backend = LocalBackend(tmp_path)
    for model in MODELS:
        world.gate(model)

    def insist(number: int) -> int:
        for lost in range(50):
            try:
                world.promote(MODELS[number], str(number))
            except PromotionConflictError:
                continue
            return lost
        raise AssertionError("never came through")

    with ThreadPoolExecutor(len(MODELS)) as pool:
        lost = sum(pool.map(insist, range(len(MODELS))))
    history = world.history()
    assert history
    assert sorted(versions(history)) == ["0", "1", "2", "3"]
    assert len(history.lost) == lost
    found = world.at()
    assert found and found.step == history.head


def test_of_two_at_once_without_a_log_neither_counts() -> None:
    world = Releases.make()
    for model in MODELS[:3]:
        world.gate(model)
    world.promote(MODELS[0], "1")
    others: list[Promoted] = []
    with pytest.raises(PromotionConflictError, match="without a log"):
        world.promote(
            MODELS[1], "2", store=racing(world, lambda: others.append(world.promote(MODELS[2], "3", "staging")))
        )
    assert not world.at()
    with pytest.raises(PromotionRefusedError, match="broken"):
        world.promote(MODELS[1], "4")
    world.revoke(others[0].digest, target="evidence")
    assert versions(world.history()) == ["1", "2"]
    assert world.at()


def test_statements_that_say_too_much_dont_count(world: Releases) -> None:
    first = world.promote(MODELS[0], "1")
    world.put(world.statement(MODELS[1], "1", first.digest), "promoter")  # the version stands for other bytes
    head = world.history().steps[-1]
    assert "stands for other bytes" in head.problem
    back = Release("digits", "7", "production", Action.ROLLBACK, "because")
    world.put(world.statement(MODELS[2], "7", head.evidence.digest, release=back), "promoter")
    head = world.history().steps[-1]
    assert "never stood" in head.problem
    ahead = replace(world, now=world.ago(-48)).now
    world.put(world.statement(MODELS[2], "8", head.evidence.digest, promoted_at=ahead), "promoter")
    assert "ahead" in world.history().steps[-1].problem
    assert versions(world.history()) == ["1"]
    assert not world.at()


def test_a_promotion_takes_one_signer() -> None:
    with pytest.raises(TrustError, match="takes none"):
        trust({**WITH, "second": ["promote"]}, {"thresholds": {"promote": 2}})


@pytest.mark.parametrize(
    "release",
    [
        Release("", "1", "production"),
        Release("a b", "1", "production"),
        Release("digits\n", "1", "production"),
        Release("digits", "", "production"),
        Release("digits", "1/2", "production"),
        Release("digits", "1", "Production"),
        Release("digits", "1", "../production"),
        Release("digits", "None\x00", "production"),
    ],
    ids=str,
)
def test_names_that_are_refused(release: Release) -> None:
    with pytest.raises(StatementError):
        release.check()


def test_a_promotion_about_something_else_breaks_the_name(world: Releases) -> None:
    statement = world.statement(MODELS[0], "1", None)
    other = Artifact.from_dict({**MODELS[1].to_dict()})
    forged = Statement.build(
        [other, Release("digits", "1", "x").topic], statement.predicate_type, dict(statement.predicate)
    )
    with pytest.raises(StatementError, match="about its artifact"):
        predicate.check_subjects(forged, predicate.parse(forged))
    world.put(forged, "promoter")
    assert world.history().broken
    assert not world.at()


# --- what changed -----------------------------------------------------------------------------------------------------


def test_changes_since_what_stood_there() -> None:
    world = Releases.make()
    data = [artifact(f"data-{number}", Kind.DATASET) for number in range(2)]
    for number, model in enumerate(MODELS[:2]):
        world.model = model
        world.provenance(inputs=[data[number]])
        world.control(model, control="scan")
        world.control(data[number])
        world.gate(model)
    first = world.promote(MODELS[0], "1")
    assert first.changes.lines() == ["the first version at this stage: there is nothing to compare with"]
    second = world.promote(MODELS[1], "2")
    assert second.changes.since == first.digest
    kinds = {(row.kind, row.before is None, row.after is None) for row in second.changes.rows}
    assert {("data", False, True), ("data", True, False), ("verdict", True, False)} <= kinds
    assert any(line.startswith("data data-1: new") for line in second.changes.lines())
    told = predicate.parse(world.history().steps[-1].evidence.statement).changes
    assert told["total"] == len(second.changes.rows)


# --- whatever happens -------------------------------------------------------------------------------------------------

_DIGESTS = [sha256_bytes(str(number).encode()) for number in range(3)]


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from("ab")), max_size=6), st.booleans())
def test_the_chain_is_a_chain(said: list[tuple[int, int, str]], logged: bool) -> None:
    """Of any promotions in any order: each step follows the one before it, or a gap is told; nothing is told twice."""
    world = Releases.make(logged=logged)
    made: list[str] = []
    for number, back, stage in said:
        links = [None, _DIGESTS[0], *made[-2:]]
        statement = world.statement(MODELS[number], str(number), links[back % len(links)], stage=stage)
        digest = world.put(statement, "promoter")
        if digest not in made:
            made.append(digest)
    history = world.history()
    gaps = {gap.before for gap in history.gaps}
    for index, (before, step) in enumerate(itertools.pairwise(history.steps), start=1):
        assert step.said.previous == before.evidence.digest or index in gaps
    digests = [step.evidence.digest for step in (*history.steps, *history.lost)]
    assert len(digests) == len(set(digests))
    if not history.broken:
        assert set(digests) == set(made)


def test_trust_in_a_log_that_isnt_there(world: Releases) -> None:
    world.promote(MODELS[0], "1")
    bare: TrustPolicy = trust(WITH)
    assert current("digits", "production", store=world.store, trust=bare, policy=RULES, now=world.now)
