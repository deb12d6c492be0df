"""Which profile counts: only one that is signed by who may, about that data set, and not withdrawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.predicates import control_run, provenance
from airflow_mlsecops.core.profile.baseline import Baseline
from airflow_mlsecops.core.profile.compute import profile_table
from airflow_mlsecops.core.profile.errors import BaselineError
from airflow_mlsecops.core.profile.find import CONTROL, LAST_RELEASED, PROFILE_BLOB, find_baseline
from airflow_mlsecops.core.report import Report, Verdict
from tests.core.profile.tables import parquet
from tests.support.evidence import RUN, MemoryBackend, World, artifact, key, policy, trust

RULES = policy({"evidence": "provenance", "of": "model"})


@pytest.fixture(scope="module")
def blob(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = parquet(tmp_path_factory.mktemp("t") / "t.parquet", pa.table({"x": [1, 2, 3]}))
    return profile_table(path).to_bytes()


def put_profile(
    world: World,
    blob: bytes,
    *,
    about: Artifact | None = None,
    age: float = 1,
    signer: str = "pipeline",
    verdict: Verdict = Verdict.PASS,
    control: str = CONTROL,
    name: str = PROFILE_BLOB,
) -> Sha256:
    """What ProfileDatasetOperator puts."""
    report = Report(about or world.dataset, control, verdict, "profiled")
    digest = world.store.put_blob(blob)
    full = world.store.put_blob(canonical_json(report.to_dict()))
    statement = control_run.build(report, finished_at=world.ago(age), run=RUN, report_blob=full, blobs={name: digest})
    return world.put(statement, signer)


def find(world: World, asked: object = None, name: str = "dataset", now: datetime | None = None) -> Baseline:
    wanted = world.dataset.digest if asked is None else asked
    return find_baseline(wanted, name, world.store, world.trust, now or world.now)  # type: ignore[arg-type]


def test_a_signed_profile_is_found_by_digest_and_by_identity(blob: bytes) -> None:
    world = World()
    evidence = put_profile(world, blob)
    for asked in (world.dataset.digest, f"sha256:{world.dataset.digest}", world.dataset.identity):
        found = find(world, asked)
        assert found.profile.to_bytes() == blob
        assert (found.dataset, found.evidence, found.signers) == (world.dataset.digest, evidence, ("pipeline",))
        assert found.to_dict()["asked"] == world.dataset.digest


def test_the_newest_counts(blob: bytes, tmp_path: Path) -> None:
    world = World()
    other = profile_table(parquet(tmp_path / "t.parquet", pa.table({"x": [7]}))).to_bytes()
    put_profile(world, other, age=5)
    newest = put_profile(world, blob, age=1)
    put_profile(world, other, age=9)
    assert find(world).evidence == newest


def _nothing(world: World, blob: bytes) -> None:
    """No profile at all."""


def _stranger(world: World, blob: bytes) -> None:
    put_profile(world, blob, signer="stranger")


def _wrong_role(world: World, blob: bytes) -> None:
    put_profile(world, blob, signer="gate")


def _other_control(world: World, blob: bytes) -> None:
    put_profile(world, blob, control="data-validation")


def _other_data_set(world: World, blob: bytes) -> None:
    put_profile(world, blob, about=artifact("another", Kind.DATASET))


def _as_a_model(world: World, blob: bytes) -> None:
    put_profile(world, blob, about=replace(world.dataset, kind=Kind.MODEL))


def _no_blob(world: World, blob: bytes) -> None:
    put_profile(world, blob, name="other.json")


def _not_a_profile(world: World, blob: bytes) -> None:
    put_profile(world, b'{"version":1}')


def _blob_gone(world: World, blob: bytes) -> None:
    put_profile(world, blob)
    for place in _blobs(world):
        del _objects(world)[place]


def _blob_changed(world: World, blob: bytes) -> None:
    put_profile(world, blob)
    objects = _objects(world)
    for place in _blobs(world):
        objects[place] = objects[place].replace(b'"rows":3', b'"rows":4')


def _bundle_changed(world: World, blob: bytes) -> None:
    put_profile(world, blob)
    objects = _objects(world)
    for place in [each for each in objects if each.startswith("bundles/")]:
        objects[place] = objects[place].replace(b"a", b"b", 1)


def _moved_here(world: World, blob: bytes) -> None:
    """A profile of another data set, put into this one's folder."""
    another = artifact("another", Kind.DATASET)
    put_profile(world, blob, about=another)
    objects = _objects(world)
    for place in [each for each in objects if another.digest in each]:
        objects[place.replace(another.digest, world.dataset.digest)] = objects.pop(place)


def _revoked(world: World, blob: bytes) -> None:
    world.revoke(put_profile(world, blob), target="evidence")


def _data_set_revoked(world: World, blob: bytes) -> None:
    put_profile(world, blob)
    world.revoke(world.dataset.digest)


def _key_revoked(world: World, blob: bytes) -> None:
    put_profile(world, blob)
    world.revoke(key("pipeline").public_key.hint, target="key", cause="compromised", since=100)


def _failed_later(world: World, blob: bytes) -> None:
    put_profile(world, blob, age=2)
    put_profile(world, blob, age=1, verdict=Verdict.FAIL)


def _failed_later_and_withdrawn(world: World, blob: bytes) -> None:
    put_profile(world, blob, age=2)
    world.revoke(put_profile(world, blob, age=1, verdict=Verdict.FAIL), target="evidence")


def _from_the_future(world: World, blob: bytes) -> None:
    put_profile(world, blob, age=-1)


def _one_of_two(world: World, blob: bytes) -> None:
    world.trust = trust({"pipeline": ["control"], "second": ["control"]}, {"thresholds": {"control:data-profile": 2}})
    put_profile(world, blob)


CASES = [
    _nothing,
    _stranger,
    _wrong_role,
    _other_control,
    _other_data_set,
    _as_a_model,
    _no_blob,
    _not_a_profile,
    _blob_gone,
    _blob_changed,
    _bundle_changed,
    _moved_here,
    _revoked,
    _data_set_revoked,
    _key_revoked,
    _failed_later,
    _failed_later_and_withdrawn,
    _from_the_future,
    _one_of_two,
]


def _objects(world: World) -> dict[str, bytes]:
    assert isinstance(world.backend, MemoryBackend)
    return world.backend.objects


def _blobs(world: World) -> list[str]:
    """Where the blobs lie."""
    return [place for place in _objects(world) if place.startswith("blobs/")]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__.strip("_"))
def test_what_does_not_count(case: Callable[[World, bytes], None], blob: bytes) -> None:
    world = World()
    case(world, blob)
    with pytest.raises(BaselineError):
        find(world)


def test_two_signers_where_two_are_asked_for(blob: bytes) -> None:
    world = World(
        trust=trust({"pipeline": ["control"], "second": ["control"]}, {"thresholds": {"control:data-profile": 2}})
    )
    put_profile(world, blob)
    put_profile(world, blob, signer="second", age=2)
    assert find(world).signers == ("pipeline", "second")


@pytest.mark.parametrize("asked", ["", "last", "0" * 63, "sha256:", "../x"])
def test_what_names_nothing_is_an_error(asked: str) -> None:
    with pytest.raises(BaselineError):
        find(World(), asked)


class TestLastReleased:
    """A world in which two versions of a data set were profiled, trained from and released."""

    OLD = artifact("dataset", Kind.DATASET, b"old")
    NEW = artifact("dataset", Kind.DATASET, b"new")
    MODELS = (artifact("model-1"), artifact("model-2"))

    def world(self, blob: bytes, *, new_passed: bool = True) -> World:
        world = World()
        for model, data, age in zip(self.MODELS, (self.OLD, self.NEW), (10, 5), strict=True):
            world.model, world.dataset = model, data
            put_profile(world, blob, about=data, age=age)
            world.provenance(age=age)
            world.release(RULES, age=age - 1, passed=True if model is self.MODELS[0] else new_passed)
        return world

    def test_the_newest_released_version_is_the_baseline(self, blob: bytes) -> None:
        found = find(self.world(blob), LAST_RELEASED)
        assert (found.dataset, found.released) == (self.NEW.digest, self.MODELS[1].digest)
        assert found.to_dict()["released_model_sha256"] == self.MODELS[1].digest

    def test_a_model_that_was_not_released_does_not_count(self, blob: bytes) -> None:
        assert find(self.world(blob, new_passed=False), LAST_RELEASED).dataset == self.OLD.digest

    def test_a_later_no_takes_the_release_back_even_when_it_is_withdrawn(self, blob: bytes) -> None:
        world = self.world(blob)
        no = world.release(RULES, age=1, passed=False)
        assert find(world, LAST_RELEASED).dataset == self.OLD.digest
        world.revoke(no, target="evidence")
        assert find(world, LAST_RELEASED).dataset == self.OLD.digest

    def test_a_revoked_model_does_not_count(self, blob: bytes) -> None:
        world = self.world(blob)
        world.revoke(self.MODELS[1].digest)
        assert find(world, LAST_RELEASED).dataset == self.OLD.digest

    def test_a_revoked_data_set_is_a_no_and_not_the_one_before(self, blob: bytes) -> None:
        world = self.world(blob)
        world.revoke(self.NEW.digest)
        with pytest.raises(BaselineError, match="doesn't hold"):
            find(world, LAST_RELEASED)

    def test_an_unsigned_profile_is_a_no_and_not_the_one_before(self, blob: bytes) -> None:
        world = self.world(blob)
        objects = _objects(world)
        for place in [each for each in objects if self.NEW.digest in each]:
            del objects[place]
        with pytest.raises(BaselineError, match="no profile"):
            find(world, LAST_RELEASED)

    def test_broken_evidence_of_a_model_is_a_no(self, blob: bytes) -> None:
        world = self.world(blob)
        objects = _objects(world)
        (place,) = [each for each in objects if f"{self.MODELS[1].digest}/verification-summary" in each]
        objects[place] = b"{}"
        with pytest.raises(BaselineError, match="doesn't hold"):
            find(world, LAST_RELEASED)

    @pytest.mark.parametrize("signer", ["stranger", "pipeline"])
    def test_a_release_by_who_may_not_does_not_count(self, signer: str, blob: bytes) -> None:
        world = self.world(blob, new_passed=False)
        world.release(RULES, age=0, passed=True, signer=signer)
        assert find(world, LAST_RELEASED).dataset == self.OLD.digest

    def test_another_name_has_no_release(self, blob: bytes) -> None:
        with pytest.raises(BaselineError, match="'other'"):
            find(self.world(blob), LAST_RELEASED, name="other")

    def test_two_of_one_name_at_the_same_time_are_none(self, blob: bytes) -> None:
        world = World()
        world.provenance(inputs=[self.OLD, self.NEW])
        put_profile(world, blob, about=self.OLD)
        put_profile(world, blob, about=self.NEW)
        world.release(RULES)
        with pytest.raises(BaselineError, match="2 data sets"):
            find(world, LAST_RELEASED)

    def test_a_release_from_the_future_does_not_count(self, blob: bytes) -> None:
        world = self.world(blob)
        early = world.now - timedelta(hours=4, minutes=30)
        assert find(world, LAST_RELEASED, now=early).dataset == self.OLD.digest

    def test_provenance_of_a_failed_task_names_nothing(self, blob: bytes) -> None:
        world = World()
        put_profile(world, blob)
        failed = provenance.build(
            world.model,
            inputs=[world.dataset],
            parameters={},
            run={**RUN, "state": provenance.FAILED},
            builder="https://airflow.example/",
            started_at=None,
            finished_at=world.ago(1),
        )
        world.put(failed, "pipeline")
        world.release(RULES, passed=True)
        with pytest.raises(BaselineError, match="no released model"):
            find(world, LAST_RELEASED)
