"""Asset events that name a model: told by anybody, so verified before they are believed."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import StatementError
from airflow_mlsecops.core.loading import NotVerifiedError
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.predicates.alarm import Alarm, Event
from airflow_mlsecops.core.releases import current
from airflow_mlsecops.core.verification import verify_release
from airflow_mlsecops.hooks.alarms import sound
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook
from airflow_mlsecops.hooks.outlets import EXTRA
from airflow_mlsecops.hooks.run_info import run_info

log = logging.getLogger(__name__)


def verified_event(
    context: Any, policy: ReleasePolicy, model_name: str, stage: str, mlsecops_conn_id: str
) -> dict[str, Any]:
    """The reference in the newest event that triggered the run, if what it names may be used.

    Whatever else it names sounds an alarm; one that was merely overtaken doesn't.

    Raises:
        NotVerifiedError: if there is none, or it may not.
    """
    hook = MlsecopsHook(mlsecops_conn_id)
    told, artifact, problem = _newest(context), None, ""
    try:
        artifact = Artifact.from_dict(told.get("artifact") or {})
        problem = _why_not(artifact, hook, policy, model_name, stage)
    except StatementError as error:
        problem = f"the event names no model: {error.message}"
    if artifact is not None and not problem:
        log.info("The event's model is released under %s: sha256:%s", policy.name, artifact.digest)
        return {"artifact": artifact.to_dict()}
    task = type(context["ti"].task).__name__
    sound(Alarm(Event.EVENT_NOT_VERIFIED, task, problem, "", utcnow(), run_info(context)), hook)
    raise NotVerifiedError(f"an asset event isn't to be believed: {problem}", "find out who posted it")


def _newest(context: Any) -> Mapping[str, Any]:
    events = [event for found in (context.get("triggering_asset_events") or {}).values() for event in found]
    if not events:
        return {}
    newest = max(events, key=lambda event: (event.timestamp is not None, event.timestamp))
    told = (newest.extra or {}).get(EXTRA)
    return told if isinstance(told, Mapping) else {}


def _why_not(artifact: Artifact, hook: MlsecopsHook, policy: ReleasePolicy, model_name: str, stage: str) -> str:
    if not stage:
        answer = verify_release(artifact, hook.store, hook.trust, policy, utcnow())
        return "; ".join(map(str, answer.decision.reasons)) or ("" if answer else "nothing speaks for it")
    found = current(model_name, stage, store=hook.store, trust=hook.trust, policy=policy, now=utcnow())
    if not found or found.step is None:
        return "; ".join(found.reasons) or "nothing speaks for it"
    stands = found.step.said.artifact
    # All of it, the place too: an event mustn't lead to other bytes, or to the same ones taken for something else.
    if stands == artifact:
        return ""
    told = f"{model_name} at {stage} is sha256:{stands.digest} at {stands.uri}"
    earlier = [step.said.artifact for step in found.history.steps if step.said.release.stage == stage]
    if artifact in earlier:
        raise NotVerifiedError(f"the event was overtaken: {told}", "the event of that one triggers a run of its own")
    return told
