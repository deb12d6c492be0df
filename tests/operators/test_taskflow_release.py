"""``verified_copy(policy=…)``: a task that uses a model gets the released bytes, or an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_mlsecops.core.errors import ArtifactChangedError, PolicyError
from airflow_mlsecops.core.loading import NotVerifiedError
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.hooks.settings import Settings
from airflow_mlsecops.taskflow import verified_copy
from tests.cli.released import Released, flip_a_byte


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Released:
    """A released model, and the connection of a worker that only reads."""
    world = Released(tmp_path / "world")
    world.run_pipeline()
    settings = Settings(str(world.evidence), "", str(world.trust))
    monkeypatch.setattr("airflow_mlsecops.hooks.mlsecops.MlsecopsHook.settings", settings)
    return world


def test_the_released_bytes(world: Released) -> None:
    stored = sorted(world.evidence.rglob("*"))

    for reference in (str(world.model), {"artifact": world.model_artifact.to_dict()}):
        with verified_copy(reference, policy=str(world.policy)) as path:
            assert path != world.model
            assert path.read_bytes() == world.model.read_bytes()
    assert sorted(world.evidence.rglob("*")) == stored


def test_a_no_raises_before_anything_is_handed_out(world: Released) -> None:
    reference = {"artifact": world.model_artifact.to_dict()}
    flip_a_byte(world.model)

    with (
        pytest.raises(NotVerifiedError, match="not-released"),
        verified_copy(str(world.model), policy=str(world.policy)),
    ):
        raise AssertionError("handed out")
    with pytest.raises(ArtifactChangedError), verified_copy(reference, policy=str(world.policy)):
        raise AssertionError("handed out")
    with pytest.raises(NotVerifiedError), verified_copy(str(world.data), policy=str(world.policy)):
        raise AssertionError("handed out")


def test_a_policy_that_cannot_be_read_is_no_policy(world: Released) -> None:
    with pytest.raises(PolicyError), verified_copy(str(world.model), policy=str(world.root / "nothing")):
        raise AssertionError("handed out")


def test_without_a_policy_it_is_as_it_was(world: Released) -> None:
    with verified_copy({"artifact": pin(str(world.data)).artifact.to_dict()}) as path:
        assert (path / "a.csv").read_bytes() == (world.data / "a.csv").read_bytes()
