"""A person decides, on Airflow's own human-in-the-loop machinery; the decision becomes a signed statement."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.standard.exceptions import HITLTimeoutError
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.canonical import canonical_json
from airflow_mlsecops.core.clock import from_text, to_text, utcnow
from airflow_mlsecops.core.policy import gather
from airflow_mlsecops.core.predicates import approval
from airflow_mlsecops.core.predicates.approval import Decision
from airflow_mlsecops.hooks.mlsecops import DEFAULT_CONN_ID, MlsecopsHook
from airflow_mlsecops.hooks.run_info import run_info
from airflow_mlsecops.links import evidence_url
from airflow_mlsecops.operators.approval_request import build_request
from airflow_mlsecops.operators.base import MlsecopsOperator, OnNo, check_choice, permanent_errors_fail

if TYPE_CHECKING:
    from airflow.sdk.execution_time.hitl import HITLUser

    from airflow_mlsecops.hooks.references import ArtifactLike

APPROVE, REJECT = "Approve", "Reject"
IDENTITY_SOURCE = "airflow-auth-manager"


class ApprovalGateOperator(MlsecopsOperator, HITLOperator):
    """Shows the artifact's digest and the evidence so far, waits for a person, and signs what that person decided.

    The answer comes through Airflow's Required Actions page or its REST API. While it waits, no worker slot is held. A
    timeout fails the task: it never approves, and there is no default answer. Who triggered the run can't approve it.

    What is signed is that *Airflow says* it was this person (assurance ``recorded``): whoever can forge an answer in
    Airflow can forge this one.

    Args:
        artifact: what is to be approved.
        approvers: ids of those who may answer, as the auth manager knows them: with the simple one the name, with FAB
            the number, with Keycloak the user id. If left out, everybody with the right to.
        valid_for: how long the approval counts; no end if left out.
        response_timeout: how long to wait for an answer.
        on_reject: ``fail`` or ``skip``.
        require_reason: whether an answer without a reason is refused.

    Example::

        ApprovalGateOperator(task_id="approve", artifact=sign.output, approvers=["alice", "bob"])
    """

    template_fields: Sequence[str] = (*MlsecopsOperator.template_fields, "subject", "approvers")
    default_kind: ClassVar[Kind] = Kind.MODEL
    ui_color = "#fef7e0"

    def __init__(
        self,
        *,
        artifact: ArtifactLike,
        approvers: Sequence[str] | None = None,
        subject: str = "",
        valid_for: timedelta | None = None,
        on_reject: OnNo = "fail",
        require_reason: bool = False,
        artifact_name: str = "",
        artifact_kind: Kind | str | None = None,
        mlsecops_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        for name in ("defaults", "options", "multiple", "body", "assigned_users"):
            if name in kwargs:
                raise ValueError(f"{name} can't be set: this gate asks one question, and a timeout never approves")
        # Airflow hands the Dag's own params in here; they don't belong on the form, and nobody may add a question.
        kwargs.pop("params", None)
        check_choice("on_reject", on_reject, ("fail", "skip"))
        if isinstance(approvers, str) or (approvers is not None and not approvers):
            raise ValueError("approvers: expected a list of names, or nothing for everybody with the right")
        reason = Param(None, type=["null", "string"], format="multiline", title="Reason", maxLength=4000)
        super().__init__(
            artifact=artifact,
            artifact_name=artifact_name,
            artifact_kind=artifact_kind,
            mlsecops_conn_id=mlsecops_conn_id,
            subject=subject or "Approve this model for release?",
            options=[APPROVE, REJECT],
            params={"reason": reason},
            **kwargs,
        )
        self.approvers = list(approvers) if approvers is not None else None
        self.valid_for = valid_for
        self.on_reject = on_reject
        self.require_reason = require_reason

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Ask: hash again, collect the evidence, keep the request as a blob, and park until somebody answers."""
        artifact = self.unchanged(hook, self.resolve(hook))
        now, run = utcnow(), run_info(context)
        dossier = gather(hook.store, artifact.identity, hook.trust, now)
        request = build_request(
            artifact, dossier, requested_at=now, run=run, link=evidence_url(run["dag_id"], artifact.digest)
        )
        blob = hook.store.put_blob(canonical_json(request.document))
        self.body = request.body
        self.assigned_users = self._assigned()
        self.log.info(
            "Asking %s about %s; request sha256:%s", self.approvers or "everybody with the right", artifact, blob
        )
        asked = {
            "artifact": artifact.to_dict(),
            "request": blob,
            "evidence": list(request.evidence),
            "requested_at": to_text(now),
        }
        try:
            HITLOperator.execute(self, context)
        except TaskAwaitingInput as waiting:
            raise TaskAwaitingInput(
                method_name="execute_complete", kwargs={"asked": asked}, timeout=waiting.timeout
            ) from None
        raise AirflowFailException("Airflow didn't wait for an answer")

    def execute_complete(
        self, context: Any, event: dict[str, Any], asked: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Go on with the answer: check who gave it, sign it, then end."""
        try:
            answer = HITLOperator.execute_complete(self, context, event)
        except HITLTimeoutError as error:
            raise AirflowFailException("nobody answered in time; a timeout never approves") from error
        with permanent_errors_fail():
            return self._decide(MlsecopsHook(self.mlsecops_conn_id), context, dict(answer), asked or {})

    def _decide(
        self, hook: MlsecopsHook, context: Any, answer: dict[str, Any], asked: dict[str, Any]
    ) -> dict[str, Any]:
        artifact, run = Artifact.from_dict(asked.get("artifact", {})), run_info(context)
        self.pinned_digest = artifact.digest
        who, reason = self._approver(answer, run), str((answer.get("params_input") or {}).get("reason") or "").strip()
        chosen = answer["chosen_options"]
        if chosen not in ([APPROVE], [REJECT]):
            raise AirflowFailException(f"the answer {chosen!r} is neither {APPROVE} nor {REJECT}")
        decision = Decision.APPROVED if chosen == [APPROVE] else Decision.REJECTED
        if self.require_reason and not reason:
            raise AirflowFailException(
                f"{who['name']} gave no reason, and this gate asks for one; clear the task to ask again"
            )
        decided_at: datetime = answer["responded_at"]
        statement = approval.build(
            artifact,
            decision=decision,
            approver=who,
            identity_source=IDENTITY_SOURCE,
            reason=reason,
            request=str(asked["request"]),
            evidence=list(asked["evidence"]),
            requested_at=from_text(asked["requested_at"]),
            decided_at=decided_at,
            expires_at=decided_at + self.valid_for if self.valid_for else None,
            run=run,
        )
        digest = hook.put(statement)
        self.log.info("%s %s %s: %s", who["name"], decision, artifact, reason or "(no reason given)")
        self.log.info("Approval statement: evidence sha256:%s", digest)
        reference = {
            "artifact": artifact.to_dict(),
            "decision": decision.value,
            "approver": who["name"],
            "evidence": digest,
        }
        said_no = (
            "" if decision is Decision.APPROVED else f"{who['name']} rejected {artifact}: {reason or 'no reason given'}"
        )
        return self.end(context, reference, said_no=said_no, on_no=self.on_reject)

    def _approver(self, answer: dict[str, Any], run: dict[str, Any]) -> dict[str, str]:
        """Who answered, if that person may.

        1. There is a person: a timeout or a default has none.
        2. The person is one of the approvers. Airflow checks this too, but not against a changed assignment.
        3. The person isn't the one who triggered the run; if nobody knows who that was, nobody may approve.
        """
        user = answer.get("responded_by_user") or {}
        identity = {"id": str(user.get("id") or ""), "name": str(user.get("name") or "")}
        # 1.
        if not identity["name"] or not identity["id"]:
            raise AirflowFailException("the answer came from nobody; only a person can approve")
        # 2.
        if self.approvers is not None and not {identity["id"], identity["name"]} & set(self.approvers):
            raise AirflowFailException(f"{identity['name']} is not one of the approvers {self.approvers}")
        # 3.
        if not run["triggered_by"]:
            raise AirflowFailException("nobody knows who triggered this run, so nobody can be told apart from them")
        if run["triggered_by"] in identity.values():
            raise AirflowFailException(f"{identity['name']} triggered this run and can't approve it too")
        return identity

    def _assigned(self) -> list[HITLUser] | None:
        if self.approvers is None:
            return None
        return [{"id": str(name), "name": str(name)} for name in self.approvers]
