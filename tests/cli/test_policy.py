"""``mlsecops policy explain``, ``policy test`` and ``waive``, on a real folder with real keys."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.cli.main import main
from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import to_text, utcnow
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.policy import gather
from airflow_mlsecops.core.predicates import WAIVER
from airflow_mlsecops.core.signing.keys import generate_key
from airflow_mlsecops.core.store import open_store
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.trust_document import trust_document

POLICY = """
version: 1
name: ours
require:
  - {id: scan, evidence: test-result, control: model-scan, of: model, waivable: 3d}
  - {id: signed, evidence: signature, of: model}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    pem, public = generate_key()
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "trust.yaml").write_text(trust_document("risk", public, ["waiver"]))
    (tmp_path / "policy.yaml").write_text(POLICY)
    (tmp_path / "store").mkdir()
    (tmp_path / "model").write_bytes(b"model")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    code = main([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def waive(place: Path, **changes: str) -> list[str]:
    options = {
        "store": str(place / "store"),
        "trust": str(place / "trust.yaml"),
        "policy": str(place / "policy.yaml"),
        "signer": f"file:{place / 'key.pem'}",
        "reason": "mended soon",
        **changes,
    }
    return ["waive", str(place / "model"), *(part for name, text in options.items() for part in (f"--{name}", text))]


def tomorrow() -> str:
    return to_text(utcnow() + timedelta(days=1))


def test_explain_says_what_a_policy_demands(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, document = run(capsys, "policy", "explain", place / "policy.yaml")
    assert code == 0
    assert "scan: For the model the control model-scan says pass." in document["demands"][0]
    assert "3 days" in document["demands"][0]
    assert run(capsys, "policy", "explain", "mlsecops:production")[0] == 0
    assert run(capsys, "policy", "explain", "mlsecops:none")[0] == 2


def test_a_waiver_is_put_and_explain_shows_what_is_still_lacking(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    explain = ["policy", "explain", place / "policy.yaml", place / "model", "--store", place / "store"]
    explain += ["--trust", place / "trust.yaml"]
    code, before = run(capsys, *explain)
    assert (code, len(before["lacks"]), before["waived"]) == (1, 2, [])
    assert all(item["advice"] for item in before["lacks"])

    command = waive(place, until=tomorrow())
    code, document = run(capsys, *command[:2], "scan", *command[2:])
    assert code == 0
    store = open_store(str(place / "store"))
    trust = TrustPolicy.from_file(place / "trust.yaml")
    dossier = gather(store, pin(str(place / "model"), kind=Kind.MODEL).artifact.identity, trust, utcnow())
    assert [item.digest for item in dossier.verified if item.slug == WAIVER.slug] == [document["evidence"]]

    code, after = run(capsys, *explain)
    assert (code, len(after["lacks"]), len(after["waived"])) == (1, 1, 1)
    assert "mended soon" in after["waived"][0]
    assert main([str(part) for part in explain]) == 1
    assert "waived" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("requirement", "changes", "code"),
    [
        ("signed", {}, "policy"),
        ("nothing", {}, "policy"),
        ("scan", {"until": "2020-01-01T00:00:00Z"}, "malformed-statement"),
        ("scan", {"until": "soon"}, "usage"),
        ("scan", {"until": "2999-01-01T00:00:00Z"}, "policy"),
        ("scan", {"reason": " "}, "usage"),
        ("scan", {"signer": ""}, "usage"),
    ],
)
def test_a_waiver_that_cannot_count_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str], requirement: str, changes: dict[str, str], code: str
) -> None:
    command = waive(place, **{"until": tomorrow(), **changes})
    exit_code, document = run(capsys, *command[:2], requirement, *command[2:])
    assert exit_code in (1, 2)
    assert document["error"]["code"] == code
    assert not (place / "store" / "bundles").exists()


def test_cases_that_are_as_expected_and_one_that_is_not(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cases = place / "cases.yaml"
    cases.write_text(
        "{version: 1, artifacts: {model: model}, evidence: {s: {of: model, evidence: signature}},"
        " cases: [{name: no scan, expect: no, reasons: [evidence-missing]}]}"
    )
    code, document = run(capsys, "policy", "test", place / "policy.yaml", cases)
    assert (code, document["passed"]) == (0, True)
    cases.write_text(cases.read_text().replace("expect: no", "expect: yes"))
    code, document = run(capsys, "policy", "test", place / "policy.yaml", cases)
    assert (code, document["passed"]) == (1, False)
    assert "expected YES, got NO" in document["cases"][0]["wrong"]
    assert main(["policy", "test", str(place / "policy.yaml"), str(cases)]) == 1
    assert "WRONG" in capsys.readouterr().out
    assert run(capsys, "policy", "test", place / "policy.yaml", place / "none.yaml")[0] == 2
