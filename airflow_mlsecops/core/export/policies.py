"""The release policy of an export, with all that it extends.

Its digest covers every file that it is made of, so that it can't be handed on as one: that would be another policy, and
no gate judged by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import PurePosixPath

from airflow_mlsecops.core.errors import PolicyError
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.policy.release_policy import SHIPPED, ReadFile, extended_by, shipped
from airflow_mlsecops.core.store.tar import is_name

FOLDER = "policies/"
"""Where a policy lies that extends others, beside them, so that it can be read there."""


def with_extended(data: bytes, read: ReadFile | None) -> tuple[ReleasePolicy, dict[str, bytes]]:
    """The policy, read; and if it extends others, name in the export -> bytes of all of them.

    Those that came with this package are there for people to read, under ``policies/mlsecops/``: whoever verifies takes
    them from the package, too, and says NO if they have changed.

    Args:
        data: the policy's bytes.
        read: reads the files that it extends; without it, it may extend shipped policies only.

    Raises:
        PolicyError: if one of them can't be read, or its name has no place in an archive.
    """
    found: dict[str, bytes] = {}

    def noting(name: str) -> bytes:
        assert read is not None
        found[str(PurePosixPath(name))] = content = read(name)
        return content

    policy = ReleasePolicy.from_bytes(data, noting if read is not None else None)
    own = dict(_shipped([data, *found.values()]))
    if not found and not own:
        return policy, {}
    files = {f"{FOLDER}{name}": content for name, content in found.items()}
    if clash := sorted(files.keys() & own.keys()):
        raise PolicyError(f"{', '.join(clash)} is the place of a shipped policy in an export", "rename the folder")
    files |= own
    files[next(name for name in _roots() if name not in files)] = data
    _check_names(files)
    return policy, files


def _shipped(contents: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """The shipped policies that these extend, and those that they extend."""
    for content in contents:
        for name in extended_by(content):
            if name.startswith(SHIPPED):
                yield f"{FOLDER}mlsecops/{name.removeprefix(SHIPPED)}.yaml", shipped(name)
                yield from _shipped([shipped(name)])


def _roots() -> Iterator[str]:
    yield f"{FOLDER}policy.yaml"
    yield from (f"{FOLDER}policy-{number}.yaml" for number in count(1))


def _check_names(files: Mapping[str, bytes]) -> None:
    for name in files:
        if not is_name(name):
            raise PolicyError(f"the policy {name!r} has no place in an export", "rename it, in plain letters")
