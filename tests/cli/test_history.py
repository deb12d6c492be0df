"""``mlsecops history``, ``current`` and ``alarms``."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.predicates import alarm
from airflow_mlsecops.core.predicates.promotion import Release
from airflow_mlsecops.core.releases import Promoted, promote
from airflow_mlsecops.core.signing.file_key import FileKeySigner
from airflow_mlsecops.core.signing.keys import generate_key
from airflow_mlsecops.core.trust import TrustPolicy
from tests.cli.conftest import Run
from tests.cli.released import ROLES, RUN, Released


def go(released: Released, version: str, stage: str = "production") -> Promoted:
    return promote(
        Release("digits", version, stage),
        released.model_artifact,
        store=released.store,
        trust=TrustPolicy.from_file(released.trust),
        policy=ReleasePolicy.from_bytes(released.policy.read_bytes()),
        signer=released.signers["promoter"],
        now=utcnow(),
        run=RUN,
    )


@pytest.fixture
def promoted(released: Released) -> Promoted:
    for name in ("promoter", "watcher"):
        released.signers[name] = FileKeySigner(generate_key()[0])
    released.write_trust({**ROLES, "promoter": ("promote",), "watcher": ("alarm",)})
    return go(released, "1.0")


def current(run: Run, released: Released, stage: str = "production"):  # type: ignore[no-untyped-def]
    return run("current", "digits", "--stage", stage, *released.options, "--policy", released.policy, "--json")


def test_history(run: Run, released: Released, promoted: Promoted) -> None:
    go(released, "1.0", "canary")
    done = run("history", "digits", *released.options)
    assert done.code == 0
    assert "whole  digits: 2 promotions" in done.out
    assert "promote 1.0 to production, by promoter" in done.out
    document = run("history", "digits", *released.options, "--json").json
    assert [row["previous"] for row in document["promotions"]] == [None, promoted.digest]
    assert document["gaps"] == document["broken"] == document["refused"] == []


def test_a_gap_is_told(run: Run, released: Released, promoted: Promoted) -> None:
    go(released, "1.0", "canary")
    for path in released.evidence.rglob(f"{promoted.digest}.sigstore.json"):
        path.unlink()
    done = run("history", "digits", *released.options)
    assert done.code == 1
    assert f"gap: promotion sha256:{promoted.digest} is gone" in done.out
    assert current(run, released).code == 1
    assert current(run, released, "canary").code == 0  # what is missing came before it


def test_nothing_was_promoted(run: Run, released: Released) -> None:
    done = run("history", "digits", *released.options)
    assert (done.code, "nothing was ever promoted" in done.out) == (1, True)


def test_current(run: Run, released: Released, promoted: Promoted) -> None:
    done = run("current", "digits", "--stage", "production", *released.options, "--policy", released.policy)
    assert (done.code, done.out.splitlines()[0]) == (0, released.model_artifact.digest)
    assert current(run, released).json["promotion"]["version"] == "1.0"
    none = current(run, released, "staging")
    assert (none.code, none.json["current"]) == (1, False)


def test_current_needs_the_policy(run: Run, released: Released, promoted: Promoted, tmp_path: Path) -> None:
    assert run("current", "digits", "--stage", "production", *released.options).code == 2
    other = tmp_path / "other.yaml"
    other.write_text("version: 1\nname: other\nrequire: [{evidence: signature, of: model}]\n")
    done = run("current", "digits", "--stage", "production", *released.options, "--policy", other)
    assert done.code == 1
    assert "another policy" in done.out


def test_current_after_the_approval_is_gone(run: Run, released: Released, promoted: Promoted) -> None:
    released.path_of("approval").unlink()
    done = current(run, released)
    assert done.code == 1
    assert any("evidence-missing" in reason for reason in done.json["reasons"])


def test_alarms(run: Run, released: Released, promoted: Promoted) -> None:
    assert run("alarms", *released.options).code == 0
    where = {"orchestrator": "apache-airflow", "dag_id": "d", "run_id": "r", "task_id": "gate", "map_index": -1}
    seen = alarm.Alarm(alarm.Event.STATE_SET, "ReleaseGateOperator", "set to success", "mallory", utcnow(),
                       {**where, "try_number": 1})  # fmt: skip
    released.put("alarm", alarm.build(seen), "watcher")
    released.put("forged", alarm.build(seen), "gate")
    done = run("alarms", *released.options)
    assert done.code == 1
    assert "mallory" in done.out and "d/r/gate" in done.out
    assert "in the store, but not counted: 1" in done.out
