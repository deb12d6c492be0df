"""Wait until the evidence about an artifact fulfils a policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_mlsecops.core.artifact import Form, Kind
from airflow_mlsecops.sensors.base import WaitingSensor


class EvidenceSensor(WaitingSensor):
    """Waits until the evidence about these bytes fulfils a release policy, whichever Dag or deployment signed it.

    It evaluates the policy itself; no gate has to have decided. It returns digest, policy and the evidence that
    counted.

    Args:
        digest: SHA-256 of the bytes, such as ``{{ ti.xcom_pull('sign')['artifact']['digest'] }}``.
        policy: path of the release policy, on workers and, if ``deferrable``, on the triggerer.
        artifact_kind: what the evidence has to be about, ``model`` or ``dataset``.
        artifact_form: ``file``, or ``tree`` for a folder or prefix.

    Example::

        EvidenceSensor(task_id="wait", digest="{{ params.digest }}", policy="/etc/policies/production.yaml")
    """

    template_fields: Sequence[str] = (*WaitingSensor.template_fields, "digest", "policy")
    question = "policy"

    def __init__(
        self,
        *,
        digest: str,
        policy: str,
        artifact_kind: Kind | str = Kind.MODEL,
        artifact_form: Form | str = Form.FILE,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.digest = digest
        self.policy = policy
        self.artifact_kind = Kind(artifact_kind).value
        self.artifact_form = Form(artifact_form).value

    def arguments(self) -> dict[str, Any]:
        """Which bytes, taken for what, and what they need."""
        return {
            "digest": self.digest,
            "kind": self.artifact_kind,
            "form": self.artifact_form,
            "policy": self.policy,
        }
