"""The release policy: one YAML file, read strictly. ``schemas/release-policy-v1.json`` is its published schema.

Example::

    version: 1
    name: production
    valid_for: 90d                  # how long a release may be used; no end if left out
    groups: {risk: [alice, bob]}
    require:
      - {evidence: test-result, control: data-validation, of: datasets, verdicts: [pass, warn], max_age: 7d}
      - {id: labels, evidence: test-result, control: label-poisoning, of: all-datasets, waivable: 30d}
      - {evidence: provenance, of: model}
      - {evidence: signature, of: model, signed_by: [pipeline]}
      - {evidence: approval, of: model, count: 2, level: signed, approvers: [risk], not_trainer: true}

A policy can extend others, shipped ones (``mlsecops:production``) or files beside it. Everything that they ask for is
asked for too, unless ``without`` takes it out by its id, with a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import resources
from pathlib import Path, PurePosixPath
from typing import Any

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.config_file import MAX_BYTES, brief, is_version, load_mapping, only_keys
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import PolicyError
from airflow_mlsecops.core.policy.requirement import Of, Requirement, names, read_age, read_requirement

__all__ = ["Of", "ReleasePolicy", "Requirement"]

ReadFile = Callable[[str], bytes]
"""Reads a policy that another one names by a relative path."""
SHIPPED = "mlsecops:"
DEFAULTS = ("dev", "staging", "production")
VALID_FOR = "valid_for"
_KEYS = {"version", "name", VALID_FOR, "require", "extends", "without", "groups"}
_MAX_DEPTH = 8


@dataclass(frozen=True)
class ReleasePolicy:
    """A release policy, composed.

    Attributes:
        name: what people call it.
        require: all that must hold, inherited things first.
        valid_for: how long a release may be used.
        digest: SHA-256 of the file; of a policy that extends others it covers all of them.
        without: inherited things that were taken out: id and reason.
    """

    name: str
    require: tuple[Requirement, ...]
    valid_for: timedelta | None
    digest: Sha256
    without: tuple[tuple[str, str], ...] = ()

    @classmethod
    def from_bytes(cls, data: bytes, read: ReadFile | None = None) -> ReleasePolicy:
        """Read a policy.

        Args:
            data: the file's bytes.
            read: reads the files that it extends; without it, it may extend shipped policies only.

        Raises:
            PolicyError: if it is malformed, has unknown keys, requires nothing, or weakens what it extends unasked.
        """
        return _compose(data, read, _MAX_DEPTH)

    @classmethod
    def from_file(cls, path: str | Path) -> ReleasePolicy:
        """Read the policy at a path, or a shipped one: ``mlsecops:dev``, ``:staging`` or ``:production``.

        Raises:
            PolicyError: if there is no readable one; see :meth:`from_bytes`.
        """
        return cls.from_bytes(*policy_file(path))


def policy_file(path: str | Path) -> tuple[bytes, ReadFile | None]:
    """The bytes of the policy at a path, or of a shipped one; and what reads those that it extends.

    Raises:
        PolicyError: if there is none.
    """
    if str(path).startswith(SHIPPED):
        return shipped(str(path)), None
    folder = Path(path).parent
    return _read(Path(path)), lambda name: _read(folder / name)


def extended_by(data: bytes) -> list[str]:
    """What a policy's file says that it extends.

    Raises:
        PolicyError: if it can't be read.
    """
    return _extended(load_mapping(data, "release policy", PolicyError))


def shipped(name: str) -> bytes:
    """The bytes of a shipped policy, such as ``mlsecops:production``.

    Raises:
        PolicyError: if there is none of that name.
    """
    word = name.removeprefix(SHIPPED)
    if word not in DEFAULTS:
        raise PolicyError(
            f"no policy {brief(name)} is shipped", f"there are {', '.join(SHIPPED + x for x in DEFAULTS)}"
        )
    return (resources.files("airflow_mlsecops.core.policy") / "defaults" / f"{word}.yaml").read_bytes()


def _compose(data: bytes, read: ReadFile | None, depth: int) -> ReleasePolicy:
    """The file's own requirements, and those of all that it extends: what is added to a conjunction only narrows it."""
    value = load_mapping(data, "release policy", PolicyError)
    only_keys(value, _KEYS, "the release policy", PolicyError)
    if not is_version(value.get("version"), 1):
        raise PolicyError(f"release policy of version {brief(value.get('version'))}", "this release reads version 1")
    name = value.get("name")
    if not isinstance(name, str) or not name:
        raise PolicyError("the release policy has no name", "add 'name:'")
    own = _own(value)
    parents = [_parent(item, read, depth) for item in _extended(value)]
    without = _without(value, parents)
    inherited = [item for parent in parents for item in parent.require if item.id not in without or not item.id]
    require = tuple(dict.fromkeys([*inherited, *own]))
    if not require:
        raise PolicyError(
            "the release policy requires nothing", "a gate that asks for nothing would let everything through"
        )
    digest = sha256_bytes(data)
    if parents:
        digest = sha256_bytes(canonical_json({"policy": digest, "extends": [parent.digest for parent in parents]}))
    told = tuple(dict.fromkeys([*(item for parent in parents for item in parent.without), *sorted(without.items())]))
    return ReleasePolicy(name, require, _valid_for(value, parents, VALID_FOR in without), digest, told)


def _own(value: dict[str, Any]) -> list[Requirement]:
    groups, items = _groups(value), value.get("require")
    if not isinstance(items, list) or not (items or "extends" in value):
        if "require" not in value and "extends" in value:
            return []
        raise PolicyError(
            "the release policy requires nothing", "a gate that asks for nothing would let everything through"
        )
    own = [read_requirement(item, groups) for item in items]
    if len(set(own)) != len(own):
        raise PolicyError("a requirement stands twice in the release policy", "remove one of them")
    ids = [item.id for item in own if item.id]
    if len(set(ids)) != len(ids) or VALID_FOR in ids:
        raise PolicyError(f"an id stands twice, or is {VALID_FOR}", "give each requirement an id of its own")
    return own


def _groups(value: dict[str, Any]) -> dict[str, frozenset[str]]:
    groups = value.get("groups", {})
    if not isinstance(groups, dict) or ("groups" in value and not groups):
        raise PolicyError(f"groups {brief(groups)}", "write {risk: [alice, bob]}, or leave it out")
    if not all(isinstance(name, str) and name for name in groups):
        raise PolicyError(f"groups {brief(groups)}", "a group's name is a text")
    return {name: names(groups, name) for name in groups}


def _extended(value: dict[str, Any]) -> list[str]:
    if "extends" not in value:
        return []
    found = value["extends"]
    listed = [found] if isinstance(found, str) else found
    if not isinstance(listed, list) or not listed or not all(isinstance(item, str) and item for item in listed):
        raise PolicyError(f"extends {brief(found)}", f"write {SHIPPED}production, or a file beside this one")
    if len(set(listed)) != len(listed):
        raise PolicyError("extends: a policy stands twice", "remove one of them")
    return list(listed)


def _parent(item: str, read: ReadFile | None, depth: int) -> ReleasePolicy:
    if depth == 0:
        raise PolicyError(f"policies extend each other more than {_MAX_DEPTH} deep", "look for a circle")
    if item.startswith(SHIPPED):
        return _compose(shipped(item), None, depth - 1)
    path = PurePosixPath(item)
    if path.is_absolute() or ".." in path.parts or "\\" in item or ":" in item or "\x00" in item:
        raise PolicyError(f"extends {brief(item)}, which is no relative path", "put the file beside this one")
    if read is None:
        raise PolicyError(f"extends {brief(item)}, and there is no folder to read it from", "give the policy as a file")
    folder = path.parent
    return _compose(read(item), lambda name: read(str(folder / name)), depth - 1)


def _without(value: dict[str, Any], parents: list[ReleasePolicy]) -> dict[str, str]:
    found = value.get("without", {})
    if not isinstance(found, dict) or ("without" in value and not found):
        raise PolicyError(f"without {brief(found)}", "write {ID: why}, or leave it out")
    known = {item.id for parent in parents for item in parent.require if item.id} | {VALID_FOR}
    for identifier, reason in found.items():
        if identifier not in known:
            raise PolicyError(
                f"without {brief(identifier)}, which nothing that it extends has", f"known: {sorted(known)}"
            )
        if not isinstance(reason, str) or not reason.strip():
            raise PolicyError(f"without {identifier}: no reason", "say why: people will ask")
    return dict(found)


def _valid_for(value: Mapping[str, Any], parents: list[ReleasePolicy], free: bool) -> timedelta | None:
    own = read_age(value, VALID_FOR)
    limits = [] if free else [parent.valid_for for parent in parents if parent.valid_for is not None]
    if own is not None and any(own > limit for limit in limits):
        raise PolicyError(
            f"{VALID_FOR} is longer than what this policy extends allows", f"say why: 'without: {{{VALID_FOR}: …}}'"
        )
    return min([*limits, *([own] if own is not None else [])], default=None)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise PolicyError(f"the release policy {path} can't be read: {why}", "check the path") from error
