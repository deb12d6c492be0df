#!/usr/bin/env python3
"""Write the pages of the reference that are made from code and schemas: operators, settings, JSON schemas.

    python scripts/make_reference.py [FOLDER]

writes them into ``docs/reference``, or into another folder; ``tests/test_docs_generated.py`` compares. Sources are the
classes' docstrings and signatures, the provider's own description of itself, and the schemas that ship.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow_mlsecops.hooks.metrics import METRICS
from airflow_mlsecops.operators.base import MlsecopsOperator
from airflow_mlsecops.operators.control import ControlOperator
from airflow_mlsecops.provider_info import get_provider_info
from airflow_mlsecops.sensors.base import WaitingSensor

ROOT = Path(__file__).resolve().parent.parent
MADE = "<!-- made by scripts/make_reference.py -->"
BASES = (MlsecopsOperator, ControlOperator, WaitingSensor)
"""Classes whose arguments are told once, before those that inherit them."""


def plain(text: str) -> str:
    """A docstring's text as Markdown in one line."""
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    return " ".join(re.sub(r"``([^`]+)``", r"`\1`", text).split())


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


# --- operators and sensors --------------------------------------------------------------------------------------------


def sections(docstring: str) -> dict[str, str]:
    """A Google-style docstring: the text under ``""``, then each section by its name."""
    parts = re.split(r"^(Args|Attributes|Raises|Returns|Example):+\n", docstring, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def described(docstring: str) -> Iterator[tuple[str, str]]:
    """The arguments that a docstring tells of."""
    listed = textwrap.dedent(sections(docstring).get("Args", ""))
    for entry in re.split(r"\n(?=\S)", listed):
        name, _, meaning = entry.partition(":")
        if name:
            yield name.strip(), plain(meaning)


def defaults(kind: type) -> dict[str, str]:
    """The default of each argument, as it is written; ``needed`` without one."""
    found = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("airflow_mlsecops.") and "__init__" in vars(base):
            for name, parameter in inspect.signature(base).parameters.items():
                value = parameter.default
                text = getattr(value, "value", value)
                found[name] = "needed" if value is parameter.empty else f"`{text!r}`".replace("datetime.", "")
    return found


def class_section(kind: type) -> str:
    """One class: what it does, its arguments, an example."""
    told = sections(inspect.getdoc(kind) or "")
    text = f"## {kind.__name__}\n\n`{kind.__module__}.{kind.__name__}`\n\n"
    text += "\n\n".join(plain(paragraph) for paragraph in told[""].strip().split("\n\n")) + "\n"
    base = next((base.__name__ for base in kind.__mro__[1:] if base in BASES), "")
    if base:
        text += f"\nAlso takes what [{base}](#{base.lower()}) takes.\n"
    given = defaults(kind)
    rows = [(f"`{name}`", given.get(name, ""), meaning) for name, meaning in described(inspect.getdoc(kind) or "")]
    if rows:
        text += "\n" + table(("argument", "default", "meaning"), rows)
    if fields := getattr(kind, "template_fields", ()):
        text += f"\nTemplates: {', '.join(f'`{name}`' for name in fields)}.\n"
    if "Example" in told:
        text += f"\n```python\n{textwrap.dedent(told['Example']).strip()}\n```\n"
    return text


def classes(modules: Sequence[str], suffix: str) -> list[type]:
    """The public classes that modules define, by name."""
    found = [
        kind
        for name in modules
        for _, kind in inspect.getmembers(import_module(name), inspect.isclass)
        if kind.__module__ == name and kind.__name__.endswith(suffix) and not kind.__name__.startswith("_")
    ]
    return sorted(found, key=lambda kind: kind.__name__)


def operators_page() -> str:
    """Every operator, sensor and decorator."""
    info = get_provider_info()
    text = f"# Operators, sensors, decorators\n\n{MADE}\n\n"
    text += "What all take stands first, with the base classes.\n\n"
    kinds: list[type] = [*BASES]
    for what, suffix in (("operators", "Operator"), ("sensors", "Sensor")):
        named = [module for entry in info[what] for module in entry["python-modules"]]
        kinds += classes(named, suffix)
    text += "\n".join(map(class_section, kinds))
    rows = []
    for entry in info["task-decorators"]:
        module, _, name = entry["class-name"].rpartition(".")
        rows.append((f"`@task.{entry['name']}`", plain(inspect.getdoc(getattr(import_module(module), name)) or "")))
    return text + "\n## Decorators\n\n" + table(("decorator", "is"), rows)


# --- settings ---------------------------------------------------------------------------------------------------------


def settings_page() -> str:
    """Configuration options, fields of the connection, metrics, and what else Airflow finds here."""
    info = get_provider_info()
    options = info["config"]["mlsecops"]["options"]
    text = f"# Settings, connection, metrics\n\n{MADE}\n\n## Configuration\n\nSection `[mlsecops]` of `airflow.cfg`.\n"
    for name, option in options.items():
        text += f"\n### {name}\n\n{plain(option['description'])}\n\n"
        default = f"`{option['default']}`" if option["default"] else "empty"
        rows = [("type", option["type"]), ("default", default), ("example", f"`{option['example']}`")]
        text += table(("", ""), [*rows, ("environment", f"`AIRFLOW__MLSECOPS__{name.upper()}`")])
    for kind in info["connection-types"]:
        text += f"\n## Connection type {kind['connection-type']}\n\n*{kind['hook-name']}*; the "
        text += "[guide](../how-to/connection.md) says what to write.\n\n"
        fields = [(f"`{name}`", f["label"], f.get("description", "")) for name, f in kind["conn-fields"].items()]
        fields.append(("`password`", kind["ui-field-behaviour"]["relabeling"]["password"], ""))
        text += table(("field", "in the form", "value"), fields)
    metrics = [(f"`{name}`", meaning) for name, meaning in METRICS.items()]
    return text + "\n## Metrics\n\n" + table(("metric", "counts"), metrics)


# --- schemas ----------------------------------------------------------------------------------------------------------


def schema_files() -> list[Path]:
    """The JSON schemas that ship, by name."""
    return sorted((ROOT / "airflow_mlsecops" / "core").rglob("schemas/*-v*.json"), key=lambda path: path.name)


def type_of(node: Mapping[str, Any]) -> str:
    """What a value may be, in a word."""
    if "enum" in node or "const" in node:
        return " or ".join(f"`{json.dumps(value)}`" for value in node.get("enum", [node.get("const")]))
    if "$ref" in node:
        return f"`{node['$ref'].rpartition('/')[2]}`"
    for choice in ("anyOf", "oneOf"):
        if choice in node:
            return " or ".join(dict.fromkeys(type_of(one) for one in node[choice]))
    kind = node.get("type", "anything")
    kinds = [kind] if isinstance(kind, str) else kind
    inner = f" of {type_of(node['items'])}" if isinstance(node.get("items"), Mapping) and "array" in kinds else ""
    return " or ".join(kinds) + inner


def properties(node: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Each property with those below it: name, type, whether it is needed, meaning."""
    for name, given in node.get("properties", {}).items():
        value = given if isinstance(given, Mapping) else {}  # true: anything goes
        here = f"{path}{name}"
        needed = "yes" if name in node.get("required", ()) else "no"
        yield f"`{here}`", type_of(value), needed, plain(value.get("description", ""))
        yield from properties(value, f"{here}.")
        if isinstance(value.get("items"), Mapping):
            yield from properties(value["items"], f"{here}[].")


def schema_section(path: Path) -> str:
    """One schema: its address, its properties, its definitions."""
    schema = json.loads(path.read_text(encoding="utf-8"))
    place = path.relative_to(ROOT).as_posix()
    text = f"## {schema['title']}\n\n{plain(schema.get('description', ''))}\n\n"
    text += f"`{schema['$id']}` · [{path.name}](../../{place})\n\n"
    head = ("field", "type", "needed", "meaning")
    if rows := list(properties(schema)):
        text += table(head, rows)
    for name, node in schema.get("$defs", {}).items():
        if rows := list(properties(node)):
            text += f"\n`{name}`: {plain(node.get('description', ''))}".rstrip(": ") + ":\n\n" + table(head, rows)
    return text


def schemas_page() -> str:
    """Every schema."""
    text = f"# JSON schemas\n\n{MADE}\n\nWhat is signed, and the files that people write. They ship in the package.\n\n"
    return text + "\n".join(map(schema_section, schema_files()))


PAGES = {"operators.md": operators_page, "settings.md": settings_page, "schemas.md": schemas_page}


def main(folder: Path) -> None:
    """Write all of them."""
    for name, make in PAGES.items():
        (folder / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "reference")
