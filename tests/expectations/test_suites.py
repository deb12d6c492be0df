"""Suites are found by name, by path or as they are; what is missing or malformed says so."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from sklearn.datasets import load_digits

import airflow_mlsecops
from airflow_mlsecops.core.controls.validation import load_suite
from airflow_mlsecops.core.errors import SuiteError
from airflow_mlsecops.expectations.suites import resolve_suite, shipped_suites

SUITE = {"name": "s", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "x"}}]}


@pytest.mark.parametrize("name", shipped_suites())
def test_each_shipped_suite_stands_the_strict_reading(name: str) -> None:
    suite = load_suite(resolve_suite(name))
    assert suite.name == name
    assert suite.expectations == len(resolve_suite(name)["expectations"]) > 0


def test_the_digits_suite_names_the_columns_of_the_data_set() -> None:
    features = load_digits(as_frame=True).data.columns
    kwargs = [item["kwargs"] for item in resolve_suite("digits")["expectations"]]
    (columns,) = [each["column_set"] for each in kwargs if "column_set" in each]
    assert set(columns) == {"row_id", *features, "source", "label"}
    ranged = [each["column"] for each in kwargs if each.get("max_value") == 16]
    assert ranged == list(features)


@pytest.mark.parametrize("ending", ["json", "yaml", "yml", "JSON"])
def test_reads_a_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"mine.{ending}"
    path.write_text(json.dumps(SUITE) if ending.lower() == "json" else yaml.safe_dump(SUITE))
    assert resolve_suite(path) == resolve_suite(str(path)) == SUITE


def test_hands_back_what_is_a_suite_already() -> None:
    assert resolve_suite(SUITE) is SUITE
    thing = object()
    assert resolve_suite(thing) is thing


@pytest.mark.parametrize("source", ["digitz", "", "../digits", "suites/digits", "digits.txt", "gone.json", "a\0b.json"])
def test_no_such_suite_lists_those_that_exist(source: str) -> None:
    with pytest.raises(SuiteError) as caught:
        resolve_suite(source)
    assert caught.value.code == "suite"
    assert repr(source) in caught.value.message
    assert ", ".join(shipped_suites()) in caught.value.advice


@pytest.mark.parametrize(
    ("name", "text", "culprit"),
    [
        ("s.json", '{"name": "s", "expectations": [', "not valid JSON"),
        ("s.json", '{"name": "s", "name": "t", "expectations": []}', "duplicate key 'name'"),
        ("s.json", '{"name": NaN}', "NaN"),
        ("s.json", "[1]", "list"),
        ("s.yaml", "name: s\nname: t\n", "'name' stands twice"),
        ("s.yaml", "name: [", "can't be read"),
        ("s.yaml", "!!python/object/apply:os.getcwd []", "can't be read"),
        ("s.yaml", "- 1", "list"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, name: str, text: str, culprit: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SuiteError) as caught:
        resolve_suite(tmp_path / name)
    assert culprit in caught.value.message
    assert name in caught.value.message


def test_a_folder_is_no_suite(tmp_path: Path) -> None:
    (tmp_path / "s.json").mkdir()
    with pytest.raises(SuiteError, match="no such suite"):
        resolve_suite(tmp_path / "s.json")


def test_shipped_suites_load_where_there_are_no_files(tmp_path: Path) -> None:
    """From a zip, as some deployments ship packages: only importlib.resources can reach them there."""
    root = Path(airflow_mlsecops.__path__[0])
    archive = tmp_path / "package.zip"
    with zipfile.ZipFile(archive, "w") as target:
        for folder in (root / "core", root / "expectations"):
            for path in sorted(folder.rglob("*")):
                if path.suffix in (".py", ".json"):
                    target.write(path, f"airflow_mlsecops/{path.relative_to(root)}")
        target.write(root / "__init__.py", "airflow_mlsecops/__init__.py")
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "from airflow_mlsecops.expectations import suites\n"
        f"assert suites.__file__.startswith({str(archive)!r}), suites.__file__\n"
        "print(suites.resolve_suite('digits')['name'], *suites.shipped_suites())"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == ["digits", *shipped_suites()], done.stderr
