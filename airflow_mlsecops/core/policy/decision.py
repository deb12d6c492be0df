"""What a gate decided, and why."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_mlsecops.core.digest import Sha256


@dataclass(frozen=True)
class Reason:
    """One reason for a NO: a stable code, and a sentence for a person."""

    code: str
    text: str

    def __str__(self) -> str:
        return f"[{self.code}] {self.text}"


@dataclass(frozen=True)
class Decision:
    """YES or NO; ``bool(decision)`` answers. It is YES only if nothing speaks against it and something speaks for it.

    Attributes:
        reasons: why not; empty on YES.
        satisfied: one sentence per requirement that holds.
        evidence: digest of every statement that counted, waivers among them.
        waived: one sentence per requirement that doesn't hold and that a signed waiver excuses for now.
    """

    reasons: tuple[Reason, ...]
    satisfied: tuple[str, ...]
    evidence: tuple[Sha256, ...]
    waived: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return not self.reasons and bool(self.satisfied or self.waived)
