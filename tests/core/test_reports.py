"""Findings and reports: the worst finding decides, and what a statement says is what the report said."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.predicates import (
    PROVENANCE,
    TEST_RESULT,
    VERIFICATION_SUMMARY,
    approval,
    control_run,
    predicate_by_slug,
    predicate_by_uri,
    provenance,
    signature,
    types,
    vsa,
)
from airflow_mlsecops.core.report import Report, Verdict, verdict_of
from airflow_mlsecops.core.statement import Statement
from tests.support.evidence import (
    NOW,
    RUN,
    approval_statement,
    artifact,
    control_statement,
    provenance_statement,
)

MODEL, DATA = artifact(), artifact("data", Kind.DATASET)
FINDINGS = st.builds(Finding, st.text(max_size=9), st.sampled_from(Severity), st.text(max_size=9), st.text(max_size=9))


@pytest.mark.parametrize(
    "severities, verdict",
    [
        ([], Verdict.PASS),
        (["info"], Verdict.PASS),
        (["info", "warning", "info"], Verdict.WARN),
        (["warning", "critical", "info"], Verdict.FAIL),
    ],
)
def test_the_worst_finding_decides(severities: list[str], verdict: Verdict) -> None:
    assert verdict_of(tuple(Finding("r", Severity(item), "m") for item in severities)) is verdict


def test_only_a_failed_report_is_false() -> None:
    assert [bool(Report(MODEL, "c", verdict, "s")) for verdict in Verdict] == [True, True, False]


@given(st.sampled_from(Verdict), st.lists(FINDINGS, max_size=4), st.text(max_size=20), st.floats())
def test_a_control_run_says_what_the_report_said(
    verdict: Verdict, findings: list[Finding], summary: str, number: float
) -> None:
    report = Report(MODEL, "scan", verdict, summary, tuple(findings), {"n": number}, {"p": number})
    canonical_json(report.to_dict())

    statement = control_run.build(report, finished_at=NOW, run=RUN, report_blob="0" * 64, blobs={})
    result = control_run.parse(Statement.parse(statement.payload))

    assert (result.control, result.verdict, result.finished_at, result.summary) == ("scan", verdict, NOW, summary)
    assert list(result.findings) == [finding.to_dict() for finding in findings]


def test_findings_in_a_statement_are_bounded_and_counted() -> None:
    report = Report(
        MODEL, "scan", Verdict.FAIL, "s", tuple(Finding("r", Severity.INFO, "m" * 9999) for _ in range(999))
    )

    statement = control_run.build(report, finished_at=NOW, run=RUN, report_blob="0" * 64, blobs={})

    assert len(statement.payload) < 100_000
    claim = statement.predicate[control_run.CONTROL_RUN]
    assert (len(claim["findings"]), claim["findingsTotal"]) == (control_run.MAX_FINDINGS, 999)
    assert len(report.to_dict()["findings"]) == 999


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("result", ["PASSED", "WARNED", "FAILED", "passed", "", None])
def test_a_verdict_that_contradicts_the_result_is_refused(verdict: Verdict, result: str | None) -> None:
    good = control_statement(MODEL, "scan", verdict, NOW)
    changed = Statement.build([MODEL], TEST_RESULT.uri, {**good.predicate, "result": result})

    if result == good.predicate["result"]:
        assert control_run.parse(changed).verdict is verdict
    else:
        with pytest.raises(StatementError, match="contradicts"):
            control_run.parse(changed)


def test_a_verdict_that_does_not_exist_is_refused() -> None:
    good = control_statement(MODEL, "scan", Verdict.PASS, NOW)
    claim = {**good.predicate[control_run.CONTROL_RUN], "verdict": "great"}

    with pytest.raises(StatementError, match="unknown verdict 'great'"):
        control_run.parse(Statement.build([MODEL], TEST_RESULT.uri, {**good.predicate, control_run.CONTROL_RUN: claim}))


def test_provenance_names_its_inputs() -> None:
    read = provenance.parse(provenance_statement(MODEL, [DATA, artifact("base")], NOW))

    assert read.finished_at == NOW
    assert [(item.name, item.kind, item.digest) for item in read.dependencies] == [
        ("data", "dataset", DATA.digest),
        ("base", "model", artifact("base").digest),
    ]
    assert [item.name for item in read.datasets()] == ["data"]
    assert (read.parameters, read.run) == ({"seed": 1}, RUN)


@pytest.mark.parametrize(
    "path, value",
    [
        (("buildDefinition",), None),
        (("buildDefinition", "buildType"), "https://example.com/another/v1"),
        (("buildDefinition", "resolvedDependencies"), {}),
        (("buildDefinition", "resolvedDependencies"), [None]),
        (("buildDefinition", "resolvedDependencies"), [{"name": "a", "annotations": {"kind": "dataset"}}]),
        (("buildDefinition", "resolvedDependencies"), [{"name": "a", "digest": {"sha256": "0" * 64}}]),
        (("buildDefinition", "resolvedDependencies", 0, "digest", "sha256"), "../../x"),
        (("buildDefinition", "externalParameters"), []),
        (("runDetails",), {}),
        (("runDetails", "metadata", "finishedOn"), "yesterday"),
    ],
)
def test_provenance_that_cannot_be_relied_on_is_refused(path: tuple[Any, ...], value: Any) -> None:
    predicate = json.loads(provenance_statement(MODEL, [DATA], NOW).payload)["predicate"]
    part = predicate
    for step in path[:-1]:
        part = part[step]
    part[path[-1]] = value

    with pytest.raises(StatementError):
        provenance.parse(Statement.build([MODEL], PROVENANCE.uri, predicate))


def test_the_other_statements_are_read_back() -> None:
    signed = signature.parse(signature.build(MODEL, signed_at=NOW, evidence=["1" * 64], run=RUN))
    assert (signed.signed_at, signed.name, signed.kind) == (NOW, "model", "model")

    later = NOW + timedelta(days=1)
    approved = approval.parse(approval_statement(MODEL, "alice", "rejected", NOW, later))
    assert (approved.decision, approved.approver) == (approval.Decision.REJECTED, "alice")
    assert (approved.decided_at, approved.expires_at, approved.reason) == (NOW, later, "looks right")
    assert approval.parse(approval_statement(MODEL, "alice", "approved", NOW)).expires_at is None

    summary = vsa.parse(
        vsa.build(
            MODEL,
            passed=False,
            verified_at=NOW,
            policy_name="p",
            policy_digest="1" * 64,
            trust_digest="2" * 64,
            evidence=["4" * 64, "3" * 64],
            reasons=["no \udc80 reason"] * 500,
            run=RUN,
        )
    )
    assert (summary.passed, summary.verified_at) == (False, NOW)
    assert (summary.policy, summary.trust, summary.evidence) == ("1" * 64, "2" * 64, ("3" * 64, "4" * 64))


STATEMENTS = [
    control_statement(MODEL, "scan", Verdict.PASS, NOW),
    provenance_statement(MODEL, [], NOW),
    signature.build(MODEL, signed_at=NOW, evidence=[], run=RUN),
    approval_statement(MODEL, "alice", "approved", NOW),
    Statement.build([MODEL], VERIFICATION_SUMMARY.uri, {}),
]
PARSERS = [control_run.parse, provenance.parse, signature.parse, approval.parse, vsa.parse]


@pytest.mark.parametrize("statement", STATEMENTS, ids=lambda item: predicate_by_uri(item.predicate_type).slug)
@pytest.mark.parametrize("number", range(len(PARSERS)))
def test_a_parser_reads_its_own_kind_only(statement: Statement, number: int) -> None:
    if statement is STATEMENTS[number]:
        return
    with pytest.raises(StatementError, match="expected http"):
        PARSERS[number](statement)


def test_kinds_are_found_by_uri_and_by_slug() -> None:
    for kind in types._ALL:
        assert predicate_by_uri(kind.uri) is predicate_by_slug(kind.slug) is kind
    with pytest.raises(StatementError):
        predicate_by_uri("https://example.com/")
    with pytest.raises(StatementError):
        predicate_by_slug("")
