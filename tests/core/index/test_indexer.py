"""The index says what the store says, however it got there, and only to those who may hear it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.errors import TrustError
from airflow_mlsecops.core.evidence import collect
from airflow_mlsecops.core.index import IndexDatabase, Indexer
from airflow_mlsecops.core.index.lists import (
    Window,
    artifacts,
    findings,
    keys_of,
    made_from,
    severities,
    statements,
    subjects_of_run,
    verdicts,
)
from airflow_mlsecops.core.index.overview import alarms, state_of
from airflow_mlsecops.core.log import EvidenceLog, LogMemory
from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.core.store import EvidenceStore
from airflow_mlsecops.core.telling import Tone
from tests.support.evidence import NOW, MemoryBackend, World, alarm_statement, artifact, policy, trust
from tests.support.logs import MemoryLogBackend, log_key, log_trust

DAGS = {"train"}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def indexer(world: World, tmp_path: Path) -> Indexer:
    return indexer_of(world, tmp_path)


def indexer_of(world: World, folder: Path) -> Indexer:
    database = IndexDatabase.within(folder / "index", str(world.store), world.trust.digest)
    return Indexer(database, world.store, world.trust, LogMemory())


def asked(indexer: Indexer, question: Callable[..., Any], *args: Any, **more: Any) -> Any:
    with indexer.database.reading() as connection:
        return question(connection, *args, **more)


def dump(indexer: Indexer) -> dict[str, list[tuple[Any, ...]]]:
    """All that the index says, without its own numbers and times."""
    columns = (
        "key, subject, slug, digest, refused, code, current, dag_id, run_id, task_id, what, verdict, tone, summary, "
        "at, series, signer, signed_with, name, kind, findings, more"
    )
    queries = {
        "statement": f"SELECT {columns} FROM statement ORDER BY key",
        "presence": "SELECT * FROM presence ORDER BY subject, dag_id",
        "daily": "SELECT * FROM daily ORDER BY day, dag_id, verdict",
        "finding": "SELECT key, place, open, rank, rule FROM finding JOIN statement ON id = statement ORDER BY 1, 2",
        "edge": "SELECT source, made, key FROM edge JOIN statement ON id = statement ORDER BY 1, 2, 3",
        "left": "SELECT key FROM pending UNION SELECT subject FROM dirty UNION SELECT day FROM dirty_day",
    }
    with indexer.database.reading() as connection:
        return {name: [tuple(row) for row in connection.execute(query)] for name, query in queries.items()}


def test_what_is_said_about_a_model(world: World, indexer: Indexer) -> None:
    world.control(verdict=Verdict.WARN)
    world.provenance()
    world.sign()
    world.release(policy({"evidence": "signature", "of": "model"}))
    assert indexer.refresh(NOW)
    page = asked(indexer, artifacts, DAGS, Window())
    assert page.total == 2
    by_kind = {item.kind: item for item in page.items}
    assert (by_kind["model"].name, by_kind["model"].state, by_kind["model"].tone) == ("model", "released", Tone.GOOD)
    assert (by_kind["model"].statements, by_kind["dataset"].warning) == (3, 1)
    assert by_kind["dataset"].tone is Tone.WARN
    assert asked(indexer, made_from, world.dataset.digest) == [world.model.digest]
    finding = asked(indexer, findings, DAGS, Window()).items[0]
    assert (finding.rule, finding.severity, finding.artifact) == ("data-validation/rule", "warning", "dataset")
    assert finding.techniques == ("AML.T0020",)
    assert sorted(asked(indexer, subjects_of_run, "train", "manual__1")) == sorted(
        [world.model.digest, world.dataset.digest]
    )
    day, counted = asked(indexer, verdicts, DAGS, NOW, 3)[-1]
    assert (day.day, counted) == (NOW.day, {"warn": 1})


def test_nothing_is_told_to_those_who_may_not_read_the_dag(world: World, indexer: Indexer) -> None:
    world.control()
    world.sign()
    world.put(alarm_statement(), "pipeline")
    indexer.refresh(NOW)
    for readable in ((), {"another"}):
        assert asked(indexer, artifacts, readable, Window()).total == 0
        assert asked(indexer, artifacts, readable, Window(), dag_id="train").items == ()
        assert asked(indexer, findings, readable, Window()).items == ()
        assert asked(indexer, severities, readable) == {"critical": 0, "warning": 0, "info": 0}
        assert asked(indexer, statements, readable, "signature", Window()).total == 0
        assert asked(indexer, alarms, readable, Window()).total == 0
        assert all(not counted for _, counted in asked(indexer, verdicts, readable, NOW, 90))


def test_a_newer_verdict_closes_the_findings_of_the_older(world: World, indexer: Indexer) -> None:
    world.control(verdict=Verdict.FAIL, age=5)
    indexer.refresh(NOW)
    assert asked(indexer, severities, DAGS)["warning"] == 1
    world.control(verdict=Verdict.PASS, age=1)
    indexer.refresh(NOW)
    assert asked(indexer, severities, DAGS)["warning"] == 1
    item = asked(indexer, findings, DAGS, Window()).items[0]
    assert item.when == world.ago(1)
    assert asked(indexer, artifacts, DAGS, Window()).items[0].tone is Tone.PLAIN


def test_a_stranger_counts_for_nothing_and_is_not_quoted(world: World, indexer: Indexer) -> None:
    world.control(verdict=Verdict.FAIL, signer="stranger")
    indexer.refresh(NOW)
    assert asked(indexer, artifacts, DAGS, Window()).total == 0
    assert asked(indexer, severities, DAGS) == {"critical": 0, "warning": 0, "info": 0}
    assert asked(indexer, state_of).not_counted == {TrustError.code: 1}
    with indexer.database.reading() as connection:
        assert connection.execute("SELECT what || summary || verdict FROM statement").fetchone()[0] == ""


@pytest.mark.parametrize("first", ["revocation", "statement"])
def test_what_was_revoked_no_longer_counts_whatever_came_first(world: World, indexer: Indexer, first: str) -> None:
    digest = world.control(verdict=Verdict.FAIL)
    if first == "statement":
        indexer.refresh(NOW)
        assert asked(indexer, severities, DAGS)["warning"] == 1
    world.revoke(digest, target="evidence")
    indexer.refresh(NOW)
    assert asked(indexer, severities, DAGS)["warning"] == 0
    assert asked(indexer, verdicts, DAGS, NOW, 1)[-1][1] == {}
    assert asked(indexer, state_of).not_counted == {"revoked": 1}


def test_what_is_gone_from_the_store_is_gone_from_the_index(tmp_path: Path) -> None:
    backend = MemoryBackend()
    world = World(backend=backend)
    indexer = indexer_of(world, tmp_path)
    kept, gone = world.sign(), world.control()
    indexer.refresh(NOW)
    assert len(asked(indexer, keys_of, gone)) == 1
    del backend.objects[asked(indexer, keys_of, gone)[0]]
    done = indexer.refresh(NOW)
    assert done is not None and (done.added, done.removed) == (0, 1)
    assert asked(indexer, keys_of, gone) == []
    assert len(asked(indexer, keys_of, kept)) == 1
    assert asked(indexer, artifacts, DAGS, Window()).total == 1
    assert dump(indexer)["finding"] == []


def test_what_was_changed_is_broken_until_it_is_restored(tmp_path: Path) -> None:
    backend = MemoryBackend()
    world = World(backend=backend)
    indexer = indexer_of(world, tmp_path)
    world.sign()
    key, good = next((key, data) for key, data in backend.objects.items() if key.startswith("bundles/"))
    backend.objects[key] = good + b" "
    indexer.refresh(NOW)
    assert asked(indexer, state_of).not_counted == {"evidence-broken": 1}
    backend.objects[key] = good
    indexer.refresh(NOW)
    assert asked(indexer, state_of).not_counted == {}


def test_folders_with_strange_names_are_nothing(tmp_path: Path) -> None:
    backend = MemoryBackend()
    backend.objects |= {
        "bundles/../etc": b"x",
        "bundles/readme": b"x",
        f"bundles/{'a' * 64}/what/ever/else": b"x",
        f"bundles/{'b' * 64}/signature/x": b"x",
    }
    indexer = indexer_of(World(backend=backend), tmp_path)
    indexer.refresh(NOW)
    assert asked(indexer, state_of).not_counted == {"evidence-broken": 2}
    assert asked(indexer, artifacts, {"", "train"}, Window()).total == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=15)
@given(steps=st.lists(st.sampled_from("crsgpvx."), min_size=1, max_size=12))
def test_step_by_step_ends_where_a_rebuild_does(steps: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder, backend = tmp_path_factory.mktemp("i"), MemoryBackend()
    world = World(backend=backend)
    indexer = indexer_of(world, folder)
    made: list[str] = []
    acts: dict[str, Callable[[int], Any]] = {
        "c": lambda n: world.control(verdict=list(Verdict)[n % 3], age=n + 1),
        "s": lambda n: world.sign(age=n + 1),
        "g": lambda n: world.release(policy({"evidence": "signature", "of": "model"}), age=n / 10),
        "p": lambda n: world.provenance(age=n + 1),
        "v": lambda n: world.approve(age=n + 1),
        "r": lambda n: world.revoke(made[n % len(made)], target="evidence") if made else None,
        "x": lambda n: (
            backend.objects.pop(sorted(backend.objects)[n % len(backend.objects)], None) if backend.objects else None
        ),
        ".": lambda n: indexer.refresh(NOW),
    }
    for number, step in enumerate(steps):
        done = acts[step](number)
        if isinstance(done, str):
            made.append(done)
    indexer.refresh(NOW)
    grown = dump(indexer)
    assert grown["left"] == []
    indexer.rebuild(NOW)
    assert dump(indexer) == grown


def logged_world(required: bool = True) -> tuple[World, MemoryLogBackend]:
    backend = MemoryLogBackend()
    key = log_key().public_key.pem
    section = {"log": {"origin": log_trust().origin, "keys": [key], "required": required}}
    return World(backend=backend, trust=trust(sections=section)), backend


def test_the_log_says_what_came_since(tmp_path: Path) -> None:
    world, backend = logged_world()
    logged = EvidenceStore(backend, EvidenceLog(backend, log_trust(), log_key()))
    indexer = indexer_of(world, tmp_path)
    logged.put(collect_signed(world, "first"))
    indexer.refresh(NOW)
    assert asked(indexer, artifacts, DAGS, Window()).total == 1
    logged.put(collect_signed(world, "second"))
    done = indexer.refresh(NOW, sweep=False)
    assert done is not None and done.added == 1
    assert asked(indexer, artifacts, DAGS, Window()).total == 2
    assert asked(indexer, state_of).log_size == 2


def test_what_the_log_lacks_does_not_count_and_what_it_misses_is_withheld(tmp_path: Path) -> None:
    world, backend = logged_world()
    logged = EvidenceStore(backend, EvidenceLog(backend, log_trust(), log_key()))
    indexer = indexer_of(world, tmp_path)
    bundle = collect_signed(world, "logged")
    logged.put(bundle)
    world.store.put(collect_signed(world, "unlogged"))
    indexer.refresh(NOW)
    assert asked(indexer, state_of).not_counted == {"not-logged": 1}
    key = asked(indexer, keys_of, bundle.digest)[0]
    kept = backend.objects.pop(key)
    indexer.refresh(NOW)
    assert asked(indexer, state_of).not_counted == {"not-logged": 1, "evidence-withheld": 1}
    # As a verification says, too.
    about = collect(world.store, key.split("/")[1], world.trust, NOW)
    assert [item.code for item in about.broken] == ["evidence-withheld"]
    backend.objects[key] = kept
    indexer.refresh(NOW)
    assert asked(indexer, state_of).not_counted == {"not-logged": 1}


def collect_signed(world: World, name: str) -> Any:
    from tests.support.evidence import bundle, control_statement

    return bundle(control_statement(artifact(name, Kind.DATASET), "drift", Verdict.PASS, world.ago(1)))


def test_search_filter_and_pages(world: World, indexer: Indexer) -> None:
    names = [f"model {number:02}" for number in range(12)] + ["100%_sure", "100 surely"]
    for number, name in enumerate(names):
        world.sign(artifact(name), age=number + 1)
    world.control(artifact("broken rows", Kind.DATASET), verdict=Verdict.FAIL)
    indexer.refresh(NOW)

    def found(**more: Any) -> list[str]:
        return [item.name for item in asked(indexer, artifacts, DAGS, Window(1, 50), **more).items]

    assert found(search="100%_") == ["100%_sure"]
    assert found(search="MODEL 0") == names[:10]
    assert found(search=artifact("model 03").digest[:12]) == ["model 03"]
    assert found(kind="dataset") == found(state="bad") == found(state="findings") == ["broken rows"]
    assert found(state="released") == []
    assert found(search="'; DROP TABLE statement; --") == []
    pages = [asked(indexer, artifacts, DAGS, Window(number, 4), kind="model") for number in (1, 2, 3, 4, 5)]
    assert [page.total for page in pages] == [14] * 5
    assert pages[0].pages == 4
    assert [item.name for page in pages for item in page.items] == names


def test_an_index_of_another_trust_policy_is_another_one(world: World, tmp_path: Path) -> None:
    world.sign()
    indexer_of(world, tmp_path).refresh(NOW)
    distrusting = World(backend=world.backend, trust=trust({"gate": ["gate"]}))
    indexer = indexer_of(distrusting, tmp_path)
    indexer.refresh(NOW)
    assert asked(indexer, artifacts, DAGS, Window()).total == 0
    assert asked(indexer, state_of).not_counted == {TrustError.code: 1}


def test_the_file_is_its_owners_alone(world: World, indexer: Indexer) -> None:
    indexer.refresh(NOW)
    assert indexer.database.path.stat().st_mode & 0o077 == 0
    assert indexer.database.path.parent.stat().st_mode & 0o077 == 0


def test_a_model_of_two_dags_is_told_to_each_by_its_own_words(world: World, indexer: Indexer) -> None:
    from airflow_mlsecops.core.predicates import signature
    from tests.support.evidence import RUN

    other = Artifact("secret name", world.model.uri, Kind.MODEL, world.model.form, world.model.digest, 5, 1)
    world.sign(age=5)
    world.put(signature.build(other, signed_at=world.ago(1), evidence=[], run={**RUN, "dag_id": "blue"}), "pipeline")
    indexer.refresh(NOW)
    assert [item.name for item in asked(indexer, artifacts, {"train"}, Window()).items] == ["model"]
    assert asked(indexer, artifacts, {"train"}, Window(), search="secret").items == ()
    assert [item.name for item in asked(indexer, artifacts, {"train", "blue"}, Window()).items] == ["secret name"]
