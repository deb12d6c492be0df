"""A statement counts only for the very artifact it is about: digest, kind and form together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from airflow_mlsecops.core.artifact import Form, Kind
from airflow_mlsecops.core.pinning import pin
from airflow_mlsecops.core.verification import verify_release, verify_signature
from tests.support.evidence import World, policy

SIGNED = {"evidence": "signature", "of": "model"}
VALIDATED = {"evidence": "test-result", "of": "datasets", "control": "data-validation"}


def test_a_file_that_holds_a_trees_manifest_releases_nothing_of_the_tree(tmp_path: Path) -> None:
    """Both have one digest; a harmless JSON file must not vouch for a folder with a pickle in it."""
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "model.pkl").write_bytes(b"hostile")
    pinned = pin(str(tree), kind=Kind.MODEL)
    harmless = tmp_path / "notes.json"
    harmless.write_bytes(pinned.manifest.to_bytes())
    file = pin(str(harmless), kind=Kind.MODEL).artifact
    assert file.digest == pinned.artifact.digest  # which is why the digest alone decides nothing

    world, rules = World(model=file), policy(SIGNED)
    world.sign()
    world.release(rules)

    assert verify_signature(file, world.store, world.trust, world.now)
    assert verify_release(file, world.store, world.trust, rules, world.now)
    for refused in (
        verify_signature(pinned.artifact, world.store, world.trust, world.now),
        verify_release(pinned.artifact, world.store, world.trust, rules, world.now),
    ):
        assert not refused
        assert "speaks of a file model" in str(refused.decision.reasons[0])


def test_a_release_as_a_model_is_none_as_a_data_set() -> None:
    world, rules = World(), policy(SIGNED)
    world.sign()
    world.release(rules)
    as_dataset = replace(world.model, kind=Kind.DATASET)
    assert verify_release(world.model, world.store, world.trust, rules, world.now)
    assert not verify_release(as_dataset, world.store, world.trust, rules, world.now)


def test_a_signature_as_a_data_set_does_not_satisfy_the_policy_for_a_model() -> None:
    world = World()
    world.sign(replace(world.model, kind=Kind.DATASET))
    decision = world.decide(SIGNED)
    assert not decision
    assert "speaks of a file dataset" in str(decision.reasons[0])


def test_a_verdict_on_the_data_set_counts_only_in_the_form_that_provenance_names() -> None:
    world = World()
    world.provenance()
    world.control(replace(world.dataset, form=Form.TREE))
    assert not world.decide(VALIDATED)
    world.control()
    assert world.decide(VALIDATED)


def test_a_digest_that_provenance_names_in_two_forms_is_judged_in_neither() -> None:
    world = World()
    world.provenance(inputs=[world.dataset, replace(world.dataset, form=Form.TREE)])
    world.control()
    world.control(replace(world.dataset, form=Form.TREE))
    assert not world.decide(VALIDATED)


def test_one_person_under_two_display_names_is_one_person() -> None:
    from airflow_mlsecops.core.predicates import approval

    world = World()
    for name in ("alice", "Alice "):
        statement = approval.build(
            world.model,
            decision=approval.Decision.APPROVED,
            approver={"id": "7", "name": name},
            identity_source="airflow-auth-manager",
            reason="",
            request="0" * 64,
            evidence=[],
            requested_at=world.ago(2),
            decided_at=world.ago(1),
            expires_at=None,
            run={},
        )
        world.put(statement, "approvals")
    decision = world.decide({"evidence": "approval", "of": "model", "count": 2})
    assert not decision
    assert "1 of 2" in str(decision.reasons[0])
