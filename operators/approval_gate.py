"""People decide, on Airflow's own human-in-the-loop pages or with their own keys; the gate counts signed statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.bases.notifier import BaseNotifier
from airflow.sdk.exceptions import AirflowFailException

from airflow_mlsecops.core.approving.asking import Terms, asked_people
from airflow_mlsecops.core.approving.tally import Standing, State
from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.clock import from_text, to_text, utcnow
from airflow_mlsecops.core.errors import MlsecopsError
from airflow_mlsecops.core.predicates.approval import Assurance
from airflow_mlsecops.hooks.accounts import Accounts, auth_manager
from airflow_mlsecops.hooks.approvals import (
    APPROVE,
    REJECT,
    OpenRequest,
    ask,
    record,
    reference,
    standing,
    take_up,
    why_rejected,
)
from airflow_mlsecops.hooks.metrics import count
from airflow_mlsecops.hooks.mlsecops import DEFAULT_CONN_ID, MlsecopsHook
from airflow_mlsecops.hooks.notifying import Event, call
from airflow_mlsecops.hooks.run_info import run_info
from airflow_mlsecops.operators.approval_request import screen
from airflow_mlsecops.operators.base import MlsecopsOperator, OnNo, check_choice, permanent_errors_fail

if TYPE_CHECKING:
    from airflow_mlsecops.hooks.references import ArtifactLike

_OPEN_FOR = timedelta(days=7)
_GRACE = timedelta(minutes=10)
"""After its end a request is Airflow's to end, if no triggerer runs that would."""


class ApprovalGateOperator(MlsecopsOperator, HITLOperator):
    """Asks people about an artifact, waits without a worker slot until enough of them approved, and never passes else.

    What is asked is signed first, with its terms. Answers come through Airflow's Required Actions page or its REST API,
    and are signed by the gate (level ``recorded``: Airflow says that it was this person); or straight into the evidence
    store, signed by the person (``signed``, see ``mlsecops approve``). The gate counts the store's verified statements
    and nothing else: not its own state, not XComs, not events. One rejection ends it. Time ends it, and never approves.

    Nobody counts twice, and nobody counts who triggered the run, made or signed the artifact.

    Args:
        artifact: what is to be approved.
        approvers: ids of those who are asked, as the trust policy's ``people`` or the auth manager knows them.
        approver_roles: also everybody with one of these roles under ``people`` in the trust policy. Without either,
            everybody with the right to answer.
        quorum: how many different people have to approve.
        level: ``recorded``, or ``signed`` if only people's own signatures count.
        subject: the question; by default it names the artifact, so that many in a list can be told apart.
        policy: a release policy; what it asks for and isn't there is shown.
        model_name: the name under which versions are promoted, for what changed; the artifact's name if left out.
        stage: the stage whose newest version it is compared with.
        valid_for: how long an approval counts; no end if left out.
        response_timeout: how long the request is open.
        require_reason: whether an approval without a reason is refused.
        escalate_after: when to call ``escalation_notifiers``, counted from when it was asked.
        escalation_notifiers: Airflow notifiers; ``notifiers`` are called at once.
        on_reject: ``fail`` or ``skip``.
        poke_interval: seconds between two looks into the store.

    Example::

        ApprovalGateOperator(task_id="approve", artifact=sign.output, approvers=["alice", "bob", "carol"], quorum=2)
    """

    template_fields: Sequence[str] = (
        *MlsecopsOperator.template_fields,
        "subject",
        "approvers",
        "approver_roles",
        "policy",
        "model_name",
        "stage",
    )
    default_kind: ClassVar[Kind] = Kind.MODEL
    ui_color = "#fef7e0"

    def __init__(
        self,
        *,
        artifact: ArtifactLike,
        approvers: Sequence[str] | None = None,
        approver_roles: Sequence[str] = (),
        quorum: int = 1,
        level: Literal["recorded", "signed"] | Assurance = Assurance.RECORDED,
        subject: str = "",
        policy: str = "",
        model_name: str = "",
        stage: str = "production",
        valid_for: timedelta | None = None,
        response_timeout: timedelta = _OPEN_FOR,
        require_reason: bool = True,
        escalate_after: timedelta | None = None,
        escalation_notifiers: Sequence[BaseNotifier] | BaseNotifier = (),
        on_reject: OnNo = "fail",
        poke_interval: float = 30.0,
        artifact_name: str = "",
        artifact_kind: Kind | str | None = None,
        mlsecops_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        check_choice("on_reject", on_reject, ("fail", "skip"))
        check_choice("level", level, tuple(Assurance))
        _check_question(kwargs, approvers, approver_roles)
        if quorum < 1 or response_timeout <= timedelta() or poke_interval <= 0:
            raise ValueError("quorum, response_timeout and poke_interval: expected more than nothing")
        notifiers = [escalation_notifiers] if isinstance(escalation_notifiers, BaseNotifier) else escalation_notifiers
        if (escalate_after is None) != (not notifiers):
            raise ValueError("escalate_after and escalation_notifiers: expected both, or neither")
        # Airflow hands the Dag's own params in here; they don't belong on the form, and nobody may add a question.
        kwargs.pop("params", None)
        reason = Param(None, type=["null", "string"], format="multiline", title="Reason", maxLength=4000)
        super().__init__(
            artifact=artifact,
            artifact_name=artifact_name,
            artifact_kind=artifact_kind,
            mlsecops_conn_id=mlsecops_conn_id,
            subject=subject,
            options=[APPROVE, REJECT],
            params={"reason": reason},
            response_timeout=response_timeout,
            **kwargs,
        )
        self.approvers = list(approvers) if approvers is not None else None
        self.approver_roles = list(approver_roles)
        self.quorum = quorum
        self.level = Assurance(level).value
        self.policy = policy
        self.model_name = model_name
        self.stage = stage
        self.valid_for = valid_for
        self.require_reason = require_reason
        self.escalate_after = escalate_after
        self.escalation_notifiers = list(notifiers)
        self.on_reject = on_reject
        self.poke_interval = poke_interval

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Ask, or take the request up again that is still open; then count, and wait if it isn't decided.

        1. Hash again, and read the evidence: what people are asked about is what lies there now.
        2. Find this task's open request about these bytes, or sign a new one.
        3. Show it, tell the notifiers, and wait; or end, if its answers are in the store already.
        """
        # 1.
        artifact, run = self.unchanged(hook, self.resolve(hook)), run_info(context)
        # 2.
        terms = self._terms(hook)
        asked, dossier = ask(
            hook,
            artifact,
            terms,
            run,
            model_name=self.model_name or artifact.name,
            stage=self.stage,
            policy=self.policy,
        )
        told = ", ".join(asked.request.approvers) or "everybody with the right"
        self.log.info("Asking %s about %s; request: evidence sha256:%s", told, artifact, asked.digest)
        # 3.
        self.body = screen(artifact, asked.request, asked.digest, dossier, dag_id=run["dag_id"], run_id=run["run_id"])
        return self._go_on(context, hook, asked, escalated=False, show=True, first=True)

    def execute_complete(
        self, context: Any, event: dict[str, Any], asked: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Somebody answered, or there is something to look at: sign the answer, count, end or wait on.

        While the store or the key service can't be reached it waits on, with the answer kept where Airflow has it.
        """
        kept = asked or {}
        with permanent_errors_fail():
            artifact = Artifact.from_dict(kept.get("artifact", {}))
            try:
                return self._look(context, event, kept, artifact)
            except MlsecopsError as error:
                until = from_text(str(kept.get("until")))
                if not error.transient or utcnow() > until:
                    raise
                self.log.warning("Looking again in %s s: %s", self.poke_interval, error)
            return self._sleep(context, artifact, kept, seen="", until=until, rest=self.poke_interval)

    def _look(self, context: Any, event: dict[str, Any], kept: dict[str, Any], artifact: Artifact) -> dict[str, Any]:
        hook, run = MlsecopsHook(self.mlsecops_conn_id), run_info(context)
        self.pinned_digest = artifact.digest
        again = take_up(hook, artifact, str(kept.get("request")), run)
        if "chosen_options" in event:
            refused = record(hook, again, event, run, self._accounts(hook))
            if refused:
                self.log.warning("An answer doesn't count: %s", refused)
        # After an answer the question is asked again, for the next one.
        show = "chosen_options" in event
        return self._go_on(context, hook, again, escalated=bool(kept.get("escalated")), show=show)

    def _go_on(
        self,
        context: Any,
        hook: MlsecopsHook,
        asked: OpenRequest,
        *,
        escalated: bool,
        show: bool,
        first: bool = False,
    ) -> dict[str, Any]:
        """End, if the request is decided; otherwise show it, escalate if it is time, and wait."""
        said, seen = standing(hook, asked)
        for ignored in said.uncounted:
            self.log.info("  not counted: %s", ignored)
        if said.state is State.WAITING:
            self.log.info("Waiting for %d more until %s", said.needed, to_text(asked.request.expires_at))
            if show:
                self._show(hook, context, asked)
            if first:
                self._asked(context, asked, said)
            self._wait(context, asked, said, seen, escalated=escalated)
        if said.state is State.EXPIRED:
            raise AirflowFailException(
                f"not enough people answered until {to_text(asked.request.expires_at)}; a timeout never approves"
            )
        for answer in said.rejections or said.counted:
            self.log.info("%s %s: %s", answer.said.approver, answer.said.decision, answer.said.reason or "(no reason)")
        return self.end(context, reference(asked, said), said_no=why_rejected(asked, said), on_no=self.on_reject)

    def _wait(self, context: Any, asked: OpenRequest, said: Standing, seen: str, *, escalated: bool) -> NoReturn:
        now, request = utcnow(), asked.request
        due = request.requested_at + self.escalate_after if self.escalate_after and not escalated else None
        if due is not None and now >= due:
            self.log.warning("Still waiting: telling %d notifier(s)", len(self.escalation_notifiers))
            self._tell(self.escalation_notifiers, context, asked, said)
            due, escalated = None, True
        kept = {
            "artifact": asked.artifact.to_dict(),
            "request": asked.digest,
            "escalated": escalated,
            "until": to_text(request.expires_at),
        }
        self._sleep(context, asked.artifact, kept, seen=seen, until=request.expires_at, due=due)

    def _sleep(
        self,
        context: Any,
        artifact: Artifact,
        kept: dict[str, Any],
        *,
        seen: str,
        until: datetime,
        due: datetime | None = None,
        rest: float = 0.0,
    ) -> NoReturn:
        from airflow_mlsecops.triggers.approval import ApprovalTrigger

        self.defer(
            trigger=ApprovalTrigger(
                subject=artifact.digest,
                seen=seen,
                mlsecops_conn_id=self.mlsecops_conn_id,
                poke_interval=self.poke_interval,
                escalate_at=to_text(due) if due else "",
                expires_at=to_text(until),
                ti_id=str(context["ti"].id),
                rest=rest,
            ),
            method_name="execute_complete",
            kwargs={"asked": kept},
            timeout=max(until - utcnow(), timedelta()) + _GRACE,
        )
        raise AssertionError("a deferred task doesn't go on here")

    def _show(self, hook: MlsecopsHook, context: Any, asked: OpenRequest) -> None:
        """Put the question where people find it; an answer that was given already goes, it is in the store."""
        from airflow.sdk.execution_time.hitl import upsert_hitl_detail

        accounts = self._accounts(hook)
        self.assigned_users = [accounts.user(person) for person in asked.request.able] or None
        # On the task itself, because notifiers' templates read it there.
        self.subject = self.subject or f"Approve {asked.artifact} for release?"
        upsert_hitl_detail(
            ti_id=context["ti"].id,
            options=self.options,
            subject=self.subject,
            body=self.body,
            params=self.serialized_params,
            assigned_users=self.assigned_users,
        )

    def _asked(self, context: Any, asked: OpenRequest, said: Standing) -> None:
        """Tell those that the task names, and those that the configuration names."""
        count("mlsecops.approvals.asked", operator=type(self).__name__, dag_id=str(self.dag_id))
        self._tell(self.notifiers, context, asked, said)
        told = {"request": asked.digest}
        self.notify(Event.WAITING, context, f"{self.task_id} waits for an answer", self.body or "", told)

    def _tell(self, notifiers: Sequence[BaseNotifier], context: Any, asked: OpenRequest, said: Standing) -> None:
        """Call notifiers; whatever goes wrong there decides nothing."""
        told = {"request": asked.digest, "needed": said.needed, "artifact": asked.artifact.to_dict()}
        for notifier in notifiers:
            call(notifier, {**context, "approval": told})

    def _terms(self, hook: MlsecopsHook) -> Terms:
        return Terms(
            approvers=asked_people(map(str, self.approvers or ()), self.approver_roles, hook.trust.people),
            quorum=self.quorum,
            level=Assurance(self.level),
            open_for=self.response_timeout or _OPEN_FOR,
            valid_for=self.valid_for,
            reason_required=self.require_reason,
        )

    def _accounts(self, hook: MlsecopsHook) -> Accounts:
        return Accounts(hook.trust.people, auth_manager())


def _check_question(kwargs: Any, approvers: Any, approver_roles: Any) -> None:
    """Refuse what would make another question of it."""
    for name in ("defaults", "options", "multiple", "body", "assigned_users"):
        if name in kwargs:
            raise ValueError(f"{name} can't be set: this gate asks one question, and a timeout never approves")
    if isinstance(approvers, str) or (approvers is not None and not approvers) or isinstance(approver_roles, str):
        raise ValueError("approvers and approver_roles: expected lists, or nothing for everybody with the right")
