"""Scan an artifact: every file, every member of every container, each by the format that its bytes have.

1. The bytes decide what a part is; a name that says otherwise is a finding.
2. The format's own rules are followed strictly, and nothing is executed, imported or unpickled.
3. A part that no format owns is UNKNOWN, and a format that can't be followed to its end is INCOMPLETE: neither passes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from airflow_mlsecops.core.scanning.allow_list import AllowList, packaged
from airflow_mlsecops.core.scanning.leftovers import Leftovers
from airflow_mlsecops.core.scanning.limits import Limits
from airflow_mlsecops.core.scanning.outcome import Outcome, PartOutcome
from airflow_mlsecops.core.scanning.part import Part
from airflow_mlsecops.core.scanning.pickles.refusal import Refusal

Handler = Callable[["Scan", Part], None]


class Scan:
    """One scan, and what it saw so far.

    Args:
        allow_list: which names pickles may have; by default the packaged ones.
        limits: when to give up.
    """

    def __init__(self, allow_list: AllowList | None = None, limits: Limits | None = None) -> None:
        self.allow_list = allow_list or packaged()
        self.limits = limits or Limits()
        self.outcome = Outcome()
        self.leftovers = Leftovers(self.outcome)
        self.siblings: frozenset[str] = frozenset()
        self.outside: dict[str, str] = {}
        """Files of numbers that a model in the artifact says are its tensors."""

    def tree(self, root: Path) -> Outcome:
        """Scan a file, or every file below a folder."""
        if root.is_file():
            files = [root]
            self.siblings = frozenset({root.name})
        else:
            files = sorted(path for path in root.rglob("*") if not path.is_dir() or path.is_symlink())
            files.sort(key=lambda path: path.suffix != ".onnx")  # they say which others are their tensors
            self.siblings = frozenset(path.relative_to(root).as_posix() for path in files)
        for path in files:
            name = path.name if root.is_file() else path.relative_to(root).as_posix()
            if (path.is_symlink() and path != root) or not path.is_file():
                self.outcome.add("archive-name", "a link or a device", name)
                continue
            with path.open("rb") as stream:
                part = Part(name, stream, path.stat().st_size)
                self.outcome.bytes_total += part.size
                if self.part(part):
                    self.outcome.bytes_examined += part.size
        return self.outcome

    def part(self, part: Part) -> bool:
        """Scan one part; whether its format was followed to its end."""
        from airflow_mlsecops.core.scanning.formats.registry import recognise

        outcome = self.outcome
        before, unfinished = sum(outcome.counts.values()), self._unfinished()
        entry = PartOutcome(part.name, "unknown", part.size)
        outcome.parts.append(entry)
        try:
            if part.depth > self.limits.depth or len(outcome.parts) > self.limits.members:
                raise Refusal("too-large", "too many containers within containers, or too many members")
            entry.format, handler = recognise(self, part)
            handler(self, part)
        except Refusal as refusal:
            outcome.add(refusal.rule, refusal.message, part.name)
        except (OSError, MemoryError, RecursionError, ValueError, LookupError, TypeError, ArithmeticError) as error:
            # 3. A parser's crash on hostile bytes is an answer: this part can't be vouched for.
            outcome.add("crashed", f"reading it as {entry.format} crashed with {type(error).__name__}", part.name)
        entry.findings = sum(outcome.counts.values()) - before
        return self._unfinished() == unfinished

    def parts(self, parts: Iterable[Part]) -> None:
        """Scan members of a container."""
        for part in parts:
            self.part(part)

    def claim(self, part: Part, size: int) -> None:
        """Reserve disk for what a packed part unpacks to.

        Raises:
            Refusal: if it is a bomb.
        """
        self.outcome.unpacked_bytes += size
        if self.outcome.unpacked_bytes > self.limits.unpacked_bytes:
            raise Refusal("archive-bomb", f"it unpacks to more than {self.limits.unpacked_bytes} bytes")

    def _unfinished(self) -> int:
        from airflow_mlsecops.core.scanning.outcome import INCOMPLETE_RULES, UNKNOWN_RULES

        return sum(self.outcome.counts[rule] for rule in INCOMPLETE_RULES | UNKNOWN_RULES)
