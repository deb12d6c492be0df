"""HDF5 and 7z, with the libraries that look inside; without them the answer is UNKNOWN."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from airflow_mlsecops.core.scanning import Judgement, Scan
from tests.support.hostile_models import EVIL4


def test_hdf5(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py isn't installed: what it sees isn't tested here")
    good, linked, lambda_layer = (tmp_path / name for name in ("good.h5", "linked.h5", "lambda.h5"))
    with h5py.File(good, "w") as file:
        file["w"] = [1.0, 2.0]
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {}})
    with h5py.File(linked, "w") as file:
        file["w"] = h5py.ExternalLink("/etc/passwd", "x")
    with h5py.File(lambda_layer, "w") as file:
        file.attrs["model_config"] = json.dumps({"layers": [{"class_name": "Lambda", "config": {}}]})
    outcome = Scan().tree(good)
    assert outcome, outcome.findings
    assert "external-data" in Scan().tree(linked).counts
    assert "embedded-code" in Scan().tree(lambda_layer).counts


def test_7z(tmp_path: Path) -> None:
    py7zr = pytest.importorskip("py7zr", reason="py7zr isn't installed: what it sees isn't tested here")
    for name, data, passes in (("good", b"just text", True), ("evil", EVIL4, False)):
        (tmp_path / f"{name}.txt").write_bytes(data)
        path = tmp_path / f"{name}.7z"
        with py7zr.SevenZipFile(path, "w") as archive:
            archive.write(tmp_path / f"{name}.txt", "model.txt")
        outcome = Scan().tree(path)
        assert bool(outcome) is passes, outcome.findings
    assert "global-not-allowed" in outcome.counts


@pytest.mark.parametrize(
    ("library", "name", "head"), [("h5py", "m.h5", b"\x89HDF\r\n\x1a\n"), ("py7zr", "m.7z", b"7z\xbc\xaf\x27\x1c")]
)
def test_without_the_library_it_is_unknown(
    library: str, name: str, head: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    (tmp_path / name).write_bytes(head + bytes(100))
    outcome = Scan().tree(tmp_path / name)
    assert not outcome
    assert outcome.judgement is Judgement.UNKNOWN
    assert "airflow-mlsecops[" in outcome.findings[0].message
