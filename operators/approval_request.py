"""What an approver sees, as Markdown: the signed request with links to the evidence. Text from data is escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Set

from airflow_mlsecops.core.approving.asking import newest, sections, unshown
from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet
from airflow_mlsecops.core.policy import Dossier
from airflow_mlsecops.core.predicates import control_run
from airflow_mlsecops.core.predicates.approval import Assurance
from airflow_mlsecops.core.predicates.approval_request import ApprovalRequest
from airflow_mlsecops.core.predicates.types import TEST_RESULT
from airflow_mlsecops.core.report import REPORT
from airflow_mlsecops.core.telling import Described, Tone, told_time
from airflow_mlsecops.links import evidence_url, report_url, request_url, statement_url

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&:@])")
_MARKS = {Tone.GOOD: "✓ ", Tone.WARN: "⚠ ", Tone.BAD: "✗ ", Tone.PLAIN: ""}
_LOUD = (Tone.WARN, Tone.BAD)
_NOTHING = "| nothing | **missing** | no verified evidence | | |"


def escape(text: str, limit: int = 300) -> str:
    """Make text that came from data harmless in Markdown: no HTML, no links, no headings, one line."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return _SPECIAL.sub(r"\\\1", flat[:limit])


def screen(
    artifact: Artifact, request: ApprovalRequest, request_digest: str, dossier: Dossier, *, dag_id: str, run_id: str
) -> str:
    """The request for people.

    Args:
        artifact: what is to be decided on.
        request: what is asked, as signed.
        request_digest: the digest of the bundle that asked.
        dossier: verified evidence about the artifact now; what the request doesn't have is marked as new.
        dag_id: the Dag that asks, through whose pages the evidence is reached.
        run_id: its run.
    """
    files = "1 file" if artifact.files == 1 else f"{artifact.files:,} files"
    told = sections(dossier)
    # Airflow's pages join lines and leave no room between paragraphs: what has to stand apart is a list or a heading.
    lines = [
        f"**{escape(artifact.name)}**, {artifact.kind.value} of {files}, {artifact.size:,} bytes",
        "",
        f"- `sha256:{artifact.digest}`",
        f"- {_checks(dossier.sets.values())}",
        f"- [All evidence, verified as you open it]({evidence_url(dag_id, artifact.digest)})",
        f"- [What was said since, and what others answered]({request_url(dag_id, artifact.digest, request_digest)})",
        *_terms(request, request_digest),
        *_listed("What is missing", request.missing or ("nothing that was asked for",)),
        *_listed("What changed since the last release", request.changes),
    ]
    known = {item.digest for item in request.shown}
    for name, evidence in told:
        title = f"About the {escape(name)} that it was made from" if name else f"About the {artifact.kind.value}"
        lines += ["", *_table(title, evidence, known, dag_id)]
    if (others := unshown(dossier)) > 0:
        lines += ["", f"It was made from {others} more, which don't stand here: see `mlsecops graph`."]
    trigger, run = escape(request.triggered_by), escape(run_id)
    lines += [
        "",
        f"Asked by run {run}, triggered by {trigger}.",
        "",
        "Your answer is signed together with this digest. It approves these bytes and no others.",
    ]
    return "\n".join(lines)


def _checks(sets: Iterable[EvidenceSet]) -> str:
    """In one line, what the newest results of all controls say, also those not shown below; the worst by name."""
    rows = [row for evidence in sets for row in newest(evidence)[0] if row[0].slug == TEST_RESULT.slug]
    if not rows:
        return "**No control has checked anything about it.**"
    bad = [escape(row.what) for tone in (Tone.BAD, Tone.WARN) for _, row in rows if row.tone is tone]
    count = f"{len(rows)} check{'' if len(rows) == 1 else 's'}"
    return f"**{len(bad)} of {count} found something: {', '.join(bad)}.**" if bad else f"{count}, and all passed."


def _terms(request: ApprovalRequest, request_digest: str) -> list[str]:
    who = ", ".join(map(escape, request.able)) or "everybody with the right to answer"
    lines = [
        *("", "### Whose answer counts", ""),
        f"- To approve: **{request.quorum}** of {who}; one rejection ends it.",
        f"- Not of those who triggered the run, made or signed it: {', '.join(map(escape, request.excluded))}.",
        f"- Open until {escape(f'{request.expires_at:%Y-%m-%d %H:%M} UTC')}.",
    ]
    if request.reason_required:
        lines.append("- An approval needs a reason.")
    if request.level is Assurance.SIGNED:
        lines += [
            "- **Only an approval that you sign yourself counts.** What is given here is recorded, and may reject.",
            f"- On your own machine: `mlsecops approve {request_digest}`",
        ]
    return lines


def _listed(title: str, lines: Iterable[str]) -> list[str]:
    told = [f"- {escape(line)}" for line in lines]
    return ["", f"### {title}", "", *told] if told else []


def _table(title: str, evidence: EvidenceSet, known: Set[str], dag_id: str) -> list[str]:
    lines = [f"### {title}", "", f"`sha256:{evidence.subject}`", ""]
    lines += ["| what | says | because | signed by | when (UTC) |", "|---|---|---|---|---|"]
    rows, older = newest(evidence)
    lines += [_row(item, told, evidence.subject, known, dag_id) for item, told in rows] or [_NOTHING]
    return [*lines, "", f"{older} older statement(s) of the same kind are not shown."] if older else lines


def _row(item: Evidence, told: Described, subject: str, known: Set[str], dag_id: str) -> str:
    when = told_time(told)[:19].replace("T", " ")
    page = report_url if _has_report(item) else statement_url
    since = "" if item.digest in known else " (new since it was asked)"
    what = f"[{escape(told.what)}]({page(dag_id, subject, item.digest)}){since}"
    says = _MARKS[told.tone] + (f"**{escape(told.verdict)}**" if told.tone in _LOUD else escape(told.verdict))
    cells = (what, says, escape(told.summary), escape(item.signer), escape(when))
    return f"| {' | '.join(cells)} |"


def _has_report(item: Evidence) -> bool:
    if item.slug != TEST_RESULT.slug:
        return False
    extension = item.statement.predicate.get(control_run.CONTROL_RUN)
    blobs = extension.get("blobs") if isinstance(extension, dict) else None
    return any(isinstance(blob, dict) and blob.get("name") == REPORT for blob in blobs or ())
