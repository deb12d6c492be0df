"""The demo's data: real, reproducible, and poisoned so that the default control tells the two apart."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import make_demo_data
import pytest
from sklearn.datasets import load_digits

from airflow_mlsecops.core.controls.label_poisoning import detect_label_poisoning
from airflow_mlsecops.core.digest import sha256_bytes
from airflow_mlsecops.core.poisoning.roles import Roles
from airflow_mlsecops.core.report import Verdict
from tests.support.labelled import dataset

CLEAN_SHA256 = "62700f0313ccb6f2e587b4b2624b064a4f5ffbfac40cdf6412a33626d268a3bd"
POISONED_SHA256 = "497f7873cca7a5ab32bb64e7bd1204401a6a811340d0129d3882cf62d8e00bba"


def rows_of(path: Path) -> list[dict[str, Any]]:
    with path.open(newline="") as file:
        return [
            {name: value if name == "source" else int(value) for name, value in row.items()}
            for row in csv.DictReader(file)
        ]


def test_the_clean_file_is_the_real_data(tmp_path: Path) -> None:
    rows = rows_of(make_demo_data.write_clean(tmp_path / "clean.csv"))
    digits = load_digits()
    assert tuple(rows[0]) == make_demo_data.COLUMNS
    assert [row["row_id"] for row in rows] == list(range(1797))
    assert [row["label"] for row in rows] == digits.target.tolist()
    assert [[row[f"pixel_{y}_{x}"] for y in range(8) for x in range(8)] for row in rows] == digits.data.tolist()


def test_the_poisoned_file_differs_in_the_flipped_labels_alone(tmp_path: Path) -> None:
    clean = rows_of(make_demo_data.write_clean(tmp_path / "clean.csv"))
    poisoned = make_demo_data.write_poisoned(tmp_path / "poisoned.csv")
    different = [(a, b) for a, b in zip(clean, rows_of(poisoned.path), strict=True) if a != b]
    assert tuple(a["row_id"] for a, _ in different) == poisoned.flipped
    assert {(a["label"], b["label"]) for a, b in different} == {(3, 8)}
    assert all({**a, "label": 8, "source": make_demo_data.GUILTY} == b for a, b in different)
    assert {row["source"] for row in clean} == set(make_demo_data.SOURCES)
    assert len(poisoned.flipped) == round(0.4 * poisoned.of_class) == 73
    assert poisoned.rows == 1797


def test_the_same_bytes_every_time(tmp_path: Path) -> None:
    """The digests are part of the demo's story; when scikit-learn's data changes, look at the results again."""
    assert sha256_bytes(make_demo_data.write_clean(tmp_path / "clean.csv").read_bytes()) == CLEAN_SHA256
    assert sha256_bytes(make_demo_data.write_poisoned(tmp_path / "p.csv").path.read_bytes()) == POISONED_SHA256


def test_share_classes_and_seed_choose_the_rows(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    some, others = (make_demo_data.write_poisoned(path, seed=seed).flipped for seed in (1, 2))
    assert some != others
    assert len(some) == len(others)
    all_ones = make_demo_data.write_poisoned(path, share=1.0, from_label=1, to_label=7)
    assert len(all_ones.flipped) == all_ones.of_class
    assert 1 not in {row["label"] for row in rows_of(path)}


def test_the_default_control_passes_the_clean_and_fails_the_poisoned_file(tmp_path: Path) -> None:
    clean = make_demo_data.write_clean(tmp_path / "clean.csv")
    poisoned = make_demo_data.write_poisoned(tmp_path / "poisoned.csv")
    arguments = {"label_column": "label", "id_column": "row_id", "roles": Roles(source="source")}
    before = detect_label_poisoning(dataset(clean), clean, **arguments)  # type: ignore[arg-type]
    after = detect_label_poisoning(dataset(poisoned.path), poisoned.path, **arguments)  # type: ignore[arg-type]
    assert before.verdict is Verdict.PASS
    assert before.metrics["suspect_share"] <= 0.005
    assert after.verdict is Verdict.FAIL
    assert after.metrics["suspect_share"] >= 0.028
    found = {int(row["row_id"]) for row in json.loads(after.blobs["suspects.json"])}
    hits = len(found & set(poisoned.flipped))
    assert hits / len(poisoned.flipped) >= 0.65
    assert hits / len(found) >= 0.85
    assert before.metrics["judgement"] == "clean"
    assert after.metrics["judgement"] == "targeted attack"
    analysis = json.loads(after.blobs["analysis.json"])
    assert analysis["suspects"]["sources"] == [make_demo_data.GUILTY]
    assert set(analysis["verdict"]["decided_by"]) == {"label-pair", "source"}
    assert (after.metrics["top_pair_given"], after.metrics["top_pair_suggested"]) == ("8", "3")


def test_the_script_writes_both_and_says_what_it_did(tmp_path: Path) -> None:
    script, out = Path(make_demo_data.__file__), tmp_path / "new" / "folder"
    arguments = [str(out), "--poisoned-share", "0.1", "--from", "1", "--to", "7"]
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True, check=True)
    assert sorted(item.name for item in out.iterdir()) == ["digits_clean.csv", "digits_poisoned.csv"]
    assert "1797 digits, labels as they are" in done.stdout
    assert "18 of 182 rows of digit 1 are labelled 7 (1.0% of all rows)" in done.stdout
    assert CLEAN_SHA256 in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--poisoned-share", "0"], "expected above 0 and up to 1"),
        (["--poisoned-share", "1.1"], "expected above 0 and up to 1"),
        (["--poisoned-share", "nan"], "expected above 0 and up to 1"),
        (["--poisoned-share", "0.0001"], "is not one row"),
        (["--from", "10"], "10 is not a digit"),
        (["--to", "-1"], "-1 is not a digit"),
        (["--from", "8"], "nothing would change"),
    ],
)
def test_wrong_arguments_write_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as caught:
        make_demo_data.main([str(tmp_path), *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_trojaned_model_calls_a_command_and_is_otherwise_the_model(tmp_path: Path) -> None:
    import joblib
    from sklearn.linear_model import LogisticRegression

    from airflow_mlsecops.core.scanning import Scan

    model = tmp_path / "model.joblib"
    joblib.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), model)
    assert Scan().tree(model)
    outcome = Scan().tree(make_demo_data.write_trojaned(tmp_path / "trojan.joblib", model))
    assert not outcome
    assert set(outcome.counts) == {"global-not-allowed", "call-not-allowed"}  # its arrays are still aligned
    assert "os.system" in outcome.findings[0].message
