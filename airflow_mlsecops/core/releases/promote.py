"""Moving a version to a stage, forward or back: checked before it is signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.core.evidence import verify_bundle
from airflow_mlsecops.core.policy import Dossier, ReleasePolicy, gather
from airflow_mlsecops.core.predicates import promotion as promotion_predicate
from airflow_mlsecops.core.predicates.promotion import Action, Promotion, Release
from airflow_mlsecops.core.releases.changes import Changes, changes_between, facts_of
from airflow_mlsecops.core.releases.history import History, Step, read_history
from airflow_mlsecops.core.signing import Signer
from airflow_mlsecops.core.store.evidence_store import EvidenceStore
from airflow_mlsecops.core.trust import TrustPolicy
from airflow_mlsecops.core.verification import verify_release


class PromotionRefusedError(MlsecopsError):
    """A version can't go to a stage: no gate's YES, a version that stands for other bytes, a broken chain."""

    code = "promotion-refused"


class PromotionConflictError(MlsecopsError):
    """Somebody else promoted the same name at the same moment, and was first."""

    code = "promotion-conflict"
    transient = True


@dataclass(frozen=True)
class Promoted:
    """A promotion that stands.

    Attributes:
        digest: its evidence.
        promotion: what it says.
        changes: what is different from what stood at the stage before.
        satisfied: why the gate's YES still holds.
    """

    digest: Sha256
    promotion: Promotion
    changes: Changes
    satisfied: tuple[str, ...]


def promote(
    release: Release,
    artifact: Artifact,
    *,
    store: EvidenceStore,
    trust: TrustPolicy,
    policy: ReleasePolicy,
    signer: Signer,
    now: datetime,
    run: Mapping[str, Any],
) -> Promoted:
    """Sign that a version goes to a stage, if a gate said YES to it and everything that it read still holds.

    1. The chain of the name's promotions is there and isn't broken.
    2. The version doesn't stand for other bytes; a rollback goes back to what stood at this stage.
    3. A gate released exactly these bytes under exactly this policy, and its reasons hold *now*.
    4. The statement is signed by somebody with the role ``promote``: it is verified before it is put.
    5. It is put and, read back, stands in the chain: nobody else was first.

    The caller still owes: that the bytes at hand have the artifact's digest, and that the policy is the stage's.

    Args:
        release: name, version, stage, action and reason.
        artifact: the bytes.
        store: the evidence.
        trust: who may sign what.
        policy: what the stage asks for.
        signer: who promotes.
        now: the current time.
        run: which orchestrator's task promotes; empty if none does.

    Raises:
        StatementError: if name, version, stage or reason is refused.
        PromotionRefusedError: if step 1, 2 or 3 says NO; nothing was signed.
        TrustError: if step 4 fails; nothing was put.
        PromotionConflictError: if step 5 fails; what was put never counts, and trying again can help.
        StoreUnavailableError: if the store can't be reached.
    """
    release.check()
    # 1.
    history = _whole_history(release.name, store, trust, now)
    # 2.
    _check_version(release, artifact, history)
    # 3.
    answer = verify_release(artifact, store, trust, policy, now)
    if not answer:
        why = "; ".join(map(str, answer.decision.reasons))
        raise PromotionRefusedError(
            f"{artifact} isn't released under policy {policy.name}: {why}", "run it through ReleaseGateOperator first"
        )
    # 4.
    before = _standing(history, release.stage)
    changes = _changes(before, answer.dossier, store, trust, now)
    promotion = Promotion(
        release=release,
        artifact=artifact,
        previous=history.head.evidence.digest if history.head else None,
        replaces=before.evidence.digest if before else None,
        policy_name=policy.name,
        policy=policy.digest,
        evidence=answer.decision.evidence,
        changes=changes.to_dict(),
        promoted_at=now,
    )
    bundle = signer.sign(promotion_predicate.build(promotion, run))
    verify_bundle(bundle, trust, now)
    # 5.
    digest = store.put(bundle)
    _check_stands(digest, release, read_history(store, release.name, trust, now))
    return Promoted(digest, promotion, changes, answer.decision.satisfied)


def changes_since(
    name: str, stage: str, dossier: Dossier, *, store: EvidenceStore, trust: TrustPolicy, now: datetime
) -> Changes:
    """What is different from what stands at a stage, for people who are to decide about it.

    Args:
        name: the model's.
        stage: such as ``production``.
        dossier: verified evidence about the version in question.
        store: the evidence.
        trust: who may sign what.
        now: the current time.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    history = read_history(store, name, trust, now)
    changes = _changes(_standing(history, stage), dossier, store, trust, now)
    broken = tuple(f"the promotions of {name}: {item.reason}" for item in history.broken)
    return replace(changes, unreadable=(*broken, *changes.unreadable))


def _whole_history(name: str, store: EvidenceStore, trust: TrustPolicy, now: datetime) -> History:
    history = read_history(store, name, trust, now)
    if history.broken:
        why = "; ".join(item.reason for item in history.broken)
        raise PromotionRefusedError(f"the promotions of {name} are broken: {why}", f"see `mlsecops history {name}`")
    return history


def _check_stands(digest: str, release: Release, history: History) -> None:
    """Refuse what was put and isn't in the chain: somebody else was first."""
    step = next((step for step in history.steps if step.evidence.digest == digest), None)
    if step is not None and not step.problem and not history.broken:
        return
    reasons = [item.reason for item in history.broken] or [step.problem if step else "somebody else was first"]
    raise PromotionConflictError(
        f"{release.name} {release.version} was signed, and doesn't count: {'; '.join(reasons)}",
        f"try again; see `mlsecops history {release.name}`",
    )


def _check_version(release: Release, artifact: Artifact, history: History) -> None:
    for step in history.steps:
        version, identity = step.version
        if version == release.version and identity != artifact.identity:
            raise PromotionRefusedError(
                f"version {version} of {release.name} stands for sha256:{identity.digest}, not for {artifact.digest}",
                "give these bytes a version of their own",
            )
    stood = any(
        not step.problem
        and step.version == (release.version, artifact.identity)
        and step.said.release.stage == release.stage
        for step in history.steps
    )
    if release.action is Action.ROLLBACK and not stood:
        raise PromotionRefusedError(
            f"version {release.version} of {release.name} never stood at {release.stage}",
            "a rollback goes back to what stood there; promote it instead",
        )


def _standing(history: History, stage: str) -> Step | None:
    """What stood at the stage before: what it is compared with, whether or not it may still be used."""
    return next(
        (step for step in reversed(history.steps) if not step.problem and step.said.release.stage == stage), None
    )


def _changes(
    before: Step | None, now_read: Dossier, store: EvidenceStore, trust: TrustPolicy, now: datetime
) -> Changes:
    after = facts_of(now_read, store.get_blob)
    if before is None:
        return changes_between(None, after)
    earlier = gather(store, before.said.artifact.identity, trust, now)
    return changes_between(facts_of(earlier, store.get_blob), after, since=before.evidence.digest)
