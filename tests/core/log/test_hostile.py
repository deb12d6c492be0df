"""Hostile logs, one folder for each, with what has to be said of it; see ``tests/support/hostile_logs.py``."""

from __future__ import annotations

import pytest

from airflow_mlsecops.core.log import Checkpoint, verify_log
from airflow_mlsecops.core.log.checkpoint import CHECKPOINT
from tests.support import hostile_logs
from tests.support.hostile_logs import FOLDER, TRUST, load

NAMES = sorted(path.name for path in FOLDER.iterdir() if path.name != "sound")


def test_the_store_that_they_begin_with_is_sound() -> None:
    backend, _ = load("sound")
    kept = Checkpoint.parse(backend.objects[CHECKPOINT], TRUST)
    assert verify_log(backend, TRUST, kept)


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_log_is_refused_and_what_is_wrong_is_named(name: str) -> None:
    kept = Checkpoint.parse(load("sound")[0].objects[CHECKPOINT], TRUST)
    backend, expected = load(name)

    found = verify_log(backend, TRUST, kept if expected["since"] else None)

    assert not found
    faults = [[fault.code, fault.where, fault.entry] for fault in found.faults]
    if ["root", "checkpoint", None] in expected["faults"]:  # then whatever else may be wrong is listed, too
        faults = faults[:1]
    assert faults == expected["faults"]
    assert [entry for entry, _ in found.missing] == expected["missing"]
    if found.checkpoint is not None or expected["unlogged"]:
        assert list(found.unlogged) == expected["unlogged"]


def test_the_folders_are_those_that_are_written() -> None:
    """If this fails: python -m tests.support.hostile_logs"""
    assert set(hostile_logs.CASES) == set(NAMES)
    assert load("sound")[0].objects == hostile_logs.sound()
    for name, (spoil, _) in hostile_logs.CASES.items():
        objects = hostile_logs.sound()
        spoil(objects)
        assert load(name)[0].objects == objects, name
