"""The page's one line, from evidence in memory."""

from __future__ import annotations

from airflow_mlsecops.core.report import Verdict
from airflow_mlsecops.plugin.links import Links
from airflow_mlsecops.plugin.source import Source
from airflow_mlsecops.plugin.view import ArtifactView, build_view
from tests.plugin.pages import RED, PipelineWorld
from tests.support.evidence import artifact, policy

SIGNED = {"evidence": "signature", "of": "model"}
APPROVED = {"evidence": "approval", "of": "model"}


def view(world: PipelineWorld, *, of_dataset: bool = False) -> ArtifactView:
    """What somebody who may read the red team's Dags sees now."""
    subject = world.dataset if of_dataset else world.model
    source = Source(world.store, world.trust, embedded=False)
    links = Links.under("/", "/mlsecops")
    return build_view(source, subject.digest, dag_id=RED, readable=frozenset({RED}), links=links, now=world.now)


def status(world: PipelineWorld, *, of_dataset: bool = False) -> tuple[str, str]:
    """Its code and tone."""
    found = view(world, of_dataset=of_dataset).status
    return found.code, found.tone.value


def test_a_model_that_no_gate_has_seen() -> None:
    world = PipelineWorld()
    world.signed()
    assert status(world) == ("undecided", "plain")


def test_a_control_that_failed_outweighs_one_that_passed() -> None:
    world = PipelineWorld()
    world.signed()
    world.checked(world.model, "scan", Verdict.FAIL)
    world.checked(world.model, "drift")
    assert status(world) == ("statement-said-no", "bad")


def test_a_data_set_that_failed_speaks_against_the_model() -> None:
    world = PipelineWorld()
    world.made()
    world.checked(world.dataset, "label-poisoning", Verdict.FAIL)
    assert view(world).status.title == "label-poisoning of data set dataset: fail"


def test_a_release() -> None:
    world = PipelineWorld()
    world.signed()
    assert world.gate()
    assert status(world) == ("released", "good")


def test_a_newer_no_after_a_release() -> None:
    world = PipelineWorld()
    world.signed()
    assert world.gate(age=0.9)
    world.checked(world.model, "drift", Verdict.FAIL, age=0.5)
    assert status(world) == ("newer-no", "warn")


def test_an_older_no_that_the_policy_didnt_ask_about() -> None:
    world = PipelineWorld()
    world.signed()
    world.checked(world.model, "drift", Verdict.FAIL, age=3)
    assert world.gate(age=0.5)
    assert status(world) == ("released", "good")


def test_gates_with_different_policies_that_disagree() -> None:
    world = PipelineWorld()
    world.signed()
    world.gate(policy(SIGNED, name="staging"))
    world.gate(policy(APPROVED, name="production"))
    assert status(world) == ("mixed", "warn")
    assert {item.policy: item.released for item in view(world).decisions} == {"staging": True, "production": False}


def test_a_policy_that_changed_since_is_the_same_policy() -> None:
    world = PipelineWorld()
    world.signed()
    assert not world.gate(policy(SIGNED, APPROVED, name="production"), age=0.9)
    assert world.gate(policy(SIGNED, name="production"), age=0.5)
    assert status(world) == ("released", "good")


def test_one_release_of_two_that_no_longer_holds() -> None:
    world = PipelineWorld()
    world.signed()
    approved = world.decided()
    assert world.gate(policy(APPROVED, name="production"), age=0.9)
    assert world.gate(policy(SIGNED, name="staging"), age=0.5)
    objects = world.backend.objects  # type: ignore[attr-defined]
    del objects[next(key for key in objects if approved in key)]
    assert status(world) == ("release-no-longer-holds", "bad")


def test_data_sets() -> None:
    world = PipelineWorld()
    world.checked(world.dataset)
    assert status(world, of_dataset=True) == ("passed", "good")
    world.checked(world.dataset, "drift", Verdict.WARN)
    assert status(world, of_dataset=True) == ("warned", "warn")


def test_nothing_that_counts() -> None:
    world = PipelineWorld()
    world.checked(world.model, signer="stranger")
    assert status(world) == ("nothing-counts", "bad")


def test_broken_evidence_of_a_data_set_counts_for_the_model() -> None:
    world = PipelineWorld()
    world.made()
    world.signed()
    world.gate()
    broken = world.checked(world.dataset)
    objects = world.backend.objects  # type: ignore[attr-defined]
    objects[next(key for key in objects if broken in key)] = b"{"
    assert status(world) == ("evidence-broken", "bad")


def test_names_that_differ_are_all_heard() -> None:
    world = PipelineWorld()
    world.checked(world.model, age=2)
    world.checked(artifact("other name", content=b"model"), age=1)
    assert view(world).artifact.names == ("other name", "model")
