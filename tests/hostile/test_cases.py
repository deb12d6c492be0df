"""Every hostile case is refused, for the reason that it names; without the harm done to it, it is accepted."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from airflow_mlsecops.core.errors import MlsecopsError
from tests.support.hostile import KINDS, ROOT, Case, cases, judge

CASES = cases()
GOOD: dict[str, tuple[str, dict[str, Any]]] = {
    **{kind: (kind, {}) for kind in KINDS},
    "oms by certificate": ("oms", {"certificate": {}}),
    "oms with a log entry and a stamp": ("oms", {"log_entry": {}, "timestamp": {}}),
    "oms with its statement written anew": (
        "oms",
        {"statement": [{"op": "set", "at": "subject.0.name", "value": "x"}]},
    ),
    "keyless on Rekor v2": ("keyless", {"log": {"version": 2}}),
}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_is_refused(case: Case, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    with pytest.raises(MlsecopsError) as refused:
        judge(case, tmp_path, request)

    assert refused.value.code == case.refused, refused.value
    assert re.search(case.says, str(refused.value)), refused.value


@pytest.mark.parametrize("name", GOOD)
def test_without_the_harm_it_is_accepted(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kind, edits = GOOD[name]

    judge(Case(name, kind, edits=edits), tmp_path, request)


def test_there_are_cases_of_every_kind() -> None:
    count = Counter(case.kind for case in CASES)

    assert set(count) == set(KINDS)
    assert sum(count.values()) >= 60
    assert count["oms"] >= 30


def test_nothing_else_lies_among_the_cases() -> None:
    for folder in ROOT.iterdir():
        assert {path.name for path in folder.iterdir()} - {"__pycache__"} <= {"case.toml", "make.py"}, folder
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)+", folder.name), folder
