"""Read deploy/Dockerfile and its .dockerignore, as far as their tests need it."""

from __future__ import annotations

import fnmatch
import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from tests.deployment.compose_file import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"


@dataclass(frozen=True)
class Instruction:
    """One instruction: its word, and the rest of its lines joined."""

    word: str
    rest: str

    @property
    def options(self) -> dict[str, str]:
        """Leading `--name=value` words."""
        words = [word for word in shlex.split(self.rest) if word.startswith("--")]
        return dict(word.removeprefix("--").partition("=")[::2] for word in words) if self.word in _HAS_OPTIONS else {}

    @property
    def arguments(self) -> list[str]:
        """The words after the options; of a JSON form, its members."""
        if self.rest.startswith("["):
            members: list[str] = json.loads(self.rest)
            return members
        return [word for word in shlex.split(self.rest) if not (word.startswith("--") and self.word in _HAS_OPTIONS)]


_HAS_OPTIONS = {"COPY", "ADD", "FROM"}


@dataclass
class Stage:
    """One stage: what it starts from, its name, its instructions."""

    base: str
    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all(self, word: str) -> list[Instruction]:
        """Return the instructions with that word."""
        return [instruction for instruction in self.instructions if instruction.word == word]


def parse(text: str) -> list[Stage]:
    """Return the stages of a Dockerfile; what stands before the first FROM is left out."""
    stages: list[Stage] = []
    joined = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#") or not line.strip():
            continue
        joined += line.rstrip("\\").strip() + " "
        if line.endswith("\\"):
            continue
        word, _, rest = joined.strip().partition(" ")
        instruction = Instruction(word.upper(), rest.strip())
        if instruction.word == "FROM":
            base, *name = instruction.arguments
            stages.append(Stage(base, name[-1] if name else ""))
        elif stages:
            stages[-1].instructions.append(instruction)
        joined = ""
    return stages


def is_sent(path: str, ignore: str) -> bool:
    """Whether a file of the context reaches the builder: the last matching line of the ignore file counts.

    A line matches a path or a folder above it (docs.docker.com, "Build context", .dockerignore files).
    """
    sent = True
    parts = Path(path).parts
    above = ["/".join(parts[: end + 1]) for end in range(len(parts))]
    for line in ignore.splitlines():
        pattern = line.strip().removeprefix("!").strip("/")
        if not line.strip() or line.startswith("#"):
            continue
        anywhere = pattern.startswith("**/")
        names = [name for prefix in above for name in ([prefix, prefix.rpartition("/")[2]] if anywhere else [prefix])]
        if any(_matches(name, pattern.removeprefix("**/")) for name in names):
            sent = line.startswith("!")
    return sent


def _matches(name: str, pattern: str) -> bool:
    # Unlike in a shell pattern of fnmatch, a star here does not cross a slash.
    words, patterns = name.split("/"), pattern.split("/")
    return len(words) == len(patterns) and all(map(fnmatch.fnmatchcase, words, patterns))
