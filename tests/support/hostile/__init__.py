"""Hostile input as data: one folder a case, whose name says why it must be refused.

A case is a folder in ``tests/hostile/cases`` with a ``case.toml``::

    kind = "oms"                     # what is attacked: a row of KINDS
    refused = "oms-format"           # the code of the expected error
    says = "exactly one signature"   # a regular expression that its message matches; may be left out
    why = "Only the first signature would be looked at."

    [[bundle]]                       # what is done to something good; see tests/support/hostile/edits.py
    op = "repeat"
    at = "dsseEnvelope.signatures"

What can't be said with such edits is done by a ``make.py`` beside it: its ``spoil(bench)`` is called with everything
ready, just before it is judged. To attack something new, add a module here and a row to KINDS; nothing else.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2] / "hostile" / "cases"
KINDS = {
    "archive": "tests.support.hostile.archives",
    "artifact": "tests.support.hostile.artifacts",
    "bundle": "tests.support.hostile.bundles",
    "keyless": "tests.support.hostile.keyless_bundles",
    "oms": "tests.support.hostile.oms",
}
"""What can be attacked -> the module whose ``judge(bench)`` builds it, spoils it and verifies it."""
_KEYS = {"kind", "refused", "says", "why"}


@dataclass
class Case:
    """One case: what is attacked, how, and what has to come of it."""

    name: str
    kind: str
    refused: str = ""
    says: str = ""
    edits: Mapping[str, Any] = field(default_factory=dict)
    make: Path | None = None

    def __str__(self) -> str:
        return self.name


@dataclass
class Bench:
    """Where one case is built.

    Attributes:
        case: the case.
        folder: an empty folder.
        fixture: pytest fixtures by name, such as a running Sigstore, for the kinds that need one.
        things: what a kind hands to ``make.py``, by name; ``make.py`` may replace it.
    """

    case: Case
    folder: Path
    fixture: Callable[[str], Any]
    things: dict[str, Any] = field(default_factory=dict)

    def edits(self, name: str) -> list[dict[str, Any]]:
        """The case's ``[[name]]`` tables."""
        found: list[dict[str, Any]] = list(self.case.edits.get(name, []))
        return found

    def spoil(self, **things: Any) -> dict[str, Any]:
        """Let the case's ``make.py``, if there is one, do its work; the things after it."""
        self.things.update(things)
        if self.case.make is not None:
            written: dict[str, Any] = {}
            exec(compile(self.case.make.read_text(), str(self.case.make), "exec"), written)
            written["spoil"](self)
        return self.things


def read(folder: Path) -> Case:
    """Read a case; whatever is misspelt is an error, not a case that tests nothing."""
    value = tomllib.loads((folder / "case.toml").read_text())
    assert value["why"].strip(), f"{folder.name}: say why"
    make = folder / "make.py"
    edits = {key: item for key, item in value.items() if key not in _KEYS}
    assert edits or make.exists(), f"{folder.name}: nothing is wrong with it"
    return Case(
        folder.name, value["kind"], value["refused"], value.get("says", ""), edits, make if make.exists() else None
    )


def cases() -> list[Case]:
    """All cases, by name."""
    return [read(folder) for folder in sorted(ROOT.iterdir()) if folder.is_dir()]


def judge(case: Case, folder: Path, request: pytest.FixtureRequest) -> None:
    """Build a case and verify it: returns if it was accepted, raises if it was refused.

    Every edit that the case names has to be one that its kind looks at.
    """
    module = import_module(KINDS[case.kind])
    unknown = set(case.edits) - set(module.EDITS)
    assert not unknown, f"{case}: nobody looks at {sorted(unknown)}"
    module.judge(Bench(case, folder, request.getfixturevalue))
