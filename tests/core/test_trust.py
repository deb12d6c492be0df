"""The trust policy: read strictly, and what it allows whom at what time."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import MlsecopsError, SignatureError, StatementError, TrustError
from airflow_mlsecops.core.evidence import verify_bundle
from airflow_mlsecops.core.predicates import PROVENANCE, VERIFICATION_SUMMARY, signature
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.trust import TrustPolicy
from tests.support.evidence import (
    NOW,
    RUN,
    approval_statement,
    artifact,
    bundle,
    control_statement,
    key,
    provenance_statement,
    trust,
    trust_bytes,
)
from tests.support.refused import TRUST_POLICIES

PEM = key("pipeline").public_key.pem
HOUR = timedelta(hours=1)


def test_a_policy_as_people_write_it() -> None:
    indented = PEM.replace("\n", "\n      ")
    data = f"""
# who may sign what
version: 1
signers:
  - name: pipeline
    public_key: |
      {indented}
    roles: [control, "control:label-poisoning", provenance, sign]
    not_before: 2026-01-01T00:00:00Z
    not_after: 2027-01-01T00:00:00+02:00
""".encode()

    policy = TrustPolicy.from_bytes(data)

    signer = policy.signer(key("pipeline").public_key.hint)
    assert signer.roles == {"control", "control:label-poisoning", "provenance", "sign"}
    assert signer.not_before is not None
    assert to_text(signer.not_before) == "2026-01-01T00:00:00.000000Z"
    assert signer.not_after is not None
    assert to_text(signer.not_after) == "2026-12-31T22:00:00.000000Z"
    assert policy.digest == sha256_bytes(data)


@pytest.mark.parametrize("case", TRUST_POLICIES)
def test_a_policy_that_is_not_exactly_right_is_refused(case: str) -> None:
    with pytest.raises(TrustError):
        TrustPolicy.from_bytes(TRUST_POLICIES[case])


def test_a_small_file_that_means_a_huge_value_is_refused_with_a_short_message() -> None:
    huge = "x"
    for level in range(12):  # each level stands ten times in the next: 10**12 items, if they were written out
        huge = f"[&a{level} {huge}, " + ", ".join([f"*a{level}"] * 9) + "]"

    for template in ("version: {0}", "{{version: 1, signers: [{0}]}}", "{{version: 1, signers: [{{name: {0}}}]}}"):
        with pytest.raises(TrustError) as caught:
            TrustPolicy.from_bytes(template.format(huge).encode())
        assert len(str(caught.value)) < 1000


ROLE_CASES: list[tuple[Statement, str]] = [
    (control_statement(artifact(), "data-validation", Verdict.PASS, NOW), "control"),
    (provenance_statement(artifact(), [], NOW), "provenance"),
    (signature.build(artifact(), signed_at=NOW, evidence=[], run=RUN), "sign"),
    (approval_statement(artifact(), "alice", "approved", NOW), "approve"),
    (Statement.build([artifact()], VERIFICATION_SUMMARY.uri, {}), "gate"),
]
ROLES = ["control", "provenance", "sign", "approve", "gate"]


@pytest.mark.parametrize("statement, needed", ROLE_CASES, ids=[role for _, role in ROLE_CASES])
@pytest.mark.parametrize("role", ROLES)
def test_each_kind_of_statement_needs_its_own_role(statement: Statement, needed: str, role: str) -> None:
    signed = bundle(statement)

    if role == needed:
        assert verify_bundle(signed, trust({"pipeline": [role]}), NOW).signer == "pipeline"
    else:
        with pytest.raises(TrustError, match="has roles"):
            verify_bundle(signed, trust({"pipeline": [role]}), NOW)
    others = [other for other in ROLES if other != needed]
    with pytest.raises(TrustError):
        verify_bundle(signed, trust({"pipeline": others}), NOW)


def test_a_role_for_one_control_is_none_for_another() -> None:
    statement = control_statement(artifact(), "label-poisoning", Verdict.PASS, NOW)
    signed = bundle(statement)

    assert verify_bundle(signed, trust({"pipeline": ["control:label-poisoning"]}), NOW)
    for roles in (["control:data-validation"], ["control:label-poisoning2"], ["control:label"], ["control:sign"]):
        with pytest.raises(TrustError, match="has roles"):
            verify_bundle(signed, trust({"pipeline": roles}), NOW)


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(TrustError, match="not in the trust policy"):
        verify_bundle(bundle(signer="stranger"), trust(), NOW)


def test_a_known_keys_name_does_not_make_anothers_signature_good() -> None:
    forged = json.loads(bundle(signer="stranger").raw)
    forged["verificationMaterial"]["publicKey"]["hint"] = key("pipeline").public_key.hint

    with pytest.raises(SignatureError):
        verify_bundle(type(bundle()).parse(canonical_json(forged)), trust(), NOW)


@pytest.mark.parametrize(
    "limits, good",
    [
        ({"not_before": NOW, "not_after": NOW}, True),
        ({"not_before": NOW - HOUR, "not_after": NOW + HOUR}, True),
        ({"not_before": NOW + timedelta(microseconds=1)}, False),
        ({"not_after": NOW - timedelta(microseconds=1)}, False),
        ({"not_before": NOW + HOUR, "not_after": NOW - HOUR}, False),
    ],
)
def test_a_signer_counts_only_while_it_is_valid(limits: dict[str, Any], good: bool) -> None:
    policy = trust(pipeline={name: to_text(moment) for name, moment in limits.items()})

    if good:
        assert verify_bundle(bundle(), policy, NOW)
    else:
        with pytest.raises(TrustError, match="valid"):
            verify_bundle(bundle(), policy, NOW)


def test_a_predicate_that_nobody_knows_counts_for_nothing() -> None:
    statement = Statement.build([artifact()], "https://example.com/unknown/v1", {})

    with pytest.raises(StatementError, match="unknown predicate type"):
        verify_bundle(bundle(statement), trust(), NOW)


@pytest.mark.parametrize("uri", [PROVENANCE.uri + "/", PROVENANCE.uri.upper(), " " + PROVENANCE.uri, ""])
def test_a_predicate_type_is_compared_exactly(uri: str) -> None:
    with pytest.raises(MlsecopsError):
        verify_bundle(bundle(Statement.build([artifact()], uri, {})), trust(), NOW)


def test_the_order_of_checks_tells_a_forger_nothing_about_the_roles() -> None:
    """A statement whose signature is bad is refused for that, whatever it says."""
    good = bundle(control_statement(artifact(), "data-validation", Verdict.PASS, NOW))
    value = json.loads(good.raw)
    value["dsseEnvelope"]["payload"] = json.loads(bundle().raw)["dsseEnvelope"]["payload"]

    with pytest.raises(SignatureError):
        verify_bundle(type(good).parse(canonical_json(value)), trust({"pipeline": ["gate"]}), NOW)


def test_the_digest_of_a_policy_is_that_of_its_file() -> None:
    data = trust_bytes()

    assert TrustPolicy.from_bytes(data).digest == sha256_bytes(data)
    assert TrustPolicy.from_bytes(data + b"\n").digest != sha256_bytes(data)
