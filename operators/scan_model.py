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
    from airflow_mlsecops.hooks.references import ArtifactLike


class ScanModelOperator(ControlOperator):
    """Refuses a model that could attack whoever loads it: default-deny, without ever unpickling it.

    Args:
        allow_lists: further allow-lists: paths, URIs, or outputs of the task that signed them as data sets.
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
        allow_lists: Sequence[ArtifactLike] = (),
        compare_with: str = "last-release",
        opinions: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.allow_lists = allow_lists
        self.compare_with = compare_with
        self.opinions = opinions

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Tell the story of every control; what was signed before is read with the same hook."""
        self.hook = hook
        return super().work(hook, context)

    def control(self, artifact: Artifact, path: Path) -> Report:
        """See :func:`airflow_mlsecops.core.controls.model_scan.scan_model`."""
        from airflow_mlsecops.core.clock import utcnow
        from airflow_mlsecops.core.controls.model_scan import scan_model
        from airflow_mlsecops.core.scanning.pinned import pinned_imports

        return scan_model(
            artifact,
            path,
            allow_lists=[self._allow_list(place) for place in self.allow_lists],
            pinned_imports=pinned_imports(artifact, self.hook.store, self.hook.trust, self.compare_with, utcnow()),
            opinions=list(self.opinions),
        )

    def _allow_list(self, place: ArtifactLike) -> bytes:
        """The bytes of a signed allow-list."""
        from airflow_mlsecops.core.clock import utcnow
        from airflow_mlsecops.core.scanning.pinned import check_allow_list
        from airflow_mlsecops.hooks.references import resolve_artifact

        artifact = resolve_artifact(place, self.hook, name="", kind=Kind.DATASET, keep=False)
        with self.hook.verified_copy(artifact) as path:
            document = path.read_bytes() if path.is_file() else b""
        check_allow_list(artifact, document, self.hook.store, self.hook.trust, utcnow())
        return document
