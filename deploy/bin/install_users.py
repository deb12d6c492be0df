"""Copy the users' passwords from a secret to the file that Airflow's simple auth manager reads.

The auth manager opens that file for writing, which a mounted secret refuses, and makes up a password for every user
it doesn't find there, which it prints to the log. So this job checks first that each user has one, and copies then.

Settings, all from the environment:
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS            name:role,...
    AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE   where the copy goes
    MLSECOPS_USERS_SECRET                               the secret: JSON, name -> password
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

MINIMUM_LENGTH = 12


class UsersError(Exception):
    """The users and their passwords don't fit together."""


def chosen_passwords(users: str, secret: str) -> dict[str, str]:
    """Return name -> password for exactly the configured users.

    Args:
        users: `name:role,...`, as Airflow wants it.
        secret: The JSON text of the secret.

    Raises:
        UsersError: When the text isn't such JSON, or a user has no password of `MINIMUM_LENGTH` characters.
    """
    try:
        known = json.loads(secret)
    except ValueError as error:
        raise UsersError(f"the users' secret is not JSON: {error}") from None
    if not isinstance(known, dict):
        raise UsersError("the users' secret must be a JSON object: name -> password")
    names = [entry.split(":")[0].strip() for entry in users.split(",") if entry.strip()]
    if not names:
        raise UsersError("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS names nobody")
    weak = [name for name in names if not isinstance(known.get(name), str) or len(known[name]) < MINIMUM_LENGTH]
    if weak:
        raise UsersError(f"no password of at least {MINIMUM_LENGTH} characters for: {', '.join(weak)}")
    return {name: known[name] for name in names}


def install(environment: Mapping[str, str]) -> Path:
    """Write the passwords file, readable by its owner alone, and return its path.

    Raises:
        UsersError: As `chosen_passwords`, or when a setting is missing.
        OSError: When the secret can't be read or the file can't be written.
    """
    try:
        users = environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"]
        target = Path(environment["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"])
        source = Path(environment["MLSECOPS_USERS_SECRET"])
    except KeyError as error:
        raise UsersError(f"{error.args[0]} is not set") from None
    passwords = chosen_passwords(users, source.read_text(encoding="utf-8"))
    draft = target.with_name(target.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(passwords, stream)
        stream.write("\n")
    draft.replace(target)
    return target


if __name__ == "__main__":
    try:
        sys.stdout.write(f"wrote the users' passwords to {install(os.environ)}\n")
    except (UsersError, OSError) as error:
        sys.exit(f"users: {error}")
