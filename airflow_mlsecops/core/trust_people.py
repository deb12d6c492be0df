"""The section ``people:`` of a trust policy: who approvers are, which roles they have, and what Airflow calls them.

Only people whom the policy names have roles. It is the one file that pipelines can't write; an auth manager's roles can
be given by whoever administers Airflow, and a task can't read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_mlsecops.core.config_file import brief, only_keys
from airflow_mlsecops.core.errors import TrustError


@dataclass(frozen=True)
class Person:
    """Somebody who may be asked.

    Attributes:
        id: what requests and approvals call this person: the log-in name, the same as ``person`` of an own key.
        roles: what requests can ask for, such as ``ml-lead``.
        accounts: auth manager -> the user's id there, where it isn't :attr:`id`.
    """

    id: str
    roles: frozenset[str] = frozenset()
    accounts: Mapping[str, str] = field(default_factory=dict)


def read_people(value: Any) -> tuple[Person, ...]:
    """Read the section.

    Raises:
        TrustError: if it is malformed, or an id or an account stands for two people.
    """
    if not isinstance(value, list) or not value:
        raise TrustError(f"people: expected a list of entries, got {brief(value)}", "leave it out if there are none")
    people = tuple(map(_person, value))
    ids = [person.id for person in people]
    accounts = [account for person in people for account in person.accounts.items()]
    if len(set(ids)) != len(ids) or len(set(accounts)) != len(accounts):
        raise TrustError("people: an id or an account stands twice", "merge the two entries")
    for person in people:
        taken = sorted(set(person.accounts.values()) & (set(ids) - {person.id}))
        if taken:
            raise TrustError(f"people: {person.id} has an account {taken[0]!r}, which is somebody else's id")
    return people


def _person(item: Any) -> Person:
    if not isinstance(item, dict):
        raise TrustError(f"people: expected an entry with an id, got {brief(item)}")
    only_keys(item, {"id", "roles", "accounts"}, "people", TrustError)
    identity, roles, accounts = item.get("id"), item.get("roles", []), item.get("accounts", {})
    if not isinstance(identity, str) or not identity.strip():
        raise TrustError(f"people: id {brief(identity)}", "give the log-in name, as text in quotes if it is a number")
    if not isinstance(roles, list) or not all(map(_is_text, roles)):
        raise TrustError(f"people: {identity}: expected a list of roles, got {brief(roles)}")
    if not isinstance(accounts, dict) or not all(map(_is_text, (*accounts, *accounts.values()))):
        raise TrustError(
            f"people: {identity}: accounts {brief(accounts)}", 'write them as {fab: "3"}, ids in quotes if numbers'
        )
    return Person(identity, frozenset(roles), dict(accounts))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())
