"""Promote a model version to a stage, or roll a stage back to an earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.assets import names_another
from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.predicates.promotion import Action, Release
from airflow_mlsecops.core.releases import Promoted, promote
from airflow_mlsecops.hooks.outlets import tell_outlets
from airflow_mlsecops.hooks.run_info import run_info
from airflow_mlsecops.operators.base import MlsecopsOperator, check_choice, require_text
from airflow_mlsecops.operators.policy_file import read_policy

if TYPE_CHECKING:
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


class PromoteModelOperator(MlsecopsOperator):
    """Signs that a version of a model stands at a stage from now on, if a release gate said YES to exactly these bytes.

    The gate's decision is verified again, with all evidence that it read; the connection's signer needs the role
    ``promote``. Of two promotions of one name at the same moment the first in the evidence log counts; the other task
    fails, and a retry puts its version after it.

    Args:
        model_name: the name under which versions are counted.
        version: of one name it stands for the same bytes for ever.
        stage: such as ``production``.
        policy: path of the release policy that this stage asks for.
        rollback: go back to a version that stood at this stage before; needs a ``reason``.
        reason: why, for whoever reads the history.
        mirror: ``mlflow`` to copy it to MLflow's model registry. A copy that fails is said, and undoes nothing.

    Example::

        PromoteModelOperator(
            task_id="promote", artifact=sign.output, model_name="digits", version="{{ run_id }}", stage="production",
            policy="/etc/policies/production.yaml",
        )
    """

    template_fields: Sequence[str] = (
        *MlsecopsOperator.template_fields,
        "model_name",
        "version",
        "stage",
        "policy",
        "reason",
    )
    default_kind: ClassVar[Kind] = Kind.MODEL

    def __init__(
        self,
        *,
        model_name: str,
        version: str,
        stage: str,
        policy: str,
        rollback: bool = False,
        reason: str = "",
        mirror: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("mirror", mirror, ("", "mlflow"))
        self.model_name = model_name
        self.version = version
        self.stage = stage
        self.policy = policy
        self.rollback = rollback
        self.reason = reason
        self.mirror = mirror

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Resolve, hash again, verify the gate's decision, sign, read back."""
        for name in ("model_name", "version", "stage"):
            require_text(name, getattr(self, name))
        self._check_outlets()
        artifact = self.unchanged(hook, self.resolve(hook))
        action = Action.ROLLBACK if self.rollback else Action.PROMOTE
        done = promote(
            Release(self.model_name, self.version, self.stage, action, self.reason),
            artifact,
            store=hook.store,
            trust=hook.trust,
            policy=read_policy(self.policy),
            signer=hook.signer,
            now=utcnow(),
            run=run_info(context),
        )
        self.log.info("%s %s stands at %s: evidence sha256:%s", self.model_name, self.version, self.stage, done.digest)
        for text in done.satisfied:
            self.log.info("  yes: %s", text)
        for line in done.changes.lines():
            self.log.info("  changed: %s", line)
        reference = {
            "artifact": artifact.to_dict(),
            "model_name": self.model_name,
            "version": self.version,
            "stage": self.stage,
            "changes": len(done.changes.rows),
            "evidence": done.digest,
            **({"mirrored": self._mirrored(done)} if self.mirror else {}),
        }
        tell_outlets(context, self.outlets, reference)
        return self.end(context, reference, said_no="", on_no="fail")

    def _check_outlets(self) -> None:
        """An event about another model, or another stage, would have Dags run that have nothing to do with this one.

        Raises:
            ConfigurationError: naming the asset.
        """
        for outlet in self.outlets or ():
            uri = str(getattr(outlet, "uri", ""))
            if names_another(uri, self.model_name, self.stage):
                told = f"outlet {uri} isn't {self.model_name} at {self.stage}"
                raise ConfigurationError(told, "name the stage that is promoted to, as model_at makes it")

    def _mirrored(self, done: Promoted) -> str:
        """MLflow's number of the version; empty if it couldn't be copied: the promotion stands either way."""
        from airflow_mlsecops.hooks.mlflow_mirror import mirror

        try:
            number = mirror(done.promotion, done.digest)
        except Exception as error:
            self.log.error("It stands, and isn't copied to MLflow: %s: %s", type(error).__name__, error)
            return ""
        self.log.info("Copied to MLflow as version %s", number)
        return number
