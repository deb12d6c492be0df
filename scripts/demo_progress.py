"""What the demo prints while runs go on and when they are over."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_mlsecops.core.telling import describe, told_time

if TYPE_CHECKING:
    from airflow_rows import RunState

    from airflow_mlsecops.core.evidence import EvidenceSet

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
    told = sorted((describe(item.statement) for item in evidence.verified), key=told_time)
    for statement in told:
        say(f"  {statement.what:<18}{statement.verdict.upper():<10}{statement.summary}")
        for finding in statement.findings[:3]:
            say(f"  {'':<18}  · {finding.severity}: {finding.message}")
    for refused in (*evidence.refused, *evidence.broken):
        say(f"  NOT COUNTED {refused.key}: {refused.reason}")
