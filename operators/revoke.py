"""Withdraw an artifact: every later verification says NO, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import from_text, utcnow
from airflow_mlsecops.core.predicates.revocation import Cause, Target, build
from airflow_mlsecops.core.revoking import revoke
from airflow_mlsecops.hooks.run_info import run_info
from airflow_mlsecops.operators.base import MlsecopsOperator, check_choice, require_text

if TYPE_CHECKING:
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


class RevokeArtifactOperator(MlsecopsOperator):
    """Signs that these bytes are withdrawn. There is no way to take that back.

    The connection's signer needs the role ``revoke``; give it to a key that no other task can reach.

    Args:
        reason: why, for whoever is told NO.
        since: from when on, as RFC 3339; by default now.
        cause: why in one word: ``superseded``, ``retired``, ``compromised`` or ``untrusted``.

    Example::

        RevokeArtifactOperator(task_id="revoke", artifact="s3://models/digits.joblib", reason="trained on leaked data")
    """

    template_fields: Sequence[str] = (*MlsecopsOperator.template_fields, "reason", "since")
    default_kind: ClassVar[Kind] = Kind.MODEL
    keeps_manifest: ClassVar[bool] = False

    def __init__(self, *, reason: str, since: str = "", cause: str = "untrusted", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_choice("cause", cause, tuple(Cause))
        self.reason = reason
        self.since = since
        self.cause = cause

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Resolve, sign, put. The bytes needn't be there any more if the artifact was pinned before."""
        require_text("reason", self.reason)
        artifact, run, now = self.resolve(hook), run_info(context), utcnow()
        statement = build(
            Target.ARTIFACT,
            artifact.name,
            artifact.digest,
            cause=Cause(self.cause),
            reason=self.reason,
            since=from_text(self.since) if self.since else now,
            by=run["triggered_by"] or hook.signer.name,
            revoked_at=now,
            run=run,
        )
        digest = revoke(statement, hook.signer, hook.store, hook.trust, now).digest
        self.log.warning("%s is revoked, for good: %s. Evidence sha256:%s", artifact, self.reason, digest)
        return self.end(context, {"artifact": artifact.to_dict(), "evidence": digest}, said_no="", on_no="fail")
