"""Verifying an artifact's signature, with a real file and a real store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.clock import to_text
from airflow_mlsecops.core.errors import StoreUnavailableError
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.predicates import SIGNATURE
from airflow_mlsecops.core.statement import Statement
from airflow_mlsecops.core.store.local import LocalBackend
from airflow_mlsecops.core.verification import Verification, verify_signature
from tests.support.evidence import NOW, World, bundle, trust


@pytest.fixture
def path(tmp_path: Path) -> Path:
    model = tmp_path / "model.pkl"
    model.write_bytes(b"weights " * 100)
    return model


def _pin(path: Path) -> Artifact:
    return pin(str(path), kind=Kind.MODEL).artifact


@pytest.fixture
def world(path: Path, tmp_path: Path) -> World:
    world = World(backend=LocalBackend(tmp_path / "evidence"), model=_pin(path))
    world.sign()
    return world


def _verify(world: World, path: Path) -> Verification:
    return verify_signature(_pin(path), world.store, world.trust, world.now)


def _codes(verification: Verification) -> list[str]:
    assert not verification
    return [reason.code for reason in verification.decision.reasons]


def test_a_signed_artifact_is_accepted(world: World, path: Path) -> None:
    verification = _verify(world, path)

    assert verification
    assert verification.signers == ("pipeline",)
    assert verification.artifact == world.model


def test_where_the_file_lies_and_what_it_is_called_does_not_matter(world: World, path: Path) -> None:
    copy = path.with_name("copy.pkl")
    copy.write_bytes(path.read_bytes())

    assert _verify(world, copy)


@pytest.mark.parametrize("position", [0, 400, 799])
def test_one_changed_byte_of_the_artifact_is_a_no(world: World, path: Path, position: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)

    assert _codes(_verify(world, path)) == ["not-signed"]


def test_a_signature_under_another_kind_is_none(world: World, path: Path) -> None:
    dataset = pin(str(path), kind=Kind.DATASET).artifact

    assert not verify_signature(dataset, world.store, world.trust, world.now)
    world.sign(dataset)
    assert verify_signature(dataset, world.store, world.trust, world.now)


def test_deleted_evidence_is_a_no(world: World, path: Path, tmp_path: Path) -> None:
    (evidence,) = (tmp_path / "evidence").rglob("*.json")
    evidence.unlink()

    assert _codes(_verify(world, path)) == ["not-signed"]


def test_one_changed_byte_of_the_evidence_is_a_no_even_if_other_evidence_is_good(
    world: World, path: Path, tmp_path: Path
) -> None:
    (evidence,) = (tmp_path / "evidence").rglob("*.json")
    raw = bytearray(evidence.read_bytes())
    raw[len(raw) // 2] ^= 1
    evidence.chmod(0o644)
    evidence.write_bytes(raw)
    assert "evidence-broken" in _codes(_verify(world, path))

    world.sign(age=0.5)
    assert _codes(_verify(world, path)) == ["evidence-broken"]


def test_a_store_that_is_not_there_is_an_error_not_a_no(world: World, path: Path, tmp_path: Path) -> None:
    (tmp_path / "evidence").rename(tmp_path / "unmounted")

    with pytest.raises(StoreUnavailableError):
        _verify(world, path)


def _expire(world: World) -> None:
    world.trust = trust(pipeline={"not_after": to_text(world.ago(0.001))})


def _not_yet(world: World) -> None:
    world.trust = trust(pipeline={"not_before": to_text(world.ago(-0.001))})


def _take_role(world: World) -> None:
    world.trust = trust({"pipeline": ["control", "provenance"], "gate": ["gate"]})


def _forget_key(world: World) -> None:
    world.trust = trust({"gate": ["sign"]})


@pytest.mark.parametrize("change", [_expire, _not_yet, _take_role, _forget_key])
def test_a_signer_who_is_no_longer_trusted_signs_nothing(
    world: World, path: Path, change: Callable[[World], None]
) -> None:
    assert _verify(world, path)
    change(world)

    verification = _verify(world, path)

    assert _codes(verification) == ["trust"]
    assert verification.signers == ()


def test_a_strangers_signature_is_none(world: World, path: Path, tmp_path: Path) -> None:
    world.backend = LocalBackend(tmp_path / "other")
    world.sign(signer="stranger")

    assert _codes(_verify(world, path)) == ["trust"]


def test_a_signature_statement_that_cannot_be_read_is_none(world: World, path: Path, tmp_path: Path) -> None:
    world.backend = LocalBackend(tmp_path / "other")
    world.store.put(bundle(Statement.build([world.model], SIGNATURE.uri, {"signedAt": to_text(NOW)})))

    assert _codes(_verify(world, path)) == ["not-signed"]


def test_other_statements_by_the_same_key_are_no_signature(world: World, path: Path, tmp_path: Path) -> None:
    world.backend = LocalBackend(tmp_path / "other")
    world.control(world.model)
    world.provenance()

    assert _codes(_verify(world, path)) == ["not-signed"]
