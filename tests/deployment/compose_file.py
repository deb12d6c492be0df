"""Read docker-compose.yml as the engine would, as far as its checks need it: merges resolved, variables filled in."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = ROOT / "docker-compose.yml"
ENV_EXAMPLE = ROOT / "deploy" / ".env.example"

# github.com/compose-spec/compose-spec, "Interpolation": $$ is a dollar; ${NAME}, ${NAME:-default}, ${NAME:?message}.
_VARIABLE = re.compile(r"\$\$|\$\{(?P<name>\w+)(?:(?P<kind>:?[-?+])(?P<rest>[^}]*))?\}|\$(?P<bare>\w+)")

Document = dict[str, Any]


def load() -> Document:
    """Return a fresh copy of the parsed file, variables not yet filled in."""
    return copy.deepcopy(_PARSED)


def services(document: Document) -> dict[str, Document]:
    """Return the services by name."""
    found: dict[str, Document] = document["services"]
    return found


def strings(node: Any) -> Iterator[str]:
    """Yield every string below a node, keys left out."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, Mapping):
        for value in node.values():
            yield from strings(value)
    elif isinstance(node, list):
        for value in node:
            yield from strings(value)


def variables(node: Any) -> dict[str, set[str | None]]:
    """Return every variable below a node with its defaults; None stands for "required"."""
    found: dict[str, set[str | None]] = {}
    for text in strings(node):
        for match in _VARIABLE.finditer(text):
            if name := match["name"] or match["bare"]:
                default = match["rest"] if match["kind"] in {":-", "-"} else None
                found.setdefault(name, set()).add(default)
    return found


def interpolated(node: Any, values: Mapping[str, str]) -> Any:
    """Return a copy of a node with variables filled in.

    Raises:
        KeyError: For a variable that has neither a value nor a default.
    """

    def fill(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        name = match["name"] or match["bare"]
        if values.get(name):
            return values[name]
        if match["kind"] in {":-", "-"}:
            return str(match["rest"])
        raise KeyError(name)

    if isinstance(node, str):
        return _VARIABLE.sub(fill, node)
    if isinstance(node, Mapping):
        return {key: interpolated(value, values) for key, value in node.items()}
    if isinstance(node, list):
        return [interpolated(value, values) for value in node]
    return node


def env_example() -> tuple[set[str], dict[str, str]]:
    """Return the settings of .env.example that must be filled in, and those that are commented out: their defaults."""
    required: set[str] = set()
    optional: dict[str, str] = {}
    for line in ENV_EXAMPLE.read_text(encoding="utf-8").splitlines():
        if match := re.fullmatch(r"(# )?([A-Z][A-Z0-9_]*)=(.*)", line):
            if match[1]:
                optional[match[2]] = match[3]
            else:
                required.add(match[2])
    return required, optional


_PARSED: Document = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
