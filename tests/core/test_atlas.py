"""Every technique of MITRE ATLAS that is written anywhere is one of the pinned release, and goes by its name."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_mlsecops.core.atlas import ATLAS

ROOT = Path(__file__).resolve().parents[2]
WRITTEN_IN = ("airflow_mlsecops/**/*.py", "expectations/*.py", "operators/*.py", "dags/**/*.py", "docs/**/*.md",
              "airflow_mlsecops/**/*.json", "*.md", "tests/**/*.py")  # fmt: skip


def test_every_id_is_one_of_the_release() -> None:
    files = {file for pattern in WRITTEN_IN for file in ROOT.glob(pattern)}
    files -= {ROOT / "airflow_mlsecops/core/atlas.py", Path(__file__).resolve()}
    found = {file: set(re.findall(r"AML\.T\d+(?:\.\d+)?", file.read_text(encoding="utf-8"))) for file in files}
    unknown = {
        file.relative_to(ROOT).as_posix(): ids - ATLAS.keys() for file, ids in found.items() if ids - ATLAS.keys()
    }
    assert unknown == {}, "look it up in the release, and add it to airflow_mlsecops/core/atlas.py"
    assert ATLAS.keys() - set().union(*found.values()) == set(), "nothing cites these any more"


def test_names_are_those_of_the_release() -> None:
    """Ids whose name is told in words: ``AML.T0020, Training Data Poisoning``."""
    told: set[tuple[str, str]] = set()
    for file in (ROOT / "expectations").glob("*.py"):
        told |= set(re.findall(r"(AML\.T[\d.]*\d), ([A-Z][^;).]+)", re.sub(r"\s+", " ", file.read_text())))
    assert told
    assert [(each, name) for each, name in sorted(told) if ATLAS[each] != name] == []
