"""The steps of an approval gate between Airflow and the evidence store: ask, record an answer, count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from airflow_mlsecops.core.approving.answers import answers_in, answers_listed, fingerprint, unlogged_answers
from airflow_mlsecops.core.approving.asking import Terms, new_request, open_request, same_task
from airflow_mlsecops.core.approving.tally import Standing, State, tally, why_not_asked
from airflow_mlsecops.core.artifact import Artifact
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.digest import Sha256
from airflow_mlsecops.core.errors import EvidenceBrokenError, EvidenceNotFoundError, TrustError
from airflow_mlsecops.core.evidence import EvidenceSet, bound_to, collect, verify_bundle
from airflow_mlsecops.core.policy import Dossier, ReleasePolicy, gather
from airflow_mlsecops.core.predicates import APPROVAL, APPROVAL_REQUEST, approval, approval_request
from airflow_mlsecops.core.predicates.alarm import Alarm, Event
from airflow_mlsecops.core.predicates.approval import Decision
from airflow_mlsecops.core.predicates.approval_request import ApprovalRequest
from airflow_mlsecops.core.releases import changes_since
from airflow_mlsecops.core.telling import run_of
from airflow_mlsecops.hooks.alarms import has_connection, sound

if TYPE_CHECKING:
    from airflow_mlsecops.hooks.accounts import Accounts
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook

APPROVE, REJECT = "Approve", "Reject"
IDENTITY_SOURCE = "airflow-auth-manager"
_DECISIONS = {APPROVE: Decision.APPROVED, REJECT: Decision.REJECTED}


@dataclass(frozen=True)
class OpenRequest:
    """A verified request, and what it is about."""

    artifact: Artifact
    digest: Sha256
    request: ApprovalRequest


class Counted(NamedTuple):
    """Where a request stands, and the fingerprint of the answers that were looked at."""

    standing: Standing
    seen: Sha256


def ask(
    hook: MlsecopsHook,
    artifact: Artifact,
    terms: Terms,
    run: Mapping[str, Any],
    *,
    model_name: str,
    stage: str,
    policy: str,
) -> tuple[OpenRequest, Dossier]:
    """Find this task's open request about these bytes, or sign a new one; see :func:`.asking.open_request`.

    Raises:
        StatementError: if the terms can't be met, or nobody knows who triggered the run.
        TrustError: if this connection's signer may not ask, or may not record answers.
        StoreUnavailableError: if the store can't be reached.
    """
    now = utcnow()
    dossier = gather(hook.store, artifact.identity, hook.trust, now)
    changes = changes_since(model_name, stage, dossier, store=hook.store, trust=hook.trust, now=now)
    wanted = new_request(
        dossier,
        terms,
        triggered_by=str(run["triggered_by"]),
        now=now,
        changes=changes.lines(),
        policy=ReleasePolicy.from_file(policy) if policy else None,
    )
    found = open_request(dossier.sets[artifact.digest], wanted, run, now)
    if found is not None:
        return OpenRequest(artifact, found[0].digest, found[1]), dossier
    bundle = hook.signer.sign(approval_request.build(artifact, wanted, run))
    # Before anybody is asked: their answers would count for nothing.
    signer = verify_bundle(bundle, hook.trust, now)
    if APPROVAL.role not in signer.roles:
        raise TrustError(
            f"signer {signer.signer} asks, and has no role {APPROVAL.role!r} to record answers",
            "give it the role in the trust policy",
        )
    return OpenRequest(artifact, hook.store.put(bundle), wanted), dossier


def take_up(hook: MlsecopsHook, artifact: Artifact, digest: str, run: Mapping[str, Any]) -> OpenRequest:
    """The request that this task waits for, verified again.

    Raises:
        EvidenceNotFoundError: if it isn't among what counts, or is another task's.
        StoreUnavailableError: if the store can't be reached.
    """
    for item in _evidence(hook, artifact, utcnow()).of(APPROVAL_REQUEST.slug):
        if item.digest == digest and same_task(run_of(item.statement), run):
            return OpenRequest(artifact, item.digest, approval_request.parse(item.statement))
    raise EvidenceNotFoundError(
        f"{hook.store}: request {digest[:100]} of this task isn't among the evidence that counts",
        "somebody removed or withdrew it: find out who; clear the task to ask again",
    )


def record(
    hook: MlsecopsHook, asked: OpenRequest, event: Mapping[str, Any], run: Mapping[str, Any], accounts: Accounts
) -> str:
    """Sign what Airflow says that somebody answered.

    1. There is a person: a timeout or a default has none.
    2. The person was asked, and didn't trigger the run, make or sign the artifact. Airflow checks assignments, too, but
       not these.
    3. The answer is one of the two, in time; an approval has a reason, if one is asked for. Nobody is kept from
       rejecting by a form.

    What breaks 2 is sounded as an alarm: it was tried.

    Returns:
        Why the answer isn't signed; empty if it is.

    Raises:
        StoreUnavailableError: if the store can't be reached.
    """
    # 1.
    user = event.get("responded_by_user") or {}
    account, name = str(user.get("id") or ""), str(user.get("name") or "")
    if not account or not name or event.get("timedout"):
        return "it came from nobody; only a person can approve"
    # 2.
    person = accounts.person(account)
    if refused := why_not_asked(asked.request, person, name):
        detail = f"{name} answered request {asked.digest}, and {refused}"
        alarm = Alarm(Event.ANSWER_REFUSED, "ApprovalGateOperator", detail, name, utcnow(), run)
        sound(alarm, None if has_connection() else hook)
        return f"{name} {refused}"
    # 3.
    chosen, reason = list(event["chosen_options"]), _reason(event)
    decision = _DECISIONS.get(chosen[0]) if len(chosen) == 1 else None
    if decision is None:
        return f"{name} answered {chosen!r}, which is neither {APPROVE} nor {REJECT}"
    decided_at: datetime = event["responded_at"]
    if decided_at > asked.request.expires_at:
        return f"{name} answered after the end"
    if decision is Decision.APPROVED and asked.request.reason_required and not reason:
        return f"{name} gave no reason, and this gate asks for one"
    valid_for = asked.request.valid_for
    statement = approval.build(
        asked.artifact,
        decision=decision,
        approver={"id": person, "name": name},
        identity_source=IDENTITY_SOURCE,
        reason=reason,
        request=asked.digest,
        evidence=[item.digest for item in asked.request.shown],
        requested_at=asked.request.requested_at,
        decided_at=decided_at,
        expires_at=None if valid_for is None else decided_at + valid_for,
        run=run,
    )
    hook.put(statement)
    return ""


def standing(hook: MlsecopsHook, asked: OpenRequest) -> Counted:
    """Count the store's verified answers.

    Raises:
        EvidenceBrokenError: if enough people approved, and something about the artifact makes every answer NO.
        StatementError: if a verified answer can't be read.
        StoreUnavailableError: if the store can't be reached.
    """
    now = utcnow()
    # Listed before it is read: what comes in between is looked at once more, rather than never.
    listed = answers_listed(hook.store, asked.artifact.digest)
    evidence = _evidence(hook, asked.artifact, now)
    if _enter(hook, asked, evidence):
        evidence = _evidence(hook, asked.artifact, now)
    counted = tally(asked.request, asked.digest, answers_in(evidence), now)
    if counted.state is State.APPROVED and evidence.broken:
        why = "; ".join(f"{item.key}: {item.reason}" for item in evidence.broken)
        raise EvidenceBrokenError(f"{asked.artifact} is approved, and can't go on: {why}", "find out who did that")
    # What the log still has to have is looked at again.
    unlogged = {each.item.digest for each in unlogged_answers(evidence)}
    return Counted(counted, fingerprint(listed - unlogged))


def reference(asked: OpenRequest, said: Standing) -> dict[str, Any]:
    """What later tasks are told of a request that is decided: who decided, and where the evidence of it is."""
    answers = said.rejections or said.counted
    return {
        "artifact": asked.artifact.to_dict(),
        "decision": answers[0].said.decision.value,
        "approver": ", ".join(answer.said.approver for answer in answers),
        "approvals": len(said.counted),
        "request": asked.digest,
        "evidence": answers[0].item.digest,
    }


def why_rejected(asked: OpenRequest, said: Standing) -> str:
    """Who rejected, and why; empty if nobody did."""
    if not said.rejections:
        return ""
    names = ", ".join(answer.said.approver for answer in said.rejections)
    return f"{names} rejected {asked.artifact}: {said.rejections[0].said.reason or 'no reason given'}"


def _enter(hook: MlsecopsHook, asked: OpenRequest, evidence: EvidenceSet) -> bool:
    """Enter into the log what people put straight into the store: they don't have its key.

    Only answers to this request, and only those that count but for the log.
    """
    ours = {each.item.digest for each in unlogged_answers(evidence) if each.said.request == asked.digest}
    found = hook.store.find(asked.artifact.digest, APPROVAL.slug) if ours else []
    bundles = [item.bundle for item in found if item.digest in ours and item.bundle is not None]
    if bundles:
        hook.store.put_all(bundles)
    return bool(bundles)


def _evidence(hook: MlsecopsHook, artifact: Artifact, now: datetime) -> EvidenceSet:
    return bound_to(collect(hook.store, artifact.digest, hook.trust, now), artifact.identity)


def _reason(event: Mapping[str, Any]) -> str:
    given = event.get("params_input")
    reason = given.get("reason") if isinstance(given, dict) else None
    return reason.strip() if isinstance(reason, str) else ""
