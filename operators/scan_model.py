"""Look inside a model before it is signed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.operators.control import ControlOperator

if TYPE_CHECKING:
    from pathlib import Path

    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.report import Report
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


class ScanModelOperator(ControlOperator):
    """Refuses a model that could attack whoever loads it: default-deny, without ever unpickling it.

    Args:
        allow_lists: digests of further allow-lists that a trusted signer put into the evidence store.
        compare_with: digest of the release whose imports are the pinned ones; ``last-release`` takes the newest
            released model of the same name, and ``none`` compares with nothing.
        opinions: other scanners to ask as well: ``picklescan``, ``modelaudit``.

    Example::

        ScanModelOperator(task_id="scan", artifact=train.output)
    """

    control_name: ClassVar[str] = "model-scan"
    default_kind: ClassVar[Kind] = Kind.MODEL
    template_fields: Sequence[str] = (*ControlOperator.template_fields, "allow_lists", "compare_with", "opinions")

    def __init__(
        self,
        *,
        allow_lists: Sequence[str] = (),
        compare_with: str = "last-release",
        opinions: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.allow_lists = allow_lists
        self.compare_with = compare_with
        self.opinions = opinions
        self.documents: list[bytes] = []
        self.pinned: list[str] | None = None

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Read what was signed before, then tell the story of every control."""
        self.hook = hook
        return super().work(hook, context)

    def control(self, artifact: Artifact, path: Path) -> Report:
        """See :func:`airflow_mlsecops.core.controls.model_scan.scan_model`."""
        from airflow_mlsecops.core.clock import utcnow
        from airflow_mlsecops.core.controls.model_scan import scan_model
        from airflow_mlsecops.core.scanning.pinned import allow_list_documents, pinned_imports

        hook = self.hook
        return scan_model(
            artifact,
            path,
            allow_lists=allow_list_documents(hook.store, hook.trust, self.allow_lists, utcnow()),
            pinned_imports=pinned_imports(artifact, hook.store, hook.trust, self.compare_with, utcnow()),
            opinions=list(self.opinions),
        )
