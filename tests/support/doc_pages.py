"""Reads the project's Markdown pages, so that tests can hold them against the code.

Pages mark what a test is to look at with a comment above it: ``<!-- from: dags/x.py#tag -->`` above a block of code,
``<!-- errors -->`` above a table.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\[\]]*\])*\]\((?P<target>[^()\s]+)\)")
_BESIDE_THE_PROJECT = ("build", "dist", "node_modules")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page.

    Attributes:
        page: its path, relative to the root.
        mark: what the comment above it says, e.g. ``from: dags/x.py#tag``; empty without one.
        language: ``python``, ``console``, …
        code: its text.
    """

    page: str
    mark: str
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.page}:{self.mark or self.code.strip().splitlines()[0][:50]}"


@cache
def pages() -> dict[str, str]:
    """Every Markdown page of the project: path relative to the root -> text."""
    found = []
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in _BESIDE_THE_PROJECT]
        found += [Path(folder) / name for name in files if name.endswith(".md")]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(found)}


def blocks(language: str) -> list[Block]:
    """Every fenced block in this language."""
    return [
        Block(page, match["mark"] or "", match["language"], match["code"])
        for page, text in pages().items()
        for match in _BLOCK.finditer(text)
        if match["language"] == language
    ]


def marked(kind: str, language: str = "python") -> list[tuple[str, Block]]:
    """The blocks whose mark is ``<kind>: <value>``, with the value."""
    return [
        (block.mark.removeprefix(f"{kind}: "), block)
        for block in blocks(language)
        if block.mark.startswith(f"{kind}: ")
    ]


def commands(block: Block) -> list[str]:
    """The commands of a ``console`` block: what stands behind ``$``, up to where its quotes close."""
    found: list[str] = []
    is_open = False
    for line in block.code.replace("\\\n", " ").splitlines():
        if is_open:
            found[-1] += f"\n{line}"
        elif line.startswith("$ "):
            found.append(line.removeprefix("$ "))
        else:
            continue  # what the command prints
        is_open = _unclosed(found[-1])
    return [command.strip() for command in found]


def _unclosed(command: str) -> bool:
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return True
    return False


def tables(kind: str) -> list[tuple[str, list[list[str]]]]:
    """The tables below ``<!-- kind -->`` or ``<!-- kind: value -->``: the value, and the rows without the head."""
    mark = re.compile(rf"^<!-- {re.escape(kind)}(?:: (?P<value>[^\n]*?))? -->\n(?P<rows>(?:\|.*\n)+)", re.MULTILINE)
    return [
        (
            match["value"] or "",
            [[cell.strip() for cell in line.strip("|").split("|")] for line in match["rows"].splitlines()[2:]],
        )
        for text in pages().values()
        for match in mark.finditer(text)
    ]


def table(kind: str) -> list[list[str]]:
    """The rows of the one table with this mark."""
    ((_, rows),) = tables(kind)
    return rows


def words(cell: str) -> list[str]:
    """What stands in backquotes in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def without_code(text: str) -> str:
    """A page without its blocks and spans of code, where brackets and hashes mean something else."""
    return re.sub(r"`[^`\n]*`", "``", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))


def links(text: str) -> list[str]:
    """The targets of a page's links and images."""
    return [match["target"] for match in _LINK.finditer(without_code(text))]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    seen: Counter[str] = Counter()
    found = set()
    body = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    for heading in re.findall(r"^#{1,6} +(.+?) *$", body, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


def source_of(reference: str) -> str:
    """The text that ``path#name`` names: what lies between ``[START name]`` and ``[END name]``, else the function of
    that name with its decorators, and the whole file without ``#name``.

    Raises:
        LookupError: if there is no such thing.
    """
    path, _, name = reference.partition("#")
    text = (ROOT / path).read_text(encoding="utf-8")
    if not name:
        return text
    tagged = re.search(rf"^[ \t]*# \[START {name}\]\n(.*?)^[ \t]*# \[END {name}\]$", text, re.MULTILINE | re.DOTALL)
    if tagged:
        return textwrap.dedent(tagged[1])
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return "\n".join(text.splitlines()[first - 1 : node.end_lineno]) + "\n"
    raise LookupError(f"{path} has neither a tag nor a function {name}")


def tags() -> Iterator[str]:
    """Every tagged piece of the example Dags, as ``path#name``."""
    for path in sorted((ROOT / "dags").rglob("*.py")):
        for name in re.findall(r"# \[START (\w+)\]", path.read_text(encoding="utf-8")):
            yield f"{path.relative_to(ROOT).as_posix()}#{name}"
