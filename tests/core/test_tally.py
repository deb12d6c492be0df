"""Where a request stands: who counts, who doesn't, and that less evidence never makes a YES."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.approving.tally import Standing, State, different_people, tally
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.evidence import Evidence
from airflow_mlsecops.core.policy.quorum import Answer, answer
from airflow_mlsecops.core.predicates.approval import Approval, Assurance, Decision
from airflow_mlsecops.core.predicates.approval_request import ApprovalRequest
from tests.support.evidence import NOW, approval_statement, artifact

REQUEST, OTHER = sha256_bytes(b"request"), sha256_bytes(b"another request")
STATEMENT = approval_statement(artifact(), "alice", "approved", NOW)
HOUR = timedelta(hours=1)


def _request(**terms: Any) -> ApprovalRequest:
    asked = ApprovalRequest(
        shown=(),
        missing=(),
        changes=(),
        approvers=("alice", "bob", "carol"),
        excluded=("dave",),
        quorum=2,
        level=Assurance.RECORDED,
        triggered_by="dave",
        requested_at=NOW - 2 * HOUR,
        expires_at=NOW + 2 * HOUR,
    )
    return replace(asked, **terms)


def _answer(
    who: str,
    *,
    name: str = "",
    said: Decision = Decision.APPROVED,
    hours: float = -1,
    own_key: bool = False,
    signer: str = "gate",
    threshold: int = 1,
    trusted: float | None = None,
    **words: Any,
) -> Answer:
    level = Assurance.SIGNED if own_key else Assurance.RECORDED
    read = Approval(said, name or who, who, level, "looks right", NOW + hours * HOUR, None, REQUEST, ())
    read = replace(read, **words)
    item = Evidence(
        sha256_bytes(repr((read, own_key, signer)).encode()),
        STATEMENT,
        who if own_key else signer,
        "approval",
        who if own_key else signer,
        trusted_time=None if trusted is None else NOW + trusted * HOUR,
        threshold=threshold,
        person=who if own_key else "",
    )
    return answer(read, item)


def _tally(request: ApprovalRequest, *answers: Answer) -> Standing:
    return tally(request, REQUEST, answers, NOW)


def test_enough_different_people_are_a_yes() -> None:
    first = _tally(_request(), _answer("alice"))
    assert (first.state, first.needed, bool(first)) == (State.WAITING, 1, False)

    both = _tally(_request(), _answer("alice"), _answer("bob", own_key=True))
    assert (both.state, both.needed, bool(both)) == (State.APPROVED, 0, True)
    assert {each.said.approver for each in both.counted} == {"alice", "bob"}


def test_nobody_answered() -> None:
    assert _tally(_request()) == Standing(State.WAITING, (), (), (), 2)


@pytest.mark.parametrize(
    ("terms", "second", "why"),
    [
        ({}, _answer("bob", request=OTHER), "another request"),
        ({}, _answer("mallory"), "isn't one of those"),
        ({}, _answer("17", name="bob"), "isn't one of those"),
        ({"approvers": ()}, _answer("dave"), "triggered the run"),
        ({"approvers": (), "excluded": ()}, _answer("7", name="dave"), "triggered the run"),
        ({"excluded": ("bob",)}, _answer("bob", own_key=True), "or signed the artifact"),
        ({"level": Assurance.SIGNED}, _answer("bob"), "only recorded"),
        ({"level": Assurance.SIGNED}, _answer("bob", assurance=Assurance.SIGNED), "only recorded"),
        ({}, _answer("bob", hours=-3), "was given at"),
        ({}, _answer("bob", hours=3), "was given at"),
        ({}, _answer("bob", trusted=3), "was given at"),
        ({}, _answer("bob", hours=1), "is dated"),
        ({}, _answer("bob", expires_at=NOW - HOUR / 2), "expired at"),
        ({"valid_for": HOUR / 2}, _answer("bob"), "expired at"),
        ({}, _answer("bob", reason="  "), "no reason"),
    ],
)
def test_what_does_not_count(terms: dict[str, Any], second: Answer, why: str) -> None:
    standing = _tally(_request(**terms), _answer("alice", own_key=True, hours=-0.1), second)

    assert standing.state is State.WAITING
    assert [each.said.approver for each in standing.counted] == ["alice"]
    (ignored,) = standing.uncounted
    assert ignored.answer == second
    assert why in str(ignored)


def test_a_reason_may_be_left_out_if_the_request_says_so() -> None:
    assert _tally(_request(quorum=1, reason_required=False), _answer("bob", reason=""))


@pytest.mark.parametrize(
    "again",
    [_answer("alice", hours=-0.5), _answer("alice", own_key=True), _answer("alice", name="Alice"), _answer("alice")],
)
def test_nobody_counts_twice(again: Answer) -> None:
    standing = _tally(_request(), _answer("alice"), again)
    assert (standing.state, len(standing.counted)) == (State.WAITING, 1)


def test_two_accounts_of_one_name_are_one_person() -> None:
    request = _request(approvers=("1", "2", "3"))
    assert len(_tally(request, _answer("1", name="alice"), _answer("2", name="alice")).counted) == 1


def test_an_answer_under_the_id_of_one_and_the_name_of_another_takes_nothing_away() -> None:
    request = _request(approvers=("1", "2"))
    one, two, both = _answer("1", name="a"), _answer("2", name="b"), _answer("1", name="b")
    assert _tally(request, one, two, both)
    assert not _tally(request, one, both)


def test_one_rejection_ends_it() -> None:
    no = _answer("carol", said=Decision.REJECTED, reason="", hours=-0.1)
    standing = _tally(
        _request(level=Assurance.SIGNED), _answer("alice", own_key=True), _answer("bob", own_key=True), no
    )
    assert (standing.state, standing.rejections) == (State.REJECTED, (no,))


@pytest.mark.parametrize("who", ["mallory", "dave"])
def test_a_rejection_of_somebody_who_was_not_asked_is_none(who: str) -> None:
    assert _tally(_request(), _answer("alice"), _answer("bob"), _answer(who, said=Decision.REJECTED))


def test_a_rejection_is_taken_back_by_its_author_alone() -> None:
    no = _answer("alice", said=Decision.REJECTED, hours=-1)
    assert _tally(_request(quorum=1), no, _answer("alice", hours=-0.5))
    assert _tally(_request(quorum=1), no, _answer("alice", hours=-1.5)).state is State.REJECTED
    assert _tally(_request(quorum=1), no, _answer("bob", hours=-0.5)).state is State.REJECTED


def test_what_was_approved_before_a_rejection_stays_void() -> None:
    signed, no = _answer("alice", own_key=True, hours=-1.5), _answer("alice", said=Decision.REJECTED, hours=-1)
    standing = _tally(_request(quorum=1, level=Assurance.SIGNED), signed, no, _answer("alice", hours=-0.5))
    assert standing.state is State.WAITING
    assert {each.reason for each in standing.uncounted} >= {"was followed by a rejection"}


def test_after_the_end_nothing_is_approved() -> None:
    standing = tally(_request(), REQUEST, [_answer("alice"), _answer("bob")], NOW + 3 * HOUR)
    assert (standing.state, len(standing.counted)) == (State.EXPIRED, 2)


def test_a_threshold_of_the_trust_policy_asks_for_several_signers() -> None:
    one = [_answer("alice", threshold=2), _answer("bob", threshold=2)]
    assert _tally(_request(), *one).needed == 1
    assert _tally(_request(), *one, _answer("bob", threshold=2, signer="other"))


DECISIONS, IDS = st.sampled_from(list(Decision)), ["alice", "bob", "carol", "dave", "mallory"]
ANSWERS = st.lists(
    st.builds(
        _answer,
        st.sampled_from(IDS),
        name=st.sampled_from(["", *IDS[:3], "Al"]),
        said=st.sampled_from([Decision.APPROVED, Decision.APPROVED, Decision.REJECTED]),
        hours=st.sampled_from([-3, -1.5, -1, -0.5, 0, 3]),
        own_key=st.booleans(),
        signer=st.sampled_from(["gate", "other"]),
        threshold=st.just(1),
        reason=st.sampled_from(["fine", ""]),
        request=st.sampled_from([REQUEST, REQUEST, REQUEST, OTHER]),
        expires_at=st.sampled_from([None, None, NOW - HOUR, NOW + HOUR]),
    ),
    max_size=8,
)
TERMS = st.fixed_dictionaries(
    {
        "quorum": st.sampled_from([1, 2, 3]),
        "level": st.sampled_from(Assurance),
        "approvers": st.sampled_from([(), ("alice", "bob", "carol")]),
        "excluded": st.sampled_from([(), ("dave",), ("alice",)]),
        "valid_for": st.sampled_from([None, HOUR]),
    }
)


@given(TERMS, ANSWERS, st.data())
def test_without_any_one_approval_a_no_stays_a_no(
    terms: dict[str, Any], answers: list[Answer], data: st.DataObject
) -> None:
    approvals = [each for each in answers if each.said.decision is Decision.APPROVED]
    if approvals and not _tally(_request(**terms), *answers):
        victim = data.draw(st.sampled_from(approvals))
        assert not _tally(_request(**terms), *(each for each in answers if each is not victim))


def _weaker(each: Answer) -> list[Answer]:
    recorded = replace(each.item, person="", signer="gate", signed_with="gate")
    return [
        answer(replace(each.said, approver=each.item.person or each.said.approver), recorded),
        answer(replace(each.said, assurance=Assurance.RECORDED), each.item),
        answer(replace(each.said, expires_at=NOW - HOUR / 4), each.item),
        answer(replace(each.said, request=OTHER), each.item),
        answer(replace(each.said, reason=""), each.item),
        answer(replace(each.said, decision=Decision.REJECTED), each.item),
    ]


@given(TERMS, ANSWERS, st.data())
def test_no_weaker_approval_makes_a_yes(terms: dict[str, Any], answers: list[Answer], data: st.DataObject) -> None:
    approvals = [each for each in answers if each.said.decision is Decision.APPROVED]
    if approvals and not _tally(_request(**terms), *answers):
        victim = data.draw(st.sampled_from(approvals))
        weaker = data.draw(st.sampled_from(_weaker(victim)))
        assert not _tally(_request(**terms), *(weaker if each is victim else each for each in answers))


@given(TERMS, ANSWERS)
def test_whoever_counts_was_asked_once_and_is_not_excluded(terms: dict[str, Any], answers: Sequence[Answer]) -> None:
    request = _request(**terms)
    standing = _tally(request, *answers)
    people = [
        (e.item.person, e.item.person) if e.item.person else (e.said.approver_id, e.said.approver)
        for e in standing.counted
    ]
    assert len({who for who, _ in people}) == len({name for _, name in people}) == len(people)
    for each, (who, name) in zip(standing.counted, people, strict=True):
        assert not {who, name} & {*request.excluded, request.triggered_by}
        assert not request.approvers or who in request.approvers
        assert each.said.request == REQUEST
        assert each.level is request.level or request.level is Assurance.RECORDED
    if standing:
        assert len(people) >= request.quorum
        assert not standing.rejections


@given(ANSWERS)
def test_no_choice_of_different_people_is_larger(answers: list[Answer]) -> None:
    def best(left: list[Answer]) -> int:
        if not left:
            return 0
        first, rest = left[0], left[1:]
        names = [(e.item.person or e.said.approver_id, e.item.person or e.said.approver) for e in (first, *rest)]
        apart = [e for e, pair in zip(rest, names[1:], strict=True) if not any(map(str.__eq__, pair, names[0]))]
        return max(best(rest), 1 + best(apart))

    assert len(different_people(answers)) == best(answers)
