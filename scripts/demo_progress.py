"""What the demo prints while runs go on and when they are over."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates import approval, control_run, vsa

if TYPE_CHECKING:
    from airflow_rows import RunState

    from airflow_mlsecops.core.evidence import Evidence, EvidenceSet

_MARKS = {
    "success": "✔",
    "failed": "✘",
    "upstream_failed": "–",
    "skipped": "–",
    "running": "▸",
    "awaiting_input": "?",
    "up_for_retry": "↻",
}


def say(text: str = "") -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def heading(text: str) -> None:
    """A line that stands out."""
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    say(f"\n{bold}{text}{plain}")


class Progress:
    """Prints a line whenever a task changes its state."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def __call__(self, run: RunState) -> None:
        """Look at the run's tasks."""
        for task in run.tasks:
            state = task.state or ""
            if state in _MARKS and self._known.get(task.task_id) != state:
                self._known[task.task_id] = state
                took = ""
                if task.start and state not in ("running", "upstream_failed"):
                    took = f"{((task.end or datetime.now(UTC)) - task.start).total_seconds():6.1f} s"
                say(f"  {_MARKS[state]} {task.task_id:<24}{state:<18}{took}")


def tell_evidence(evidence: EvidenceSet) -> None:
    """Print each verified statement about an artifact in one line, with what it decided and why."""
    for item in sorted(evidence.verified, key=_when):
        say(f"  {item.slug:<22}{_what(item)}")
        for reason in _why(item):
            say(f"  {'':<22}  · {reason}")
    for refused in (*evidence.refused, *evidence.broken):
        say(f"  NOT COUNTED {refused.key}: {refused.reason}")


def _when(item: Evidence) -> str:
    for key in ("signedAt", "decidedAt", "timeVerified"):
        if key in item.statement.predicate:
            return str(item.statement.predicate[key])
    if item.slug == "test-result":
        return str(control_run.parse(item.statement).finished_at.isoformat())
    return ""


def _what(item: Evidence) -> str:
    try:
        if item.slug == "test-result":
            result = control_run.parse(item.statement)
            return f"{result.control}: {result.verdict.upper()} - {result.summary}"
        if item.slug == "approval":
            answer = approval.parse(item.statement)
            return f"{answer.decision} by {answer.approver} ({answer.assurance})"
        if item.slug == "verification-summary":
            return "released" if vsa.parse(item.statement).passed else "refused"
    except StatementError as error:
        return f"unreadable: {error.message}"
    return f"signed by {item.signer}"


def _why(item: Evidence) -> list[str]:
    if item.slug != "test-result":
        return []
    findings = control_run.parse(item.statement).findings
    return [f"{finding.get('severity')}: {finding.get('message')}" for finding in findings[:3]]
