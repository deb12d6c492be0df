"""No hostile file passes: every trick, assembled from opcodes and never executed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from airflow_mlsecops.core.scanning import Judgement, Scan, Status
from airflow_mlsecops.core.scanning.rules import CONTROL, RULES
from tests.support.hostile_models import Case, hostile_files

CASES = list(hostile_files())


def scanned(case: Case, folder: Path) -> tuple[bool, set[str], Status, Judgement]:
    path = folder / case[1]
    path.write_bytes(case[2])
    outcome = Scan().tree(path)
    return bool(outcome), set(outcome.counts), outcome.status, outcome.judgement


def test_corpus_is_as_large_as_it_should_be() -> None:
    assert len(CASES) >= 300
    assert len({name for name, _, _ in CASES}) == len(CASES)
    kinds = Counter(name.split("/")[0] for name, _, _ in CASES)
    assert len(kinds) >= 30


@pytest.mark.parametrize("family", sorted({name.split("/")[0] for name, _, _ in CASES}))
def test_none_passes_and_none_crashes_the_scan(family: str, tmp_path: Path) -> None:
    passed, crashed, unruled = [], [], []
    for case in CASES:
        if case[0].split("/")[0] != family:
            continue
        ok, rules, status, judgement = scanned(case, tmp_path)
        if ok or (status is Status.COMPLETE and judgement is Judgement.CLEAN):
            passed.append(case[0])
        if "crashed" in rules:
            crashed.append(case[0])
        if not rules & RULES.keys():
            unruled.append(case[0])
    assert (passed, crashed, unruled) == ([], [], [])


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("global/os.system", "global-not-allowed"),
        ("trick/memo-decoy", "global-not-allowed"),
        ("trick/dotted-name", "dotted-name"),
        ("trick/ext1", "extension-code"),
        ("trick/inst", "unusual-opcode"),
        ("trick/obj", "unusual-opcode"),
        ("trick/dup", "unusual-opcode"),
        ("trick/newobj-ex", "call-not-allowed"),
        ("trick/build-on-global", "build-not-allowed"),
        ("trick/built-twice", "build-not-allowed"),
        ("trick/built-through-memo", "build-not-allowed"),
        ("trick/call-an-instance", "computed-callable"),
        ("trick/computed-callable", "arguments-not-allowed"),
        ("trick/setstate-in-state", "special-name"),
        ("trick/append-on-instance", "mutation-not-allowed"),
        ("trick/list-through-memo", "mutation-not-allowed"),
        ("trick/memo-rewritten", "memo"),
        ("form/memo-between-streams", "memo"),
        ("form/trailing-bytes", "trailing-bytes"),
        ("form/truncated-call", "truncated"),
        ("form/error-before-global", "malformed"),
        ("form/marks", "too-large"),
        ("misuse/structure-of-objects", "object-in-structure"),
        ("misuse/scalar-of-object", "arguments-not-allowed"),
        ("joblib/padding-byte", "array-desync"),
        ("joblib/inside-a-frame", "array-desync"),
        ("joblib/nested-means-another-name", "global-not-allowed"),
        ("zip/crc", "archive-irregular"),
        ("zip/local-name", "archive-irregular"),
        ("zip/duplicate", "archive-duplicate"),
        ("zip/case", "archive-duplicate"),
        ("zip/absolute", "archive-name"),
        ("zip/link", "archive-name"),
        ("zip/bomb", "archive-bomb"),
        ("zip/gap", "polyglot"),
        ("zip/suffix", "polyglot"),
        ("zip/encrypted-flag", "archive-encrypted"),
        ("zip/nested-deep", "too-large"),
        ("packed/rar", "archive-nested"),
        ("torch/view-beyond-storage", "header-bounds"),
        ("mismatch/pickle-as-text", "extension-mismatch"),
        ("safetensors/overlap", "header-bounds"),
        ("onnx/external-parent", "external-data"),
        ("onnx/custom-domain", "custom-operator"),
        ("saved-model/WriteFile", "file-or-shell-operator"),
        ("keras/lambda", "embedded-code"),
        ("skops/type", "untrusted-type"),
        ("gguf-template/0", "template"),
        ("unknown/random", "unknown-format"),
    ],
)
def test_refusal_names_its_rule(name: str, rule: str, tmp_path: Path) -> None:
    (case,) = [item for item in CASES if item[0] == name]
    assert rule in scanned(case, tmp_path)[1]


def test_report_names_the_gadget_and_its_place(tmp_path: Path) -> None:
    path = tmp_path / "model.pkl"
    path.write_bytes(next(data for name, _, data in CASES if name == "trick/memo-decoy"))
    first = Scan().tree(path).findings[0]
    assert first.rule == f"{CONTROL}/global-not-allowed"
    assert "os.system" in first.message
    assert first.where.startswith("model.pkl at byte ")
    assert first.techniques == ("AML.T0011.000", "ML06:2023")


def test_many_harmless_findings_hide_no_bad_one(tmp_path: Path) -> None:
    limit = Scan().outcome.max_findings
    for index in range(limit + 1):
        (tmp_path / f"{index:04}.txt").write_text("see /home/alice/notes\n")
    (tmp_path / "z.pkl").write_bytes(next(data for name, _, data in CASES if name == "global/os.system"))
    outcome = Scan().tree(tmp_path)
    assert outcome.counts["home-path"] == limit + 1
    assert not outcome
    assert outcome.judgement is Judgement.REFUSED
    assert f"{CONTROL}/global-not-allowed" in {item.rule for item in outcome.findings}
