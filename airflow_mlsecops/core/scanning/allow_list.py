"""What a pickle may name: classes of known packages, each with what may be done with it. Everything else is refused.

The packaged lists lie in ``allow_lists/*.json``, one for each package, with the version that they were made from
(``scripts/make_allow_lists.py`` makes them from what is installed). A user's own list has the same form, and counts
only when its bytes are the ones that a trusted signer vouched for; see :meth:`AllowList.extended`. The artifact itself
can never add anything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.digest import Sha256, sha256_bytes
from airflow_mlsecops.core.errors import ConfigurationError


class Use(StrEnum):
    """What may be done with an allowed name; a later one doesn't include an earlier one.

    ``new``: ``object.__new__`` and a state; what every estimator needs. ``call``: the class is called with arguments.
    ``name``: it is only kept, as a parameter. ``rebuild``: a function that a reviewed rule guards; see
    :mod:`airflow_mlsecops.core.scanning.pickles.reconstructors`.
    """

    NEW = "new"
    CALL = "call"
    NAME = "name"
    REBUILD = "rebuild"


@dataclass(frozen=True)
class Allowed:
    """One allowed name."""

    module: str
    name: str
    uses: frozenset[Use]
    package: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class AllowList:
    """All allowed names together.

    Attributes:
        names: by module and name, as a pickle writes them.
        sources: package -> version that its list was made from, or the digest of a user's list.
    """

    names: Mapping[tuple[bytes, bytes], Allowed]
    sources: Mapping[str, str] = field(default_factory=dict)

    def find(self, module: bytes, name: bytes) -> Allowed | None:
        """The entry, if there is one."""
        return self.names.get((module, name))

    @property
    def digest(self) -> Sha256:
        """Of everything that is allowed: two scans with the same digest allowed the same."""
        rows = sorted([str(item), *sorted(use.value for use in item.uses)] for item in self.names.values())
        return sha256_bytes(canonical_json(rows))

    def extended(self, documents: Iterable[bytes]) -> AllowList:
        """Add users' lists.

        The caller still owes: that each document's bytes were signed by somebody trusted to say so.

        Raises:
            ConfigurationError: if one isn't a list of classes.
        """
        names, sources = dict(self.names), dict(self.sources)
        for document in documents:
            digest = sha256_bytes(document)
            for item in parse_list(document):
                known = names.get((item.module.encode(), item.name.encode()))
                uses = item.uses | (known.uses if known else frozenset())
                if Use.REBUILD in item.uses:
                    raise ConfigurationError(
                        f"a user's allow-list says 'rebuild' for {item}", "only classes can be added: new, call, name"
                    )
                names[item.module.encode(), item.name.encode()] = Allowed(item.module, item.name, uses, item.package)
            sources[f"user:{digest[:12]}"] = digest
        return AllowList(names, sources)


def parse_list(data: bytes) -> list[Allowed]:
    """Read one list: ``{"package": …, "version": …, "modules": {module: {name: "new call"}}}``.

    Raises:
        ConfigurationError: if it has another form, or a name that is no plain name.
    """
    try:
        document: Any = json.loads(data)
        package, modules = document["package"], document["modules"]
        if not isinstance(package, str) or not isinstance(document["version"], str):
            raise TypeError("package and version have to be text")
        found = []
        for module, names in modules.items():
            for name, uses in names.items():
                if not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
                    raise ValueError(f"{module}.{name} is no plain name")
                found.append(Allowed(module, name, frozenset(Use(use) for use in uses.split()), package))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigurationError(f"not an allow-list: {error}", "see docs/how-to/scan-model.md for its form") from error
    return found


@cache
def packaged() -> AllowList:
    """The lists that come with this package, with the reviewed reconstructors.

    Raises:
        ConfigurationError: if one of them can't be read.
    """
    from airflow_mlsecops.core.scanning.pickles.reconstructors import RECONSTRUCTORS

    names: dict[tuple[bytes, bytes], Allowed] = {}
    sources: dict[str, str] = {}
    for entry in sorted(files(__package__).joinpath("allow_lists").iterdir(), key=lambda item: item.name):
        if entry.name.endswith(".json"):
            data = entry.read_bytes()
            document = json.loads(data)
            sources[document["package"]] = document["version"]
            for item in parse_list(data):
                names[item.module.encode(), item.name.encode()] = item
    if not names:
        raise ConfigurationError("no packaged allow-list was found", "install airflow-mlsecops again")
    for module, name in RECONSTRUCTORS:
        key = (module.encode(), name.encode())
        known = names.get(key)
        uses = frozenset({Use.REBUILD}) | (known.uses if known else frozenset())
        names[key] = Allowed(module, name, uses, known.package if known else "reviewed")
    return AllowList(names, sources)
