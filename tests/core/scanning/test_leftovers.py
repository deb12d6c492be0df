"""Secrets and leftovers are found, and not repeated."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.scanning import Outcome, Scan
from tests.support.hostile_models import safetensors

KEY = "-----BEGIN " + "PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQ\n"
SECRETS = {
    "private-key": [KEY, "-----BEGIN RSA " + "PRIVATE KEY-----", "-----BEGIN OPENSSH " + "PRIVATE KEY-----"],
    "credential": [
        "AKIA" + "A" * 16,
        "aws_secret_access_key = " + "a/" * 20,
        "ghp_" + "a" * 36,
        "glpat-" + "a" * 20,
        "hf_" + "a" * 34,
        "sk-" + "a" * 40,
        "xoxb-" + "1" * 24,
        "AIza" + "b" * 35,
        "eyJ" + "a" * 20 + ".eyJ" + "b" * 20 + "." + "c" * 20,
        "postgresql://user:" + "pass1234@db.example.org/x",
    ],
    "home-path": ["/home/alice/data.csv", "/Users/bob/model", "C:\\Users\\carol"],
}
CASES = [(rule, secret) for rule, secrets in SECRETS.items() for secret in secrets]
HARMLESS = ["sk-learn pipelines are nice", "see https://example.org/path", "hf_hub", "AKIA", "a/home/b", "eyJ"]


def scan(folder: Path, name: str, data: bytes) -> Outcome:
    (folder / name).write_bytes(data)
    return Scan().tree(folder / name)


@pytest.mark.parametrize(("rule", "secret"), CASES)
def test_found_in_each_kind_of_text_and_not_repeated(rule: str, secret: str, tmp_path: Path) -> None:
    files = {
        "model.pkl": pickle.dumps({"a": [1, f"x {secret} y"]}),
        "old.pkl": pickle.dumps({"a": f"x {secret} y"}, 0),
        "bytes.pkl": pickle.dumps({"a": f"x {secret} y".encode()}),
        "long.pkl": pickle.dumps("." * 300_000 + f" {secret} " + "." * 1000),
        "config.json": json.dumps({"a": secret.replace("\\", "/")}).encode(),
        "notes.md": b"# Notes\n" * 200_000 + secret.encode() + b"\n",
        "m.safetensors": safetensors({"__metadata__": {"a": secret.replace("\\", "/")}}, b""),
    }
    if rule == "home-path" and "\\" in secret:
        files = {name: data for name, data in files.items() if name in ("model.pkl", "notes.md")}
    for name, data in files.items():
        outcome = scan(tmp_path, name, data)
        assert rule in outcome.counts, name
        told = canonical_json([item.to_dict() for item in outcome.findings]).decode()
        assert secret[8:24] not in told


@pytest.mark.parametrize("text", HARMLESS)
def test_ordinary_text_is_none(text: str, tmp_path: Path) -> None:
    assert scan(tmp_path, "model.pkl", pickle.dumps([text])).counts == {}


def test_severity_decides(tmp_path: Path) -> None:
    assert scan(tmp_path, "a.pkl", pickle.dumps(["/home/alice/data.csv"]))
    assert not scan(tmp_path, "b.pkl", pickle.dumps([KEY]))


def test_rows_that_an_estimator_keeps_are_told(tmp_path: Path) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    model = KNeighborsClassifier(1).fit([[0.0], [1.0]], [0, 1])
    outcome = scan(tmp_path, "knn.pkl", pickle.dumps(model))
    assert outcome
    assert [item.rule for item in outcome.findings] == ["model-scan/training-rows"]
    assert "_fit_X" in outcome.findings[0].message
