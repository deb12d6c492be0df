"""What an approver is asked: the artifact, its digest, and what every control said, as data and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet
from airflow_mlsecops.core.policy import Dossier
from airflow_mlsecops.core.predicates import TEST_RESULT, control_run

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&:@])")
_MARKS = {"pass": "✅ pass", "warn": "⚠️ warn", "fail": "❌ fail"}


def escape(text: str, limit: int = 300) -> str:
    """Make text that came from data harmless in Markdown: no HTML, no links, no headings, one line."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return _SPECIAL.sub(r"\\\1", flat[:limit])


@dataclass(frozen=True)
class ApprovalRequest:
    """What was on the screen.

    Attributes:
        document: the request as data; its digest stands in the approval.
        body: the same for people, as Markdown; everything from data is escaped.
        evidence: digests of the evidence it shows.
    """

    document: Mapping[str, Any]
    body: str
    evidence: tuple[str, ...]


def build_request(
    artifact: Artifact, dossier: Dossier, *, requested_at: datetime, run: Mapping[str, Any], link: str
) -> ApprovalRequest:
    """Write the request.

    Args:
        artifact: what is to be approved.
        dossier: verified evidence about it and its data sets.
        requested_at: when it is asked.
        run: which task asks.
        link: address of the page with the evidence.
    """
    evidence = tuple(sorted({item.digest for item in dossier.verified}))
    ignored = [item for found in dossier.sets.values() for item in (*found.refused, *found.broken)]
    document = {
        "artifact": artifact.to_dict(),
        "requestedAt": to_text(requested_at),
        "evidence": list(evidence),
        "notCounted": [{"key": item.key, "code": item.code} for item in ignored],
        "run": dict(run),
    }
    lines = [
        f"**{escape(artifact.name)}** ({artifact.kind.value}), {artifact.files} file(s), {artifact.size:,} bytes",
        f"`sha256:{artifact.digest}`",
        "",
        *_section("About the " + artifact.kind.value, dossier.sets[artifact.digest]),
    ]
    for name, digest in dossier.datasets:
        lines += [
            "",
            f"`sha256:{digest}`",
            *_section(f"About the data set {escape(name)} it was trained on", dossier.sets[digest]),
        ]
    if not dossier.datasets:
        lines += ["", "**No data set is named by any verified provenance.**"]
    trigger = escape(str(run.get("triggered_by") or "nobody known"))
    lines += ["", f"Asked by run {escape(str(run.get('run_id', '')))}, triggered by {trigger}."]
    if link:
        lines += ["", f"[All evidence, verified as you open it]({link})"]
    lines += ["", "Your answer is signed together with this digest. It approves these bytes and no others."]
    return ApprovalRequest(document, "\n".join(lines), evidence)


def _section(title: str, evidence: EvidenceSet) -> list[str]:
    lines = [f"### {title}", "", "| what | verdict | summary | signed by |", "|---|---|---|---|"]
    lines += [_row(item) for item in evidence.verified] or ["| nothing | ❌ missing | no verified evidence | |"]
    for item in (*evidence.refused, *evidence.broken):
        lines.append(f"| {escape(item.key.split('/')[2])} | ❌ not counted | {escape(item.reason)} | |")
    return lines


def _row(item: Evidence) -> str:
    what, verdict, summary = item.slug, "signed", ""
    if item.slug == TEST_RESULT.slug:
        try:
            result = control_run.parse(item.statement)
            what, verdict, summary = result.control, _MARKS[result.verdict.value], result.summary
        except StatementError as error:
            verdict, summary = "❌ unreadable", error.message
    return f"| {escape(what)} | {verdict} | {escape(summary)} | {escape(item.signer)} |"
