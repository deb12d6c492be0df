"""What sensors wait for: asked by the sensor in the worker, and by its trigger in the triggerer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from airflow_mlsecops.core.artifact import Identity
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import parse_sha256
from airflow_mlsecops.core.policy import ReleasePolicy, evaluate, gather
from airflow_mlsecops.core.releases import History, current
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


class Seen(NamedTuple):
    """What is so now: the reference that is waited for or, without one, what is still missing."""

    reference: dict[str, Any] | None
    missing: tuple[str, ...]


def ask(question: str, arguments: Mapping[str, Any], mlsecops_conn_id: str) -> Seen:
    """Look once.

    Args:
        question: ``policy`` or ``model``.
        arguments: of that question.
        mlsecops_conn_id: the connection.

    Raises:
        MlsecopsError: if it can't be told; transient, if looking again can help.
    """
    return _QUESTIONS[question](MlsecopsHook(mlsecops_conn_id), **arguments)


def _policy(hook: MlsecopsHook, *, digest: str, kind: str, form: str, policy: str) -> Seen:
    """Does the evidence about these bytes fulfil the policy?"""
    rules, now = ReleasePolicy.from_file(policy), utcnow()
    identity = Identity(parse_sha256(digest), kind, form)
    decision = evaluate(rules, gather(hook.store, identity, hook.trust, now), now)
    if not decision:
        return Seen(None, tuple(map(str, decision.reasons)))
    return Seen({"digest": digest, "policy": rules.name, "evidence": list(decision.evidence)}, ())


def _model(hook: MlsecopsHook, *, model_name: str, stage: str, policy: str, newer_than: str) -> Seen:
    """Does something stand at the stage that may be used, and is it newer than what was seen?"""
    rules = ReleasePolicy.from_file(policy)
    found = current(model_name, stage, store=hook.store, trust=hook.trust, policy=rules, now=utcnow())
    if not found or found.step is None:
        return Seen(None, found.reasons)
    said, digest = found.step.said, found.step.evidence.digest
    if newer_than and not _is_newer(found.history, stage, newer_than):
        return Seen(
            None, (f"{said.release.version} is still the newest at {stage}, or {newer_than} never stood there",)
        )
    reference = {
        "artifact": said.artifact.to_dict(),
        "model_name": model_name,
        "version": said.release.version,
        "stage": stage,
        "evidence": digest,
    }
    return Seen(reference, ())


def _is_newer(history: History, stage: str, seen: str) -> bool:
    """Whether a promotion to the stage follows the last one of this version, or with this evidence digest."""
    steps = [step for step in history.steps if step.said.release.stage == stage]
    places = [i for i, step in enumerate(steps) if seen in (step.said.release.version, step.evidence.digest)]
    return bool(places) and max(places) < len(steps) - 1


_QUESTIONS: dict[str, Callable[..., Seen]] = {"policy": _policy, "model": _model}
