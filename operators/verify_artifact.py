"""Verify an artifact against the evidence, before it is used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.verification import Verification, verify_release, verify_signature
from airflow_mlsecops.operators.base import MlsecopsOperator, OnNo, check_choice
from airflow_mlsecops.operators.policy_file import read_policy

if TYPE_CHECKING:
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


class VerifyArtifactOperator(MlsecopsOperator):
    """Says NO unless these bytes were signed by somebody trusted or, with ``policy``, released under that policy.

    It only reads: a worker that verifies needs no signer, and no right to write to the evidence store.

    Args:
        policy: path of the release policy, which says what a release needs; without it only a signature is asked for.
        on_fail: ``fail``, ``skip`` or ``continue`` on a NO.

    Example::

        VerifyArtifactOperator(task_id="verify", artifact="s3://models/digits.joblib", policy="/etc/production.yaml")
    """

    template_fields: Sequence[str] = (*MlsecopsOperator.template_fields, "policy")
    template_ext: Sequence[str] = ()
    default_kind: ClassVar[Kind] = Kind.MODEL
    keeps_manifest: ClassVar[bool] = False

    def __init__(self, *, policy: str | None = None, on_fail: OnNo = "fail", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice("on_fail", on_fail, ("fail", "skip", "continue"))
        self.policy = policy
        self.on_fail = on_fail

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Resolve, hash again, verify."""
        artifact = self.unchanged(hook, self.resolve(hook))
        if self.policy is None:
            answer: Verification = verify_signature(artifact, hook.store, hook.trust, utcnow())
        else:
            answer = verify_release(artifact, hook.store, hook.trust, read_policy(self.policy), utcnow())
        for text in answer.decision.satisfied:
            self.log.info("  yes: %s", text)
        for reason in answer.decision.reasons:
            self.log.error("  no:  %s", reason)
        reference = {
            "artifact": artifact.to_dict(),
            "verified": bool(answer),
            "evidence_read": len(answer.decision.evidence),
        }
        said_no = "" if answer else f"{artifact} is not to be used: {'; '.join(map(str, answer.decision.reasons))}"
        return self.end(context, reference, said_no=said_no, on_no=self.on_fail)
