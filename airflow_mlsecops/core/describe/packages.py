"""The packages that a model needs: by name and version, as package URLs, and which of them its pickles import."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from importlib.metadata import distributions, packages_distributions


def package_url(name: str, version: str) -> str:
    """``pkg:pypi/name@version``. Source: https://github.com/package-url/purl-spec (type ``pypi``)."""
    from urllib.parse import quote

    return f"pkg:pypi/{canonical_name(name)}@{quote(version, safe='.+!-_~')}"


def canonical_name(name: str) -> str:
    """As names of packages are compared.

    Source: https://packaging.python.org/en/latest/specifications/name-normalization/
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> dict[str, str]:
    """What is installed here: name -> version."""
    return {canonical_name(item.metadata["Name"]): item.version for item in distributions() if item.metadata["Name"]}


def needed_by(imports: Collection[str], packages: Mapping[str, str]) -> frozenset[str]:
    """The packages among ``packages`` whose modules the names in ``imports`` come from.

    Which package has which module is asked of this installation: the evidence doesn't say.
    """
    modules = {name.partition(".")[0] for name in imports}
    owners = packages_distributions()
    found = {canonical_name(owner) for module in modules for owner in owners.get(module, ())}
    return frozenset(found & set(packages))
