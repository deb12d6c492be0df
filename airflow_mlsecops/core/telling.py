"""What a statement says, for people: one function per predicate, in one visible table.

The command line, the approval page and the evidence page all tell it in these words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.core.policy import Reason
from airflow_mlsecops.core.predicates import (
    ALARM,
    APPROVAL,
    APPROVAL_REQUEST,
    BOM,
    PROMOTION,
    PROVENANCE,
    REVOCATION,
    SIGNATURE,
    TEST_RESULT,
    VERIFICATION_SUMMARY,
    WAIVER,
    alarm,
    approval,
    approval_request,
    bom,
    control_run,
    predicate_by_uri,
    promotion,
    provenance,
    revocation,
    signature,
    vsa,
    waiver,
)
from airflow_mlsecops.core.statement import Statement


class Tone(StrEnum):
    """How a word is to be read; the colour follows from it, and never says more than the word."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    PLAIN = "plain"


WORST_FIRST = (Tone.BAD, Tone.WARN, Tone.GOOD, Tone.PLAIN)


def worst(tones: Iterable[Tone]) -> Tone:
    """The worst of several; plain if there is none."""
    return min(tones, key=WORST_FIRST.index, default=Tone.PLAIN)


@dataclass(frozen=True)
class Seen:
    """One thing that a control saw; see :class:`airflow_mlsecops.core.findings.Finding`."""

    rule: str
    severity: str
    message: str
    where: str
    techniques: tuple[str, ...]

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Seen:
        """From a statement, whose signer may have left out anything."""
        rule, severity, message, where = (str(value.get(key, "")) for key in ("rule", "severity", "message", "where"))
        techniques = value.get("techniques")
        return cls(rule, severity, message, where, tuple(map(str, techniques if isinstance(techniques, list) else ())))


@dataclass(frozen=True)
class Described:
    """One statement, told.

    Attributes:
        what: the control, or the kind of claim.
        verdict: one word.
        tone: how to read it.
        summary: one sentence.
        line: all of it in one short line.
        when: the time that the statement gives; ``None`` if it can't be read.
        series: of the statements in one series only the newest counts; empty if this one stands alone.
        findings: what a control saw.
        findings_total: how many there were; the statement holds a bounded number.
        facts: group -> name -> value, for those who want to know more.
    """

    what: str
    verdict: str
    tone: Tone
    summary: str
    line: str
    when: datetime | None = None
    series: str = ""
    findings: tuple[Seen, ...] = ()
    findings_total: int = 0
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def describe(statement: Statement) -> Described:
    """Tell a statement; believe none of it before its signature is verified.

    One that can't be read is told as such: a gate counts it as NO.
    """
    describer = _DESCRIBERS.get(statement.predicate_type)
    if describer is None:
        what = f"unknown predicate {statement.predicate_type[:200]}"
        return Described(what, "unreadable", Tone.BAD, "This kind of statement isn't read here.", what)
    try:
        return describer(statement)
    except MlsecopsError as error:
        slug = predicate_by_uri(statement.predicate_type).slug
        return Described(slug, "unreadable", Tone.BAD, error.message, f"unreadable: {error.message}")


def told_time(told: Described) -> str:
    """When it was said, as in the statement; empty if it can't be read."""
    return to_text(told.when) if told.when else ""


def run_of(statement: Statement) -> Mapping[str, Any]:
    """Which task of which run the statement says it is from; empty if it doesn't say so in the usual place."""
    if statement.predicate_type == BOM.uri:
        return bom.run_of(statement)
    value: Any = statement.predicate
    for key in _RUN_PLACES.get(statement.predicate_type, ()):
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def dag_of(statement: Statement) -> str:
    """The Dag that the statement says it is from; empty if it names none."""
    dag_id = run_of(statement).get("dag_id")
    return dag_id if isinstance(dag_id, str) else ""


def _control(statement: Statement) -> Described:
    result, extension = control_run.parse(statement), statement.predicate[control_run.CONTROL_RUN]
    total = extension.get("findingsTotal")
    return Described(
        what=result.control,
        verdict=result.verdict.value,
        tone=Tone(result.verdict.tone),
        summary=result.summary,
        line=f"{result.verdict.value}: {result.control}",
        when=result.finished_at,
        series=f"control {result.control}",
        findings=tuple(map(Seen.of, result.findings)),
        findings_total=max(total if isinstance(total, int) else 0, len(result.findings)),
        facts={"Metrics": result.metrics, "Parameters": _parameters(statement), "Tools": _object(extension, "tools")},
    )


def _provenance(statement: Statement) -> Described:
    made = provenance.parse(statement)
    names = [f"{_KIND_WORDS.get(item.kind, item.kind)} {item.name}" for item in made.dependencies]
    return Described(
        what="provenance",
        verdict="recorded",
        tone=Tone.PLAIN,
        summary=f"Made from {', '.join(names) or 'nothing that it names'}",
        line=f"made from {', '.join(item.name for item in made.datasets()) or 'no data set'}",
        when=made.finished_at,
        facts={
            "Inputs": {name: f"sha256:{item.digest}" for name, item in zip(names, made.dependencies, strict=True)},
            "Parameters": made.parameters,
        },
    )


def _signature(statement: Statement) -> Described:
    signed = signature.parse(statement)
    return Described(
        what="signature",
        verdict="signed",
        tone=Tone.GOOD,
        summary=f"These bytes are the {signed.kind} {signed.name}",
        line=f"signed as {signed.kind} {signed.name}",
        when=signed.signed_at,
    )


def _approval(statement: Statement) -> Described:
    said = approval.parse(statement)
    approved = said.decision is approval.Decision.APPROVED
    until = {"Counts until": said.expires_at.isoformat(timespec="seconds")} if said.expires_at else {}
    return Described(
        what="approval",
        verdict=said.decision.value,
        tone=Tone.GOOD if approved else Tone.BAD,
        summary=f"{said.approver}: {said.reason or 'no reason given'}",
        line=f"{said.decision.value} by {said.approver}"
        + (f" until {to_text(said.expires_at)}" if said.expires_at else ""),
        when=said.decided_at,
        series=f"approval {said.approver}",
        facts={"Decision": {"Identity": _IDENTITY[said.assurance], **until}},
    )


def _approval_request(statement: Statement) -> Described:
    asked = approval_request.parse(statement)
    until = to_text(asked.expires_at)
    return Described(
        what="approval request",
        verdict="asked",
        tone=Tone.PLAIN,
        summary=f"{asked.quorum} of {', '.join(asked.approvers) or 'everybody with the right'} until {until}",
        line=f"{asked.quorum} approval(s) asked for until {until}, {asked.level}",
        when=asked.requested_at,
        facts={"Request": {"Triggered by": asked.triggered_by, "Missing": "; ".join(asked.missing) or "nothing"}},
    )


def _gate(statement: Statement) -> Described:
    summary, reasons = vsa.parse(statement), gate_reasons(statement)
    said = f"{'Released' if summary.passed else 'Refused'} under policy {policy_name(statement)}"
    return Described(
        what="release gate",
        verdict="yes" if summary.passed else "no",
        tone=Tone.GOOD if summary.passed else Tone.BAD,
        summary=said,
        line=f"{'released' if summary.passed else 'not released'} under policy sha256:{summary.policy[:12]}…",
        when=summary.verified_at,
        series=f"policy {summary.policy}",
        facts={
            "Reasons": {reason.code or "no code": reason.text for reason in reasons},
            "Policy": {"sha256": summary.policy, "statements counted": len(summary.evidence)},
        },
    )


def _revocation(statement: Statement) -> Described:
    said = revocation.parse(statement)
    return Described(
        what="revocation",
        verdict="revoked",
        tone=Tone.BAD,
        summary=f"{said.by}: {said.reason}",
        line=f"{said.target} revoked by {said.by}, {said.cause}",
        when=said.revoked_at,
        facts={"Revocation": {"Target": said.target.value, "Cause": said.cause.value, "Since": to_text(said.since)}},
    )


def _bom(statement: Statement) -> Described:
    bill = bom.parse(statement)
    licences = ", ".join(bill.subject.licences) or "no licence"
    data = ", ".join(part.name for part in bill.datasets()) or "no data set"
    packages = sum(part.type == "library" for part in bill.parts)
    return Described(
        what="bill of materials",
        verdict="recorded",
        tone=Tone.PLAIN,
        summary=f"{bill.subject.name}: {licences}; {data}; {packages} packages",
        line=f"bill of materials of {bill.subject.name}, {licences}",
        when=bill.made_at,
        facts={
            "Licences": {part.name: ", ".join(part.licences) or "none" for part in (bill.subject, *bill.datasets())}
        },
    )


def _waiver(statement: Statement) -> Described:
    said = waiver.parse(statement)
    until = to_text(said.expires_at)
    return Described(
        what="waiver",
        verdict="waived",
        tone=Tone.WARN,
        summary=f"{said.by}: {said.reason}",
        line=f"{said.requirement} of {said.policy} waived by {said.by} until {until}",
        when=said.waived_at,
        facts={"Waiver": {"Policy": said.policy, "Requirement": said.requirement, "Counts until": until}},
    )


def _promotion(statement: Statement) -> Described:
    said = promotion.parse(statement)
    release = said.release
    done = "rolled back to" if release.action is promotion.Action.ROLLBACK else "promoted to"
    return Described(
        what="promotion",
        verdict=release.action.value,
        tone=Tone.PLAIN,
        summary=f"{release.name} {release.version} to {release.stage}"
        + (f": {release.reason}" if release.reason else ""),
        line=f"{done} {release.stage} as {release.name} {release.version}",
        when=said.promoted_at,
        series=f"stage {release.name}/{release.stage}",
        facts={"Policy": {said.policy_name: f"sha256:{said.policy}"}},
    )


def _alarm(statement: Statement) -> Described:
    said = alarm.parse(statement)
    by = said.user or "somebody unknown"
    return Described(
        what="alarm",
        verdict=said.event.value,
        tone=Tone.BAD,
        summary=f"{by}: {said.detail}",
        line=f"{said.event.value} by {by}",
        when=said.seen_at,
    )


def gate_reasons(statement: Statement) -> tuple[Reason, ...]:
    """Why a gate said NO, as it signed it: each ``[code] sentence``."""
    reasons = _object(statement.predicate, vsa.GATE).get("reasons")
    matches = [_REASON.match(str(reason)) for reason in reasons] if isinstance(reasons, list) else []
    return tuple(Reason(match[1] or "", match[2]) for match in matches if match)


def policy_name(statement: Statement) -> str:
    """The name of the policy that a gate judged by."""
    return str(_object(statement.predicate, "policy").get("uri", "")).removeprefix("policy:")


def _parameters(statement: Statement) -> Mapping[str, Any]:
    configuration = statement.predicate.get("configuration")
    first = configuration[0] if isinstance(configuration, list) and configuration else None
    return _object(first, "annotations") if isinstance(first, dict) else {}


def _object(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


_IDENTITY = {
    approval.Assurance.RECORDED: "recorded by the orchestrator",
    approval.Assurance.SIGNED: "said to be signed by the person; a policy asks whose key it was",
}
_KIND_WORDS = {"dataset": "data set"}
_REASON = re.compile(r"(?:\[([a-z-]+)\] )?(.*)", re.DOTALL)
_DESCRIBERS: dict[str, Callable[[Statement], Described]] = {
    TEST_RESULT.uri: _control,
    PROVENANCE.uri: _provenance,
    SIGNATURE.uri: _signature,
    APPROVAL.uri: _approval,
    APPROVAL_REQUEST.uri: _approval_request,
    VERIFICATION_SUMMARY.uri: _gate,
    REVOCATION.uri: _revocation,
    BOM.uri: _bom,
    WAIVER.uri: _waiver,
    PROMOTION.uri: _promotion,
    ALARM.uri: _alarm,
}
_RUN_PLACES = {
    TEST_RESULT.uri: (control_run.CONTROL_RUN, "run"),
    PROVENANCE.uri: ("buildDefinition", "internalParameters"),
    SIGNATURE.uri: ("run",),
    APPROVAL.uri: ("run",),
    APPROVAL_REQUEST.uri: ("run",),
    VERIFICATION_SUMMARY.uri: (vsa.GATE, "run"),
    REVOCATION.uri: ("run",),
    WAIVER.uri: ("run",),
    PROMOTION.uri: ("run",),
    ALARM.uri: ("run",),
}
"""Where each predicate keeps the run that it is from."""
