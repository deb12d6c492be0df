"""What a control returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.canonical import jsonable
from airflow_mlsecops.core.findings import Finding, Severity

REPORT = "report.html"
"""The blob that people look at: one self-contained page."""


class Verdict(StrEnum):
    """What a control decided. Anything that isn't PASS or WARN stops a gate."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    WARN = "warn"
    FAIL = "fail"

    @property
    def tone(self) -> str:
        """Its colour on a page, as :func:`airflow_mlsecops.core.html.page.badge` names them."""
        return {Verdict.PASS: "good", Verdict.WARN: "warn", Verdict.FAIL: "bad"}[self]


def verdict_of(findings: tuple[Finding, ...]) -> Verdict:
    """The verdict that the worst finding asks for: critical -> fail, warning -> warn, else pass."""
    worst = max((finding.severity.rank for finding in findings), default=-1)
    if worst >= Severity.CRITICAL.rank:
        return Verdict.FAIL
    return Verdict.WARN if worst >= Severity.WARNING.rank else Verdict.PASS


@dataclass(frozen=True)
class Report:
    """A control's answer about one artifact. ``bool(report)`` is true unless the verdict is FAIL.

    Attributes:
        subject: the artifact that was looked at.
        control: the control's name, e.g. ``label-poisoning``.
        verdict: what was decided.
        summary: one sentence for a person.
        findings: what was seen, worst first.
        metrics: numbers, by name; units in the name where they have one.
        parameters: what the control was told, as far as it changes the verdict (never secrets, never data).
        tools: version of each tool that took part.
        details: the full report, written to the store as one JSON blob.
        blobs: further blobs by name (row lists, tables), each written to the store under its own digest.
        outputs: files by what they are, which the control wrote beside the data because they hold data: pinned.
    """

    subject: Artifact
    control: str
    verdict: Verdict
    summary: str
    findings: tuple[Finding, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tools: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    blobs: Mapping[str, bytes] = field(default_factory=dict)
    outputs: Mapping[str, Artifact] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.verdict is not Verdict.FAIL

    def to_dict(self) -> dict[str, Any]:
        """The full report, JSON-able: what the report blob holds."""
        return {
            "control": self.control,
            "subject": self.subject.to_dict(),
            "verdict": self.verdict.value,
            "summary": self.summary,
            "findings": [finding.to_dict() for finding in self.findings],
            "metrics": jsonable(dict(self.metrics)),
            "parameters": jsonable(dict(self.parameters)),
            "tools": dict(self.tools),
            "details": jsonable(dict(self.details)),
            **({"outputs": {name: made.to_dict() for name, made in self.outputs.items()}} if self.outputs else {}),
        }
