"""Sign what a task derived from one artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.predicates import provenance
from airflow_mlsecops.core.predicates.types import OURS
from airflow_mlsecops.hooks.run_info import run_info

if TYPE_CHECKING:
    from airflow_mlsecops.core.artifact import Artifact
    from airflow_mlsecops.core.digest import Sha256
    from airflow_mlsecops.hooks.mlsecops import MlsecopsHook

BUILDER = f"{OURS}/airflow"


def sign_derived(
    hook: MlsecopsHook,
    context: Any,
    derived: Artifact,
    source: Artifact,
    *,
    parameters: Mapping[str, Any],
    further: Sequence[provenance.Dependency] = (),
    materials: Sequence[provenance.Material] = (),
) -> Sha256:
    """Put signed provenance into the store: this was made from that one, in this run; return its digest.

    Args:
        hook: signs and puts.
        context: of the task.
        derived: what was made.
        source: what it was made from.
        parameters: what the task was told.
        further: what else it rests on, such as what the source itself was made from.
        materials: code, packages and image.
    """
    statement = provenance.build(
        derived,
        inputs=[source, *further],
        parameters=parameters,
        run=run_info(context),
        builder=BUILDER,
        started_at=context["ti"].start_date,
        finished_at=utcnow(),
        materials=materials,
    )
    return hook.put(statement)
