"""The reference pages list exactly what the code has: codes, keys, roles, predicates, fields, arguments, decisions."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import pkgutil
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_mlsecops.cli.exit_codes import ExitCode, exit_code_of
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.core.predicates import predicate_by_slug, signature, types, vsa
from airflow_mlsecops.core.predicates.control_run import CONTROL_RUN
from airflow_mlsecops.core.predicates.types import OURS, ROLES
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.hooks.run_info import run_info
from airflow_mlsecops.operators.base import MlsecopsOperator
from tests.support import evidence
from tests.support.doc_pages import ROOT, pages, table, tables, words

CORE = ROOT / "airflow_mlsecops" / "core"
FREE = {"run", "metrics", "tools"}
"""Fields whose keys a control, or Airflow, names."""


PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
"""What ships; a test of the packaging holds this list against the disk."""


def our_modules() -> Iterator[Any]:
    for package in PACKAGES:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
            if not module.ispkg and not module.name.endswith("__main__"):
                yield importlib.import_module(module.name)


# --- errors and reasons -----------------------------------------------------------------------------------------------


def error_tree(root: type[MlsecopsError] = MlsecopsError) -> Iterator[type[MlsecopsError]]:
    if root.__module__.rpartition(".")[0] in PACKAGES:  # tests make some too
        yield root
    for child in root.__subclasses__():
        yield from error_tree(child)


def test_errors_are_those_of_the_tree() -> None:
    list(our_modules())
    told = {}
    for code, name, retried, exit_code, *_ in table("errors"):
        class_name, *module = words(name)
        told[words(code)[0]] = (module[0] if module else "airflow_mlsecops.core.errors", class_name, retried, exit_code)
    there = {
        error.code: (
            error.__module__,
            error.__name__,
            "yes" if error.transient else "no",
            str(exit_code_of(error("")).value),
        )
        for error in error_tree()
    }
    assert len(there) == len(list(error_tree()))  # no code stands for two classes
    assert told == there


def literals(function: str, argument: int, *paths: Path) -> set[tuple[str, ...]]:
    """The text that calls of ``function`` pass at this place, with the attributes among the arguments before it."""
    found = set()
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and len(node.args) > argument:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                text = node.args[argument]
                if name == function and isinstance(text, ast.Constant):
                    before = [item.attr for item in node.args[:argument] if isinstance(item, ast.Attribute)]
                    found.add((*before, str(text.value)))
    return found


def test_reasons_are_those_that_the_core_gives() -> None:
    sources = [*(CORE / "policy").glob("*.py"), CORE / "verification.py"]
    given = literals("Reason", 0, *sources) | literals("No", 0, *sources)
    given = {found[-1:] for found in given}
    for name, function, place in (
        ("evidence", "Refused", 2),
        ("evidence", "refuse", 2),
        ("evidence_reader", "Refused", 2),
    ):
        given |= {found[-1:] for found in literals(function, place, CORE / f"{name}.py")}
    given |= {found[-1:] for found in literals("refuse", 2, CORE / "evidence_reader.py")}
    assert {(words(row[0])[0],) for row in table("reasons")} == given


def test_codes_of_the_command_are_those_that_it_gives() -> None:
    given = literals("error", 1, ROOT / "airflow_mlsecops" / "cli" / "main.py")
    told = {(words(code)[0], exit_code) for code, exit_code, _ in table("command codes")}
    assert told == {(code, str(ExitCode[name].value)) for name, code in given}


# --- policies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "schema", "part"),
    [
        ("policy", "policy/schemas/release-policy-v1.json", ""),
        ("requirement", "policy/schemas/release-policy-v1.json", "requirement"),
        ("trust", "schemas/trust-policy-v1.json", ""),
        ("signer", "schemas/trust-policy-v1.json", "signer"),
        ("instance", "schemas/trust-policy-v1.json", "instance"),
        ("revoked", "schemas/trust-policy-v1.json", "revoked"),
        ("people", "schemas/trust-policy-v1.json", "somebody"),
        ("log", "schemas/trust-policy-v1.json", "log"),
    ],
)
def test_keys_are_those_of_the_published_schema(which: str, schema: str, part: str) -> None:
    value = json.loads((CORE / schema).read_text())
    value = value["$defs"][part] if part else value
    ((_, rows),) = [found for found in tables("keys") if found[0] == which]
    assert {words(row[0])[0] for row in rows} == set(value["properties"])
    assert {words(row[0])[0] for row in rows if row[2] == "yes"} == set(value.get("required", []))


def test_roles_are_those_of_the_trust_policy() -> None:
    told = {words(role)[0]: predicate_by_slug(words(slug)[0]).role for role, _, slug in table("roles")}
    assert told == {**{role: role for role in ROLES}, "control:NAME": "control"}


# --- predicates -------------------------------------------------------------------------------------------------------


def test_predicates_are_those_in_use() -> None:
    there = {tuple(value) for value in vars(types).values() if isinstance(value, types.PredicateType)}
    told = {(words(uri)[0], words(slug)[0], words(role)[0]) for _, uri, slug, role in table("predicates")}
    assert told == there


def built() -> dict[str, Mapping[str, Any]]:
    """One predicate of each kind with every field that there is, by slug."""
    subject = evidence.artifact()
    statements = [
        evidence.control_statement(subject, "control", Verdict.WARN, evidence.NOW, {"quarantine": subject}),
        evidence.provenance_statement(subject, [evidence.artifact("data")], evidence.NOW),
        evidence.revocation_statement(subject.digest),
        evidence.waiver_statement(subject, "scan", evidence.NOW, evidence.NOW + timedelta(days=1)),
        evidence.approval_request_statement(subject, ["alice", "bob"], evidence.NOW),
        signature.build(
            replace(subject, versions=sha256_bytes(b"versions")),
            signed_at=evidence.NOW,
            evidence=["0" * 64],
            run=evidence.RUN,
            oms=signature.OmsReference("file:///m/model.sig", sha256_bytes(b"oms")),
            reused=signature.ReusedDigests(2, 35, sha256_bytes(b"earlier")),
        ),
        evidence.promotion_statement(subject, previous="0" * 64, replaces="0" * 64),
        evidence.alarm_statement(),
        evidence.approval_statement(subject, "bob", "approved", evidence.NOW, evidence.NOW),
        vsa.build(
            subject,
            passed=False,
            verified_at=evidence.NOW,
            policy_name="policy",
            policy_digest="0" * 64,
            trust_digest="0" * 64,
            evidence=["0" * 64],
            reasons=["reason"],
            run=evidence.RUN,
        ),
    ]
    return {types.predicate_by_uri(item.predicate_type).slug: item.predicate for item in statements}


def fields(value: Any, path: str = "") -> Iterator[str]:
    """``a.b``, ``a.list[].c`` for every leaf."""
    if isinstance(value, dict) and path not in FREE:
        for key, item in value.items():
            yield from fields(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from fields(value[0], f"{path}[]")
    else:
        yield path


def test_fields_of_our_predicates_and_extensions() -> None:
    predicates = built()
    there = {
        "signature/v1": predicates["signature"],
        "approval/v1": predicates["approval"],
        "approval-request/v1": predicates["approval-request"],
        "revocation/v1": predicates["revocation"],
        "promotion/v1": predicates["promotion"],
        "alarm/v1": predicates["alarm"],
        "control-run/v1": predicates["test-result"][CONTROL_RUN],
        "waiver/v1": predicates["waiver"],
        "gate-run/v1": predicates["verification-summary"][vsa.GATE],
    }
    told = {which: {words(row[0])[0] for row in rows} for which, rows in tables("fields")}
    assert told == {which: set(fields(value)) for which, value in there.items()}


def test_fields_of_the_vetted_predicates() -> None:
    for slug, rows in tables("predicate"):
        told = [name for row in rows for name in words(row[0])]
        there = {re.sub(r"\[\].*", "", name) for key, value in built()[slug].items() if "://" not in key
                 for name in fields(value, key)}  # fmt: skip
        for name in there:
            assert any(name == each or name.startswith(f"{each}.") for each in told), f"{slug}: {name} isn't told"
        for each in told:
            assert any(name == each or name.startswith(f"{each}.") for name in there), f"{slug}: there is no {each}"
    assert {slug for slug, _ in tables("predicate")} == {"test-result", "provenance", "verification-summary"}


def test_fields_of_a_run() -> None:
    instance = SimpleNamespace(dag_id="d", run_id="r", task_id="t", map_index=None, try_number=1)
    assert {name for row in table("run") for name in words(row[0])} == set(run_info({"ti": instance}))


def test_every_address_of_ours_has_its_page() -> None:
    used = {
        value
        for module in our_modules()
        for value in vars(module).values()
        if isinstance(value, str) and value.startswith(f"{OURS}/")
    } | {value.uri for value in vars(types).values() if isinstance(value, types.PredicateType) if OURS in value.uri}
    told = {name.removeprefix("docs/attestation/").removesuffix(".md") for name in pages() if "/attestation/" in name}
    assert told == {address.removeprefix(f"{OURS}/") for address in used}
    for name in told:
        assert f"`{OURS}/{name}`" in pages()[f"docs/attestation/{name}.md"]


# --- operators --------------------------------------------------------------------------------------------------------


def own_arguments(operator: type) -> dict[str, Any]:
    """Keyword arguments and defaults that our classes add to Airflow's, without those that all of ours share."""
    found: dict[str, Any] = {}
    for base in reversed(operator.__mro__):
        if base.__module__.startswith("airflow_mlsecops.") and "__init__" in vars(base):
            for name, parameter in inspect.signature(base).parameters.items():
                if parameter.kind is parameter.KEYWORD_ONLY:
                    found[name] = parameter.default
    shared = set(inspect.signature(MlsecopsOperator).parameters) if issubclass(operator, MlsecopsOperator) else set()
    return {name: value for name, value in found.items() if name not in shared}


@pytest.mark.parametrize(
    ("path", "rows"), tables("arguments"), ids=lambda value: value if isinstance(value, str) else ""
)
def test_arguments_are_those_of_the_class(path: str, rows: list[list[str]]) -> None:
    module, _, name = path.rpartition(".")
    there = own_arguments(getattr(importlib.import_module(module), name))
    assert {words(row[0])[0] for row in rows} == set(there)
    for argument, default, *more in rows:
        if more and re.fullmatch(r"[\d.]+|`[^`]+`", default):
            assert str(there[words(argument)[0]]) == default.strip("`"), argument


def test_every_operator_with_arguments_of_its_own_is_told() -> None:
    told = {path.rpartition(".")[2] for path, _ in tables("arguments")}
    assert told == {
        "ValidateDataOperator",
        "DetectLabelPoisoningOperator",
        "ProfileDatasetOperator",
        "SignArtifactOperator",
        "VerifyArtifactOperator",
        "ApprovalGateOperator",
        "ReleaseGateOperator",
        "PromoteModelOperator",
        "EvidenceSensor",
        "ApprovedModelSensor",
        "RevokeArtifactOperator",
        "SanitizeDatasetOperator",
        "ScanModelOperator",
        "DescribeModelOperator",
        "SignedArtifactSensor",
    }


def test_rules_that_are_named_are_given() -> None:
    detectors = (CORE / "poisoning" / "detectors").glob("*.py")
    others = (CORE / "scanning" / "rules.py", ROOT / "operators" / "control.py")
    sources = [*(CORE / "controls").glob("*.py"), *detectors, *others]
    text = "".join(path.read_text() for path in sources)
    named = {
        rule
        for page in pages().values()
        for rule in re.findall(r"`(?:label-poisoning|data-validation|model-scan)/([a-z-]+)`", page)
    }
    assert len(named) >= 5
    assert [rule for rule in named if not re.search(rf'[/"]{rule}"', text)] == []


# --- decisions and indexes --------------------------------------------------------------------------------------------

DECISIONS = sorted(name for name in pages() if re.match(r"docs/adr/\d{4}-", name))


@pytest.mark.parametrize("page", DECISIONS)
def test_decision_has_its_form(page: str) -> None:
    text = pages()[page]
    assert re.match(rf"# {Path(page).name[:4]} · ", text)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"]
    assert text.rstrip().split("\n\n")[-1].startswith("A change violates this when ")
    assert 15 <= len(text.splitlines()) <= 45


def test_every_page_is_in_its_index() -> None:
    for folder in ("adr", "how-to"):
        there = {Path(name).name for name in pages() if name.startswith(f"docs/{folder}/")} - {"README.md"}
        listed = set(re.findall(r"\]\(([\w-]+\.md)\)", pages()[f"docs/{folder}/README.md"]))
        assert listed == there
    reachable = set(re.findall(r"\]\(((?:reference|explanation)/[\w-]+\.md)\)", pages()["docs/README.md"]))
    assert reachable == {
        name.removeprefix("docs/") for name in pages() if re.match(r"docs/(reference|explanation)/", name)
    }


def test_decisions_are_numbered_and_titled_as_in_the_index() -> None:
    titles = {Path(page).name: pages()[page].splitlines()[0].partition(" · ")[2] for page in DECISIONS}
    assert [name[:4] for name in titles] == [f"{number:04}" for number in range(1, len(titles) + 1)]
    assert titles == dict(re.findall(r"\]\((\d{4}-[\w-]+\.md)\) \| (.+) \|", pages()["docs/adr/README.md"]))
