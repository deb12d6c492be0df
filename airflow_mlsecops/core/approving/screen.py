"""What an approver sees before signing: each piece of evidence in its own words, verified on the approver's machine.

The request says what its writer saw. Nothing of that is believed here: verdicts are read again from the statements, and
where the request says something else, that is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_mlsecops.core.approving.errors import RequestEvidenceError
from airflow_mlsecops.core.approving.requests import Case
from airflow_mlsecops.core.evidence import Evidence
from airflow_mlsecops.core.policy import objections
from airflow_mlsecops.core.predicates import APPROVAL, APPROVAL_REQUEST
from airflow_mlsecops.core.predicates.approval_request import Shown
from airflow_mlsecops.core.telling import Tone, describe, told_time


@dataclass(frozen=True)
class Row:
    """One piece of evidence.

    Attributes:
        digest: that of its bundle.
        about: name of the artifact that it is about.
        what: the control, or the kind of claim.
        verdict: what it says, in one word.
        tone: how to read that.
        summary: why, in one sentence.
        signer: who signed it; empty if it doesn't count.
        time: when it was said.
        problem: why it doesn't count; empty if it does.
        claimed: what the request says that it says, if that is something else.
    """

    digest: str
    about: str
    what: str
    verdict: str
    tone: Tone
    summary: str
    signer: str
    time: str
    problem: str = ""
    claimed: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-able."""
        return {**vars(self), "tone": self.tone.value}


def shown(case: Case) -> list[Row]:
    """What the request showed, as it is now."""
    verified = {item.digest: item for item in case.dossier.verified}
    why = {item.digest: item.reason for found in case.dossier.sets.values() for item in found.refused}
    rows = []
    for asked in case.asked.said.shown:
        item = verified.get(asked.digest)
        if item is not None:
            rows.append(_row(item, asked))
            continue
        problem = f"it no longer counts: {why[asked.digest]}" if asked.digest in why else "it is gone"
        rows.append(Row(asked.digest, "", asked.what, asked.verdict, Tone.BAD, asked.summary, "", "", problem))
    return sorted(rows, key=lambda row: (row.time, row.digest))


def since_asked(case: Case) -> list[Row]:
    """What was said after it was asked, and so isn't in the request; answers and requests aside."""
    known = {item.digest for item in case.asked.said.shown}
    others = [
        item
        for item in case.dossier.verified
        if item.digest not in known and item.slug not in (APPROVAL.slug, APPROVAL_REQUEST.slug)
    ]
    rows = [_row(item) for item in others if _is_later(item, case)]
    return sorted(rows, key=lambda row: (row.time, row.digest))


def check_evidence(case: Case) -> None:
    """Check that what the request showed still holds: otherwise nobody can approve it.

    Raises:
        RequestEvidenceError: if something of it is gone or no longer counts, or something about the artifact, or about
            what it came from, is broken, withheld or revoked.
    """
    reasons = [f"{row.what} {row.digest[:16]}…: {row.problem}" for row in shown(case) if row.problem]
    reasons += [str(reason) for found in case.dossier.sets.values() for reason in objections(found)]
    if reasons:
        raise RequestEvidenceError(
            f"what was asked about doesn't hold any more: {'; '.join(reasons)}", "reject it, or clear the gate"
        )


def _is_later(item: Evidence, case: Case) -> bool:
    when = describe(item.statement).when
    return when is None or when > case.asked.said.requested_at


def _row(item: Evidence, asked: Shown | None = None) -> Row:
    told = describe(item.statement)
    differs = asked is not None and (asked.what, asked.verdict) != (told.what, told.verdict)
    claimed = f"{asked.verdict}: {asked.what}" if asked is not None and differs else ""
    about = ", ".join(name for name, _ in item.statement.subjects)
    return Row(
        item.digest,
        about,
        told.what,
        told.verdict,
        told.tone,
        told.summary,
        item.signer,
        told_time(told),
        claimed=claimed,
    )
