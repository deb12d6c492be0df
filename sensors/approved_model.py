"""Wait until a version of a model stands at a stage."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_mlsecops.sensors.base import WaitingSensor


class ApprovedModelSensor(WaitingSensor):
    """Waits until a version of a model stands at a stage and is released under the stage's policy.

    It returns the artifact's reference, with version and evidence: what ``VerifyArtifactOperator`` or a ``@task`` with
    ``verified_copy`` takes.

    Args:
        model_name: the name that the model was promoted under.
        stage: such as ``production``.
        policy: path of the stage's release policy, on workers and, if ``deferrable``, on the triggerer.
        newer_than: a version, or a promotion's evidence digest, that was used before: wait for what came after it.

    Example::

        ApprovedModelSensor(
            task_id="wait", model_name="digits", stage="production", policy="/etc/policies/production.yaml"
        )
    """

    template_fields: Sequence[str] = (*WaitingSensor.template_fields, "model_name", "stage", "policy", "newer_than")
    question = "model"

    def __init__(self, *, model_name: str, stage: str, policy: str, newer_than: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.model_name = model_name
        self.stage = stage
        self.policy = policy
        self.newer_than = newer_than

    def arguments(self) -> dict[str, Any]:
        """Which model, where, and what it needs."""
        return {
            "model_name": self.model_name,
            "stage": self.stage,
            "policy": self.policy,
            "newer_than": self.newer_than or "",
        }
