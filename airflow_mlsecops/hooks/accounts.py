"""What Airflow calls a person: each auth manager has user ids of its own, and people are asked by name.

``[core] auth_manager`` says which one it is; it has to say so where tasks run, too. A task can't ask the auth manager:
its users lie in the metadata database, or behind a log-in. So the trust policy says whose account is whose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.trust_people import Person

if TYPE_CHECKING:
    from airflow.sdk.execution_time.hitl import HITLUser

_CLASSES = {"SimpleAuthManager": "simple", "FabAuthManager": "fab", "KeycloakAuthManager": "keycloak"}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_FORMS: dict[str, tuple[str, Callable[[str], bool]]] = {
    # SimpleAuthManagerUser.get_id: the log-in name.
    "simple": ("a log-in name", lambda text: bool(text.strip())),
    # fab's User.get_id: str() of the row's number in ab_user.
    "fab": ("a number", lambda text: text.isascii() and text.isdigit()),
    # KeycloakAuthManagerUser.get_id: user_id, which is the token's `sub`.
    "keycloak": ("a UUID", lambda text: bool(_UUID.fullmatch(text))),
}


def auth_manager() -> str:
    """Which auth manager this Airflow has: ``simple``, ``fab``, ``keycloak``, or another one's class name."""
    from airflow.sdk.configuration import conf

    name = str(conf.get("core", "auth_manager", fallback="SimpleAuthManager")).rpartition(".")[2]
    return _CLASSES.get(name, name)


class Accounts:
    """Who is who between the trust policy's people and an auth manager's users.

    Args:
        people: the trust policy's.
        kind: the auth manager; see :func:`auth_manager`.
    """

    def __init__(self, people: Iterable[Person], kind: str) -> None:
        self._kind = kind
        self._ids = {person.id: person.accounts[kind] for person in people if kind in person.accounts}
        self._people = {account: identity for identity, account in self._ids.items()}

    def user(self, person: str) -> HITLUser:
        """The user whom Airflow may let answer for this person.

        Raises:
            ConfigurationError: if the auth manager can't have a user of this id: Airflow would let nobody answer.
        """
        identity = self._ids.get(person, person)
        form, fits = _FORMS.get(self._kind, _FORMS["simple"])
        if not fits(identity):
            raise ConfigurationError(
                f"{person!r} is no user of the auth manager {self._kind}: expected {form}, got {identity!r}",
                f"give the id under 'people' in the trust policy: accounts: {{{self._kind}: …}}",
            )
        return {"id": identity, "name": person}

    def person(self, user_id: str) -> str:
        """The person whose account this is; an account of nobody whom the policy knows stands for itself."""
        return self._people.get(user_id, user_id)
