"""The published schemas: what we write is valid, and what our parsers refuse the schemas refuse too."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import airflow_mlsecops.core
from airflow_mlsecops.core.artifact import Form, Kind
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.findings import Finding, Severity
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.predicates import (
    ALARM,
    APPROVAL,
    APPROVAL_REQUEST,
    PROMOTION,
    REVOCATION,
    SIGNATURE,
    TEST_RESULT,
    WAIVER,
    alarm,
    approval,
    approval_request,
    control_run,
    promotion,
    revocation,
    signature,
    waiver,
)
from airflow_mlsecops.core.report import Report, Verdict
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.trust import TrustPolicy
from tests.support.evidence import (
    NOW,
    RUN,
    alarm_statement,
    approval_request_statement,
    approval_statement,
    artifact,
    control_statement,
    key,
    promotion_statement,
    revocation_statement,
    trust_bytes,
    waiver_statement,
)
from tests.support.refused import RELEASE_POLICIES, TRUST_POLICIES, release_policy

CORE = Path(next(iter(airflow_mlsecops.core.__path__)))
SCHEMAS = {
    path.stem: path
    for folder in ("schemas", "policy/schemas", "predicates/schemas")
    for path in (CORE / folder).glob("*.json")
}


def _validator(name: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(SCHEMAS[name].read_bytes()))


def test_these_are_all() -> None:
    assert set(SCHEMAS) == {
        "alarm-v1",
        "promotion-v1",
        "signature-v1",
        "approval-v1",
        "approval-request-v1",
        "control-run-v1",
        "release-policy-v1",
        "revocation-v1",
        "trust-policy-v1",
        "waiver-v1",
    }


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_each_is_a_schema_and_says_its_name(name: str) -> None:
    schema = json.loads(SCHEMAS[name].read_bytes())

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"https://airflow-mlsecops.readthedocs.io/schemas/{name}.json"
    assert schema["title"]
    assert schema["description"]


# --- predicates -------------------------------------------------------------------------------------------------------

TREE = artifact(kind=Kind.DATASET).__class__("tree", "s3://b/t/", Kind.DATASET, Form.TREE, "0" * 64, 10, 3)  # type: ignore[arg-type]
LONG = Report(
    TREE,
    "label-poisoning",
    Verdict.FAIL,
    "s" * 5000,
    tuple(Finding("r", severity, "m" * 5000, "w" * 5000) for severity in Severity for _ in range(40)),
    {"share": 0.25, "nan": float("nan"), "nested": {"a": [1]}},
    tools={"cleanlab": "2.9"},
)
WRITTEN: dict[str, list[Statement]] = {
    "signature-v1": [
        signature.build(artifact(), signed_at=NOW, evidence=["0" * 64, "1" * 64], run=RUN),
        signature.build(TREE, signed_at=NOW, evidence=[], run={}),
        signature.build(
            TREE, signed_at=NOW, evidence=[], run={}, oms=signature.OmsReference("s3://b/t/model.sig", TREE.digest)
        ),
    ],
    "approval-v1": [
        approval_statement(artifact(), "alice", "approved", NOW, NOW + timedelta(days=1)),
        approval_statement(TREE, "bob", "rejected", NOW),
    ],
    "control-run-v1": [
        *(control_statement(artifact(), "scan", verdict, NOW) for verdict in Verdict),
        control_statement(artifact(), "scan", Verdict.FAIL, NOW, {"quarantine": artifact("bad"), "remainder": TREE}),
        control_run.build(LONG, finished_at=NOW, run={}, report_blob="0" * 64, blobs={}),
    ],
}
WRITTEN["revocation-v1"] = [
    revocation_statement("0" * 64, target, cause) for target in revocation.Target for cause in revocation.Cause
]
WRITTEN["waiver-v1"] = [waiver_statement(artifact(), "scan", NOW, NOW + timedelta(days=1))]
WRITTEN["promotion-v1"] = [
    promotion_statement(artifact(), previous="0" * 64, replaces="1" * 64),
    promotion_statement(TREE),
]
WRITTEN["alarm-v1"] = [alarm_statement()]
WRITTEN["approval-request-v1"] = [approval_request_statement(artifact(), ["alice", "bob"], NOW)]
PARSERS: dict[str, tuple[str, Callable[[Statement], object]]] = {
    "signature-v1": (SIGNATURE.uri, signature.parse),
    "approval-request-v1": (APPROVAL_REQUEST.uri, approval_request.parse),
    "approval-v1": (APPROVAL.uri, approval.parse),
    "alarm-v1": (ALARM.uri, alarm.parse),
    "promotion-v1": (PROMOTION.uri, promotion.parse),
    "revocation-v1": (REVOCATION.uri, revocation.parse),
    "waiver-v1": (WAIVER.uri, waiver.parse),
    "control-run-v1": (TEST_RESULT.uri, control_run.parse),
}


def _claim(name: str, statement: Statement) -> dict[str, Any]:
    """The part of the predicate that the schema describes."""
    predicate = dict(json.loads(statement.payload)["predicate"])
    return dict(predicate[control_run.CONTROL_RUN]) if name == "control-run-v1" else predicate


def _parse(name: str, statement: Statement, claim: Mapping[str, Any]) -> None:
    uri, parse = PARSERS[name]
    predicate = dict(claim)
    if name == "control-run-v1":
        predicate = {**statement.predicate, control_run.CONTROL_RUN: claim}
    parse(Statement.build([artifact()], uri, predicate))


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_what_we_write_is_valid(name: str) -> None:
    for statement in WRITTEN[name]:
        _validator(name).validate(_claim(name, statement))


WRONG: list[Any] = [None, True, -1, 0.5, "", "x", [], ["x"], [{}], [None], {}, {"x": None}, "2026-13-01T00:00:00Z"]


def _changes(value: Any) -> Iterator[tuple[str, Any]]:
    """Every copy of ``value`` in which one part, at any depth, is missing or something else."""
    if isinstance(value, dict):
        for key in value:
            yield f"without {key}", {other: item for other, item in value.items() if other != key}
            for wrong in WRONG:
                yield f"{key} is {wrong!r}", {**value, key: wrong}
            for what, item in _changes(value[key]):
                yield f"{key}: {what}", {**value, key: item}
    if isinstance(value, list) and value:
        for what, item in _changes(value[0]):
            yield f"[0] {what}", [item, *value[1:]]


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_what_the_parser_refuses_the_schema_refuses_too(name: str) -> None:
    statement = WRITTEN[name][0]
    validator, refused = _validator(name), 0
    for what, claim in _changes(_claim(name, statement)):
        try:
            _parse(name, statement, claim)
        except StatementError:
            refused += 1
            assert not validator.is_valid(claim), f"{name} accepts what the parser refuses: {what}"
    assert refused > 20


@pytest.mark.parametrize("name", sorted(WRITTEN))
def test_fields_that_come_later_are_left_alone_by_both(name: str) -> None:
    statement = WRITTEN[name][0]
    claim = {**copy.deepcopy(_claim(name, statement)), "later": {"x": 1}}

    _validator(name).validate(claim)
    _parse(name, statement, claim)


# --- policies ---------------------------------------------------------------------------------------------------------


class _TextLoader(yaml.SafeLoader):
    """Leaves times as they are written, as JSON would have them."""


_TextLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}

BEYOND_A_SCHEMA = {
    "version-float",  # to JSON Schema 1.0 is 1
    "count-float",
    "max-age-'7d\\n'",  # '$' of a Python pattern stands also before a last line feed
    "requirement-twice-in-another-order",
    "duplicate-key",
    "duplicate-key-of-a-requirement",
    "duplicate-key-of-a-signer",
    "same-name-twice",
    "same-key-twice",
    "same-key-in-another-spelling",
    "id-twice",
    "metric-without-a-value-between",
    "metric-infinite",
    "extends-a-file-from-nowhere",
    "extends-that-climbs",
    "extends-what-is-not-shipped",
    "without-unknown",
    "longer-than-inherited",
    "time-outside-the-years",
    "instance-unknown",
    "root-inline-that-is-none",
    "root-without-a-folder",
    "revoked-unknown-signer",
    "threshold-beyond-the-signers",
    "threshold-that-nobody-can-meet",
    "log-key-twice",
    "oversized",
}


@pytest.mark.parametrize(
    "name, case",
    [("release-policy-v1", case) for case in RELEASE_POLICIES] + [("trust-policy-v1", case) for case in TRUST_POLICIES],
)
def test_a_policy_that_is_refused_is_not_valid(name: str, case: str) -> None:
    data = (RELEASE_POLICIES if name == "release-policy-v1" else TRUST_POLICIES)[case]
    try:
        value = yaml.load(data, Loader=_TextLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
        return  # refused before any schema is asked
    if case not in BEYOND_A_SCHEMA:
        assert not _validator(name).is_valid(value)


def _examples(text: str) -> list[str]:
    """The indented YAML examples in a module's docstring."""
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in re.findall(r"::\n\n((?:    .*\n|\n)+)", text)]


GOOD_RELEASE = [
    release_policy(),
    release_policy(
        {"evidence": "test-result", "of": "model", "control": "scan", "verdicts": ["warn"]}, valid_for="90m"
    ),
    release_policy({"evidence": "approval", "of": "datasets", "count": 2, "max_age": "1d", "signed_by": ["a"]}),
]
GOOD_RELEASE += [
    release_policy(
        {"id": "a", "evidence": "test-result", "of": "sources", "control": "c", "metrics": {"m": {"min": 0, "max": 1}}},
        {"id": "b", "evidence": "bom", "of": "base-models", "licences": ["MIT", "a WITH b"], "waivable": "3d"},
        {
            "evidence": "approval",
            "of": "model",
            "level": "signed",
            "approvers": ["risk", "carl"],
            "not_trainer": True,
            "requested": True,
        },
        {"evidence": "signature", "of": "all-datasets", "signer_roles": ["sign"]},
        groups={"risk": ["alice"]},
        extends=["mlsecops:dev", "mlsecops:production"],
        without={"licences": "ours", "valid_for": "they stay"},
    ),
    b"{version: 1, name: ours, extends: 'mlsecops:staging'}",
]
GOOD_TRUST = [
    trust_bytes(),
    trust_bytes(
        {"pipeline": ["ask", "sign"], "alice-key": ["sign"]},
        {
            "people": [{"id": "alice", "roles": ["ml-lead"], "accounts": {"fab": "3"}}, {"id": "bob"}],
            "release_policies": ["0" * 64, "a" * 64],
        },
        **{"alice-key": {"person": "alice"}},
    ),
    trust_bytes(
        {"pipeline": ["control:scan", "sign", "revoke"], "other": ["sign"]},
        {
            "revoked": [
                {"signer": "other", "cause": "retired", "since": "2026-01-01T00:00:00Z", "reason": "left"},
                {"identity": "a@example.com", "issuer": "https://issuer.example", "cause": "untrusted"},
                {"key": "0" * 64, "cause": "compromised"},
            ],
            "thresholds": {"sign": 2, "control:scan": 1},
            "log": {"origin": "example.com/log", "keys": [key("gate").public_key.pem], "required": False},
        },
    ),
    trust_bytes({"pipeline": ["control:scan", "sign"]}, pipeline={"not_before": "2026-01-01T00:00:00+02:00"}),
]


@pytest.mark.parametrize("data", GOOD_RELEASE)
def test_a_good_release_policy_is_valid(data: bytes) -> None:
    ReleasePolicy.from_bytes(data)
    _validator("release-policy-v1").validate(yaml.load(data, Loader=_TextLoader))


@pytest.mark.parametrize("path", sorted((CORE / "policy" / "defaults").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_release_policy_is_valid_and_names_its_schema(path: Path) -> None:
    schema = json.loads(SCHEMAS["release-policy-v1"].read_bytes())
    assert path.read_text().startswith(f"# yaml-language-server: $schema={schema['$id']}\n")
    _validator("release-policy-v1").validate(yaml.load(path.read_bytes(), Loader=_TextLoader))


def test_an_editor_can_explain_every_key_of_a_release_policy() -> None:
    schema = json.loads(SCHEMAS["release-policy-v1"].read_bytes())
    keys = {**schema["properties"], **schema["$defs"]["requirement"]["properties"]}
    assert len(keys) > 20
    for name, told in keys.items():
        assert told["title"] and told["description"], name
        shown = told.get("examples") or schema["$defs"].get(told.get("$ref", "").rpartition("/")[2], {}).get("examples")
        assert shown or "items" in told, name


@pytest.mark.parametrize("data", GOOD_TRUST)
def test_a_good_trust_policy_is_valid(data: bytes) -> None:
    TrustPolicy.from_bytes(data)
    _validator("trust-policy-v1").validate(yaml.load(data, Loader=_TextLoader))


def test_the_examples_in_the_documentation_are_valid() -> None:
    import airflow_mlsecops.core.policy.release_policy as release_module
    import airflow_mlsecops.core.trust as trust_module

    (release,) = _examples(release_module.__doc__ or "")
    (trusted,) = _examples(trust_module.__doc__ or "")

    ReleasePolicy.from_bytes(release.encode())
    _validator("release-policy-v1").validate(yaml.load(release, Loader=_TextLoader))
    _validator("trust-policy-v1").validate(yaml.load(trusted, Loader=_TextLoader))
