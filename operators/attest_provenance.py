"""Sign where an artifact came from, said by the Dag's author: for outputs that no single task of this Dag made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.predicates import provenance
from airflow_mlsecops.hooks.references import ArtifactLike, resolve_artifact
from airflow_mlsecops.hooks.run_info import run_info
from airflow_mlsecops.hooks.surroundings import surroundings
from airflow_mlsecops.operators.base import MlsecopsOperator
from airflow_mlsecops.operators.derived import BUILDER

if TYPE_CHECKING:
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


class AttestProvenanceOperator(MlsecopsOperator):
    """Signs SLSA provenance v1 about an artifact that lies there already, such as one that a cluster's job wrote.

    The inputs are those that the author names, pinned now: a job that ran elsewhere may have read other bytes. Where
    the worker itself runs the code, let it observe instead, with
    :func:`airflow_mlsecops.taskflow.observe_provenance`.

    Args:
        artifact: what was made.
        materials: everything it was made from: paths, URIs, or references from tasks that pinned them.
        material_kind: what those are that are pinned here.
        parameters: what the job was told. Never put a secret here: it is signed and published.

    Returns:
        The artifact's reference, and the evidence's digest.
    """

    template_fields: Sequence[str] = (*MlsecopsOperator.template_fields, "materials", "parameters")
    default_kind = Kind.MODEL

    def __init__(
        self,
        *,
        materials: Sequence[ArtifactLike],
        material_kind: Kind | str = Kind.DATASET,
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.materials = list(materials)
        self.material_kind = Kind(material_kind).value
        self.parameters = dict(parameters or {})

    def work(self, hook: MlsecopsHook, context: Any) -> dict[str, Any]:
        """Pin, sign, put."""
        output = self.resolve(hook)
        inputs = [resolve_artifact(item, hook, kind=self.material_kind) for item in self.materials]
        seen = surroundings(context, hook.store.put_blob)
        statement = provenance.build(
            output,
            inputs=inputs,
            parameters=self.parameters,
            run={**run_info(context), **seen.run},
            builder=BUILDER,
            started_at=context["ti"].start_date,
            finished_at=utcnow(),
            materials=seen.materials,
        )
        digest = hook.put(statement)
        self.log.info("Attested %s, made from %d inputs: evidence sha256:%s", output, len(inputs), digest)
        reference = {"artifact": output.to_dict(), "evidence": digest}
        return self.end(context, reference, said_no="", on_no="fail")
