"""What people are asked, and under which terms: terms that nobody can meet are refused when written and when read."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.predicates import approval_request
from airflow_mlsecops.core.predicates.approval import Assurance
from airflow_mlsecops.core.statement import Statement
from tests.support.evidence import NOW, approval_request_statement, approval_statement, artifact

PEOPLE = ["alice", "bob", "carol"]


def test_what_is_written_is_read() -> None:
    read = approval_request.parse(approval_request_statement(artifact(), PEOPLE, NOW, quorum=2, level=Assurance.SIGNED))

    assert (read.quorum, read.level, read.approvers) == (2, "signed", ("alice", "bob", "carol"))
    assert (read.triggered_by, read.excluded) == ("dave", ("dave",))
    assert read.expires_at - read.requested_at == timedelta(days=1)
    assert [item.verdict for item in read.shown] == ["pass"]


def test_everybody_with_the_right_may_be_asked() -> None:
    assert approval_request.parse(approval_request_statement(artifact(), [], NOW, quorum=5)).approvers == ()


@pytest.mark.parametrize(
    ("terms", "field", "value", "words"),
    [
        ({"quorum": 0}, "quorum", 0, "quorum of 1 or more"),
        ({"quorum": 4}, "quorum", 4, "got 3"),
        ({"quorum": 3, "excluded": ("bob",)}, "quorum", 4, "who may answer"),
        ({"valid_for": timedelta()}, "validForSeconds", 0, "a second up to"),
        ({"triggered_by": " "}, "triggeredBy", " ", "who triggered"),
        ({"expires_at": NOW}, "expiresAt", "2026-03-01T12:00:00.000000Z", "end after the start"),
    ],
)
def test_terms_that_cannot_be_met_are_refused(terms: dict[str, Any], field: str, value: Any, words: str) -> None:
    with pytest.raises(StatementError, match=words):
        approval_request_statement(artifact(), PEOPLE, NOW, **terms)

    good = json.loads(approval_request_statement(artifact(), PEOPLE, NOW).payload)
    good["predicate"][field] = value
    with pytest.raises(StatementError):
        approval_request.parse(Statement.parse(json.dumps(good).encode()))


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("level", "believed", "recorded or signed"),
        ("quorum", True, "whole number"),
        ("validForSeconds", 10**30, "no duration"),
        ("validForSeconds", "1", "whole number"),
        ("reasonRequired", "no", "true or false"),
    ],
)
def test_fields_of_another_kind_are_refused(field: str, value: Any, words: str) -> None:
    good = json.loads(approval_request_statement(artifact(), PEOPLE, NOW).payload)
    good["predicate"][field] = value
    with pytest.raises(StatementError, match=words):
        approval_request.parse(Statement.parse(json.dumps(good).encode()))


def test_an_answer_is_no_request() -> None:
    with pytest.raises(StatementError, match="approval-request/v1, got"):
        approval_request.parse(approval_statement(artifact(), "alice", "approved", NOW))
