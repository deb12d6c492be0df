"""Whatever single bit is flipped, in the artifact or in what vouches for it: the answer is NO."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.core.export import Documents, collect, write_export
from airflow_mlsecops.core.loading import NotVerifiedError, open_verified
from airflow_mlsecops.core.oms import publish_oms, verify_oms
from airflow_mlsecops.core.oms.errors import OmsFilesError
from airflow_mlsecops.core.pinning import Pin, pin
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.store.archive import open_export
from airflow_mlsecops.core.store.local import LocalBackend
from airflow_mlsecops.core.store.tar import read_index
from airflow_mlsecops.core.verification import verify_release, verify_signature
from tests.support.evidence import NOW, MemoryBackend, World, policy_bytes, trust_bytes
from tests.support.oms_models import FILES, signer, write_model
from tests.support.oms_pki import DURING

POLICY = policy_bytes({"evidence": "signature", "of": "model"})
RULES = ReleasePolicy.from_bytes(POLICY)
ONE_PLACE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "digits")


def flipped(data: bytes, draw: Callable[[st.SearchStrategy[int]], int]) -> bytes:
    """``data`` with one bit changed, anywhere. Signatures differ in length from run to run; what is drawn must not."""
    changed = bytearray(data)
    changed[draw(st.integers(0, 1 << 20)) % len(data)] ^= 1 << draw(st.integers(0, 7))
    return bytes(changed)


@ONE_PLACE
@given(data=st.data())
def test_a_bit_of_any_file(model: Path, tmp_path: Path, data: st.DataObject) -> None:
    write_model(model)
    (model / "model.sig").unlink(missing_ok=True)
    pinned = pin(str(model), kind=Kind.MODEL)
    world = World(backend=MemoryBackend(), model=pinned.artifact)
    world.sign()
    world.release(RULES)
    bundle = publish_oms(pinned, signer()).bundle
    name = data.draw(st.sampled_from([name for name, content in FILES.items() if content]))
    (model / name).write_bytes(flipped(FILES[name], data.draw))

    with pytest.raises(OmsFilesError):
        verify_oms(bundle, model, trust=signer().public_key, at=DURING)
    with pytest.raises(NotVerifiedError):
        open_verified(str(model), world.store, world.trust, RULES, NOW)
    with pytest.raises(NotVerifiedError):
        open_verified(str(model), world.store, world.trust, None, NOW)


@ONE_PLACE
@given(data=st.data())
def test_a_bit_of_the_signature_beside_it(model: Path, data: st.DataObject) -> None:
    write_model(model)
    place = model / "model.sig"
    place.unlink(missing_ok=True)
    pinned = pin(str(model), kind=Kind.MODEL)
    bundle = flipped(publish_oms(pinned, signer()).bundle, data.draw)
    place.chmod(0o644)
    place.write_bytes(bundle)

    with pytest.raises(MlsecopsError):
        verify_oms(bundle, model, trust=signer().public_key, at=DURING)


@ONE_PLACE
@given(data=st.data())
def test_a_bit_of_the_evidence(data: st.DataObject) -> None:
    backend = MemoryBackend()
    world = World(backend=backend)
    world.sign()
    world.release(RULES)
    key = sorted(backend.objects)[data.draw(st.integers(0, 1))]
    backend.objects[key] = flipped(backend.objects[key], data.draw)

    assert not verify_release(world.model, world.store, world.trust, RULES, NOW)
    assert not verify_signature(world.model, world.store, world.trust, NOW)


class Exported(NamedTuple):
    pinned: Pin
    archive: bytes
    held: list[int]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """An export, and where to flip: in bundles, and in all that holds the archive together."""
    folder = tmp_path_factory.mktemp("export")
    (folder / "evidence").mkdir()
    (folder / "model.bin").write_bytes(b"weights")
    pinned = pin(str(folder / "model.bin"), kind=Kind.MODEL)
    world = World(backend=LocalBackend(folder / "evidence"), model=pinned.artifact)
    world.sign()
    world.release(RULES)
    write_export(collect(pinned, world.store, Documents(trust_bytes(), POLICY), NOW), folder / "good.tar")
    archive = (folder / "good.tar").read_bytes()
    held = set(range(len(archive)))
    for name, member in read_index(io.BytesIO(archive)).items():
        if not name.startswith("bundles/"):
            held -= set(range(member.offset, member.offset + member.size))
    return Exported(pinned, archive, sorted(held))


@ONE_PLACE
@given(data=st.data())
def test_a_bit_of_an_export(exported: Exported, tmp_path: Path, data: st.DataObject) -> None:
    """Where it matters to verification; the other files are for people and other tools."""
    changed = bytearray(exported.archive)
    position = exported.held[data.draw(st.integers(0, 1 << 20)) % len(exported.held)]
    changed[position] ^= 1 << data.draw(st.integers(0, 7))
    (tmp_path / "spoilt.tar").write_bytes(bytes(changed))

    try:
        store = open_export(tmp_path / "spoilt.tar")
    except MlsecopsError:
        return
    assert not verify_release(exported.pinned.artifact, store, World().trust, RULES, NOW)
