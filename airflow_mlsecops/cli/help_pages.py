"""Writes every command's real ``--help`` into the reference.

Run ``python -m airflow_mlsecops.cli.help_pages docs/reference/cli.md`` after a change of an option. The page marks each
place with ``<!-- help: verify -->`` (for the program itself ``<!-- help: -->``), followed by a fenced block.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from airflow_mlsecops.cli.arguments import MAX_WIDTH, HelpAsked
from airflow_mlsecops.cli.main import COMMANDS, GROUPS, build_parser

_BLOCK = re.compile(r"<!-- help:(?P<path>[a-z ]*) -->\n(?:\n```text\n.*?\n```\n)?", re.DOTALL)


def help_of(path: str) -> str:
    """The help text of a command, e.g. ``evidence list``, at a fixed width."""
    try:
        build_parser(width=MAX_WIDTH).parse_args([*path.split(), "--help"])
    except HelpAsked as asked:
        return asked.text.rstrip("\n")
    raise RuntimeError(f"no help for {path!r}")


def paths() -> list[str]:
    """All commands and groups; the first is the program itself."""
    return ["", *GROUPS, *(" ".join(command.path) for command in COMMANDS)]


def with_help(page: str) -> str:
    """The page with every marked block as it should be.

    Raises:
        ValueError: if a command has no place in the page, or two, or a place has no command.
    """
    marked = [match["path"].strip() for match in _BLOCK.finditer(page)]
    if sorted(marked) != sorted(paths()):
        raise ValueError(f"expected one place for each of {sorted(paths())}, found {sorted(marked)}")
    return _BLOCK.sub(_filled, page)


def _filled(match: re.Match[str]) -> str:
    return f"<!-- help:{match['path']} -->\n\n```text\n{help_of(match['path'])}\n```\n"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(with_help(target.read_text(encoding="utf-8")), encoding="utf-8")
