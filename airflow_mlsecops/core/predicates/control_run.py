"""A control ran: in-toto test-result v0.1, with one namespaced extension.

Source: https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md
The extension's key is its own URI, so that it can't collide with a field that the format gains later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.canonical import canonical_json, jsonable
from airflow_mlsecops.core.clock import from_text, to_text
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates.fields import mapping, objects, text
from airflow_mlsecops.core.predicates.types import OURS, TEST_RESULT
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.core.statement import Statement

CONTROL_RUN = f"{OURS}/control-run/v1"
MAX_FINDINGS = 50
"""How many findings stand in the statement; the report blob has all of them."""

_RESULTS = {Verdict.PASS: "PASSED", Verdict.WARN: "WARNED", Verdict.FAIL: "FAILED"}
_LISTS = {Verdict.PASS: "passedTests", Verdict.WARN: "warnedTests", Verdict.FAIL: "failedTests"}


@dataclass(frozen=True)
class ControlResult:
    """What a verified test-result statement says."""

    control: str
    verdict: Verdict
    finished_at: datetime
    summary: str
    metrics: Mapping[str, Any]
    findings: tuple[Mapping[str, Any], ...]


def build(
    report: Report, *, finished_at: datetime, run: Mapping[str, Any], report_blob: str, blobs: Mapping[str, str]
) -> Statement:
    """The statement that a control's report becomes.

    Args:
        report: what the control returned.
        finished_at: when it finished (UTC).
        run: which orchestrator's task ran it.
        report_blob: digest of the full report in the store.
        blobs: name -> digest of the further blobs.
    """
    parameters = jsonable(dict(report.parameters))
    digest = sha256_bytes(canonical_json(parameters))
    configuration = {"name": "parameters", "digest": {"sha256": digest}, "annotations": parameters}
    outputs = [
        {"name": name, "uri": made.uri, "digest": {"sha256": made.digest}} for name, made in report.outputs.items()
    ]
    predicate = {
        "result": _RESULTS[report.verdict],
        "configuration": [configuration],
        "passedTests": [],
        "warnedTests": [],
        "failedTests": [],
        CONTROL_RUN: {
            "control": report.control,
            "verdict": report.verdict.value,
            "summary": report.summary[:1000],
            "finishedAt": to_text(finished_at),
            "metrics": dict(report.metrics),
            "findings": [finding.to_dict() for finding in report.findings[:MAX_FINDINGS]],
            "findingsTotal": len(report.findings),
            "tools": dict(report.tools),
            "artifact": {"kind": report.subject.kind.value, "form": report.subject.form.value},
            "report": {"digest": {"sha256": report_blob}},
            "blobs": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(blobs.items())],
            **({"outputs": outputs} if outputs else {}),
            "run": dict(run),
        },
    }
    predicate[_LISTS[report.verdict]] = [report.control]
    return Statement.build([report.subject], TEST_RESULT.uri, predicate)


def parse(statement: Statement) -> ControlResult:
    """Read a test-result statement; both places that name the verdict must agree.

    Raises:
        StatementError: if it isn't one of ours, or contradicts itself.
    """
    if statement.predicate_type != TEST_RESULT.uri:
        raise StatementError(f"expected {TEST_RESULT.uri}, got {statement.predicate_type}")
    extension = mapping(statement.predicate, CONTROL_RUN)
    try:
        verdict = Verdict(text(extension, "verdict"))
    except ValueError as error:
        raise StatementError(f"unknown verdict {extension.get('verdict')!r}") from error
    if statement.predicate.get("result") != _RESULTS[verdict]:
        raise StatementError(f"result {statement.predicate.get('result')!r} contradicts verdict {verdict.value!r}")
    return ControlResult(
        control=text(extension, "control"),
        verdict=verdict,
        finished_at=from_text(text(extension, "finishedAt")),
        summary=text(extension, "summary"),
        metrics=mapping(extension, "metrics"),
        findings=tuple(objects(extension, "findings")),
    )
