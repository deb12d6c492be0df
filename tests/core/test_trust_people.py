"""The section ``people`` of a trust policy, and keys that are somebody's own."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_mlsecops.core.errors import TrustError
from airflow_mlsecops.core.trust_people import Person
from tests.support.evidence import trust


def test_people_are_read_with_roles_and_accounts() -> None:
    entries = [{"id": "alice", "roles": ["lead", "risk"], "accounts": {"fab": "3"}}, {"id": "bob"}]
    alice, bob = trust(sections={"people": entries}).people
    assert alice == Person("alice", frozenset({"lead", "risk"}), {"fab": "3"})
    assert bob == Person("bob")
    assert trust().people == ()


@pytest.mark.parametrize(
    "people",
    [
        None,
        [],
        {},
        ["alice"],
        [{}],
        [{"id": ""}],
        [{"id": 3}],
        [{"id": "alice", "role": ["lead"]}],
        [{"id": "alice", "roles": "lead"}],
        [{"id": "alice", "roles": [" "]}],
        [{"id": "alice", "accounts": ["3"]}],
        [{"id": "alice", "accounts": {"fab": 3}}],
        [{"id": "alice"}, {"id": "alice"}],
        [{"id": "alice", "accounts": {"fab": "3"}}, {"id": "bob", "accounts": {"fab": "3"}}],
        [{"id": "alice", "accounts": {"fab": "bob"}}, {"id": "bob"}],
    ],
)
def test_what_is_no_list_of_different_people_is_refused(people: Any) -> None:
    with pytest.raises(TrustError, match="people"):
        trust(sections={"people": people})


def test_a_persons_own_key_signs_artifacts_or_approves_them() -> None:
    own = {"key": {"person": "alice"}}
    for roles in (["sign"], ["sign", "revoke"], ["approve", "waiver"]):
        assert trust({"key": roles}, **own).signers
    for roles in (["sign", "approve"], ["control"], ["ask"], ["approve", "ask"]):
        with pytest.raises(TrustError, match=r"own key|one key"):
            trust({"key": roles}, **own)
