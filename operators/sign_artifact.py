"""Sign an artifact for those who use it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.predicates import signature
from airflow_mlsecops.hooks.run_info import run_info
from airflow_mlsecops.operators.base import MlsecopsOperator

if TYPE_CHECKING:
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


class SignArtifactOperator(MlsecopsOperator):
    """Hashes the artifact again, and signs that these bytes carry this name, if they are still the pinned ones.

    A signature says who vouches for which bytes, not that they are good: that is what the release gate asks for.

    Example::

        SignArtifactOperator(task_id="sign", artifact=train(data))
    """

    default_kind: ClassVar[Kind] = Kind.MODEL

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Resolve, hash again, sign, put."""
        artifact = self.unchanged(hook, self.resolve(hook))
        seen = [item.digest for item in hook.store.find(artifact.digest) if item.bundle is not None]
        statement = signature.build(artifact, signed_at=utcnow(), evidence=seen, run=run_info(context))
        digest = hook.put(statement)
        self.log.info("Signed by %s: evidence sha256:%s", hook.signer.name, digest)
        return self.end(context, {"artifact": artifact.to_dict(), "evidence": digest}, said_no="", on_no="fail")
