"""What a scan of parts within parts adds up to: status x verdict x coverage. Only COMPLETE and CLEAN passes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.scanning.rules import RULES, finding


class Status(StrEnum):
    """Whether everything could be followed to its end."""

    COMPLETE = "complete"
    INCOMPLETE = "incomplete"


class Judgement(StrEnum):
    """What was seen. UNKNOWN is a format that isn't followed, which is not clean."""

    CLEAN = "clean"
    SUSPICIOUS = "suspicious"
    REFUSED = "refused"
    UNKNOWN = "unknown"


INCOMPLETE_RULES = frozenset({"malformed", "truncated", "too-large", "archive-encrypted", "not-examined", "crashed"})
UNKNOWN_RULES = frozenset({"unknown-format", "not-examined"})


@dataclass
class PartOutcome:
    """One file, or one member of a container."""

    name: str
    format: str
    size: int
    findings: int = 0


@dataclass
class Outcome:
    """Everything that a scan saw.

    Attributes:
        findings: the first of each severity, in the order in which they were made.
        counts: hits of each rule, also of findings that weren't kept.
        parts: what was in the artifact.
        globals: every name that a pickle in it needs.
        bytes_total: of the artifact's files.
        bytes_examined: of those whose format was followed.
        unpacked_bytes: what compressed parts unpacked to.
        max_findings: kept of each severity, so that no number of harmless ones pushes out a bad one.
        kept: how many of each severity were.
    """

    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    parts: list[PartOutcome] = field(default_factory=list)
    globals: set[str] = field(default_factory=set)
    bytes_total: int = 0
    bytes_examined: int = 0
    unpacked_bytes: int = 0
    max_findings: int = 1000
    kept: Counter[Severity] = field(default_factory=Counter)

    def add(self, rule: str, message: str, where: str) -> None:
        """A hit of a rule."""
        self.counts[rule] += 1
        severity = RULES[rule][0]
        if self.kept[severity] < self.max_findings:
            self.kept[severity] += 1
            self.findings.append(finding(rule, message, where))

    @property
    def status(self) -> Status:
        """COMPLETE unless something couldn't be followed to its end."""
        return Status.INCOMPLETE if INCOMPLETE_RULES & self.counts.keys() else Status.COMPLETE

    @property
    def judgement(self) -> Judgement:
        """The worst of what was seen."""
        critical = {rule for rule in self.counts if RULES[rule][0] is Severity.CRITICAL}
        if critical:
            return Judgement.UNKNOWN if critical <= UNKNOWN_RULES else Judgement.REFUSED
        warned = any(RULES[rule][0] is Severity.WARNING for rule in self.counts)
        return Judgement.SUSPICIOUS if warned else Judgement.CLEAN

    @property
    def coverage(self) -> float:
        """Share of the artifact's bytes whose format was followed."""
        return self.bytes_examined / self.bytes_total if self.bytes_total else 0.0

    def __bool__(self) -> bool:
        return (
            self.status is Status.COMPLETE
            and self.judgement is Judgement.CLEAN
            and self.bytes_total > 0
            and self.bytes_examined == self.bytes_total
        )

    def to_dict(self) -> dict[str, Any]:
        """For the full report."""
        return {
            "status": self.status.value,
            "judgement": self.judgement.value,
            "coverage": round(self.coverage, 6),
            "parts": [vars(part) for part in self.parts[:10_000]],
            "hits": dict(sorted(self.counts.items())),
        }
