"""Make the people of the deployment in Airflow's metadata database, each with the given role and password.

Run again, it makes who is missing and changes nobody: roles and passwords are then changed in Airflow. Passwords come
from a secret and reach the database hashed; none stands on a command line or in a log.

Airflow calls these people by numbers. What is printed under ``people:`` tells the trust policy whose number is whose;
add ``roles`` to those who are to be asked by role (docs/reference/trust-policy.md).

Settings, all from the environment:
    MLSECOPS_USERS             name:Role,... (Admin, Op, User, Viewer, or a role that exists)
    MLSECOPS_USERS_SECRET      the secret: JSON, name -> password
    and those of Airflow that lead to the metadata database
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MINIMUM_LENGTH = 12


class UsersError(Exception):
    """The users, their roles and their passwords don't fit together."""


@dataclass(frozen=True)
class Person:
    """Somebody who may sign in."""

    name: str
    role: str
    password: str = field(repr=False)


def chosen(users: str, secret: str) -> list[Person]:
    """Return the configured people.

    Args:
        users: `name:Role,...`.
        secret: The JSON text of the secret.

    Raises:
        UsersError: When a text is not what it should be, or somebody has no password of `MINIMUM_LENGTH` characters.
    """
    try:
        known = json.loads(secret)
    except ValueError as error:
        raise UsersError(f"the users' secret is not JSON: {error}") from None
    if not isinstance(known, dict):
        raise UsersError("the users' secret must be a JSON object: name -> password")
    pairs = [tuple(part.strip() for part in entry.partition(":")[::2]) for entry in users.split(",") if entry.strip()]
    if not pairs:
        raise UsersError("MLSECOPS_USERS names nobody")
    if wrong := [f"{name}:{role}" for name, role in pairs if not name or not role]:
        raise UsersError(f"expected name:Role, got {', '.join(wrong)}")
    weak = [name for name, _ in pairs if not isinstance(known.get(name), str) or len(known[name]) < MINIMUM_LENGTH]
    if weak:
        raise UsersError(f"no password of at least {MINIMUM_LENGTH} characters for: {', '.join(weak)}")
    return [Person(name, role, known[name]) for name, role in pairs]


def install(people: list[Person], manager: Any) -> list[str]:
    """Make who isn't there yet, and return their names.

    Args:
        people: Who should be there.
        manager: Flask-AppBuilder's security manager.

    Raises:
        UsersError: When there is no such role, or the manager refuses; roles are looked up before anybody is made.
    """
    roles = {person.role: manager.find_role(person.role) for person in people}
    if missing := sorted(name for name, role in roles.items() if role is None):
        raise UsersError(f"Airflow knows no role {', '.join(missing)}")
    made = []
    for person in people:
        if manager.find_user(username=person.name):
            continue
        # It asks for a first and a last name and for an address that nobody else has; none of them is used.
        address = f"{person.name}@users.invalid"
        if not manager.add_user(person.name, person.name, "-", address, roles[person.role], person.password):
            raise UsersError(f"{person.name} could not be made")
        made.append(person.name)
    return made


def told(people: list[Person], manager: Any) -> str:
    """Return the section ``people:`` of a trust policy, for these people and their numbers."""
    numbers = {person.name: manager.find_user(username=person.name).id for person in people}
    # JSON texts are YAML, whatever characters a name has.
    lines = [f"  - {{id: {json.dumps(name)}, accounts: {{fab: {json.dumps(str(n))}}}}}" for name, n in numbers.items()]
    return "\n".join(["people:", *lines])


def main(environment: Mapping[str, str]) -> str:
    """Make them; return what was done, in words, and how the trust policy tells of them.

    Raises:
        UsersError: As `chosen` and `install`, or when a setting is missing.
        OSError: When the secret can't be read.
    """
    try:
        users, source = environment["MLSECOPS_USERS"], Path(environment["MLSECOPS_USERS_SECRET"])
    except KeyError as error:
        raise UsersError(f"{error.args[0]} is not set") from None
    people = chosen(users, source.read_text(encoding="utf-8"))
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        made = install(people, builder.sm)
        section = told(people, builder.sm)
    return f"# users: made {', '.join(made) or 'nobody'}; {len(people) - len(made)} were there already\n{section}"


if __name__ == "__main__":
    try:
        sys.stdout.write(main(os.environ) + "\n")
    except (UsersError, OSError) as error:
        sys.exit(f"users: {error}")
