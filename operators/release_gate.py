"""The release gate: the model goes out only if the policy, over verified evidence alone, says YES."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.policy import evaluate, gather
from airflow_mlsecops.core.predicates import vsa
from airflow_mlsecops.hooks.outlets import tell_outlets
from airflow_mlsecops.hooks.run_info import run_info
from airflow_mlsecops.operators.base import MlsecopsOperator, OnNo, check_choice
from airflow_mlsecops.operators.policy_file import read_policy

if TYPE_CHECKING:
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


class ReleaseGateOperator(MlsecopsOperator):
    """Evaluates a release policy, and signs the decision, YES or NO, with every piece of evidence it read.

    It never looks at task states or XComs of other tasks: only at the artifact's bytes and at signed statements.

    Args:
        policy: path of the release policy (YAML), or ``mlsecops:production`` and other shipped ones.
        on_fail: ``fail``, ``skip`` or ``continue`` on a NO. There is no way to make it say YES.

    Example::

        ReleaseGateOperator(task_id="release", artifact=sign.output, policy="/etc/policies/production.yaml")
    """

    template_fields: Sequence[str] = (*MlsecopsOperator.template_fields, "policy")
    default_kind: ClassVar[Kind] = Kind.MODEL

    def __init__(self, *, policy: str, on_fail: OnNo = "fail", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice("on_fail", on_fail, ("fail", "skip", "continue"))
        self.policy = policy
        self.on_fail = on_fail

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Resolve, hash again, gather, evaluate, sign the decision."""
        artifact = self.unchanged(hook, self.resolve(hook))
        policy, now = read_policy(self.policy), utcnow()
        dossier = gather(hook.store, artifact.identity, hook.trust, now)
        decision = evaluate(policy, dossier, now)
        statement = vsa.build(
            artifact,
            passed=bool(decision),
            verified_at=now,
            policy_name=policy.name,
            policy_digest=policy.digest,
            trust_digest=hook.trust.digest,
            evidence=decision.evidence,
            reasons=[str(reason) for reason in decision.reasons],
            run=run_info(context),
            read=dossier.read,
            waived=decision.waived,
        )
        digest = hook.put(statement)
        self.log.info("Policy %s (sha256:%s) says %s", policy.name, policy.digest, "YES" if decision else "NO")
        for text in decision.satisfied:
            self.log.info("  yes: %s", text)
        for text in decision.waived:
            self.log.warning("  waived: %s", text)
        for reason in decision.reasons:
            self.log.error("  no:  %s", reason)
        self.log.info("Verification summary: evidence sha256:%s", digest)
        reference = {
            "artifact": artifact.to_dict(),
            "released": bool(decision),
            "policy": policy.name,
            "reasons": [str(reason)[:300] for reason in decision.reasons[:10]],
            "evidence": digest,
        }
        tell_outlets(context, self.outlets, reference)
        said_no = "" if decision else f"{artifact} is not released: {'; '.join(map(str, decision.reasons))}"
        return self.end(context, reference, said_no=said_no, on_no=self.on_fail)
