"""What an approver is asked: the artifact, its digest, and what every control said, as data and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.evidence import Evidence, EvidenceSet
from airflow_mlsecops.core.policy import Dossier
from airflow_mlsecops.core.telling import Described, describe, told_time

_SPECIAL = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~&:@])")


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
        "",
        *_section(f"About the {artifact.kind.value}", artifact.digest, dossier.sets[artifact.digest]),
    ]
    for name, digest in dossier.datasets:
        title = f"About the data set {escape(name)} it was trained on"
        lines += ["", *_section(title, digest, dossier.sets[digest])]
    if not dossier.datasets:
        lines += ["", "**No data set is named by any verified provenance.**"]
    trigger = escape(str(run.get("triggered_by") or "nobody known"))
    lines += ["", f"Asked by run {escape(str(run.get('run_id', '')))}, triggered by {trigger}."]
    if link:
        lines += ["", f"[All evidence, verified as you open it]({link})"]
    lines += ["", "Your answer is signed together with this digest. It approves these bytes and no others."]
    return ApprovalRequest(document, "\n".join(lines), evidence)


def _section(title: str, digest: str, evidence: EvidenceSet) -> list[str]:
    lines = [f"### {title}", "", f"`sha256:{digest}`", "", "| what | says | because | signed by | when (UTC) |"]
    lines.append("|---|---|---|---|---|")
    newest, older = _newest(evidence.verified)
    lines += [_row(item, told) for item, told in newest] or ["| nothing | **missing** | no verified evidence | | |"]
    for item in (*evidence.refused, *evidence.broken):
        lines.append(f"| {escape(item.key.split('/')[2])} | **not counted** | {escape(item.reason)} | | |")
    return [*lines, "", f"{older} older statement(s) of the same kind are not shown."] if older else lines


def _newest(verified: Sequence[Evidence]) -> tuple[list[tuple[Evidence, Described]], int]:
    """Of each kind of statement the newest, in the order in which they were made, and how many others there are."""
    latest: dict[str, tuple[Evidence, Described]] = {}
    for item in verified:
        told = describe(item.statement)
        kind = told.series or told.what
        if kind not in latest or told_time(told) > told_time(latest[kind][1]):
            latest[kind] = (item, told)
    rows = sorted(latest.values(), key=lambda row: told_time(row[1]))
    return rows, len(verified) - len(rows)


def _row(item: Evidence, told: Described) -> str:
    when = told_time(told)[:19].replace("T", " ")
    cells = (escape(told.what), f"**{escape(told.verdict)}**", escape(told.summary), escape(item.signer), escape(when))
    return f"| {' | '.join(cells)} |"
