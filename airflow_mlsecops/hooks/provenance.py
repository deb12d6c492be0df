"""Observing one task: its inputs before, its outputs after, the code and packages that ran, and who triggered it.

1. ``begin``: pin the materials. The task can't change any more what it is said to have been made from.
2. ``succeed``: pin the products, and sign SLSA provenance about them.
3. ``fail``: sign that the try failed. Its subject is the try; what it left behind is named and not vouched for.

What can't be pinned (an asset that is only a name, a place that is neither a folder nor a bucket) is named as such in
the statement; nothing is made up for it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from airflow_mlsecops.core.artifact import Artifact, Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import ArtifactError, ConfigurationError
from airflow_mlsecops.core.predicates import provenance
from airflow_mlsecops.core.predicates.provenance import FAILED, RunRecord
from airflow_mlsecops.core.predicates.types import OURS
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook
from airflow_mlsecops.hooks.provenance_setting import ATTRIBUTE, Declared
from airflow_mlsecops.hooks.references import resolve_artifact
from airflow_mlsecops.hooks.run_info import run_info
from airflow_mlsecops.hooks.surroundings import surroundings

log = logging.getLogger(__name__)

OBSERVER = f"{OURS}/airflow-listener"
"""The builder's id: the worker observed it, the task had no say in it."""
_SCHEMES = ("file://", "s3://", "/", "{")
"""What can be pinned; a brace begins a reference from a task that pinned it before."""


@dataclass
class _Observed:
    """What is known of a running try."""

    declared: Declared
    started_at: datetime
    inputs: list[Artifact] = field(default_factory=list)
    unpinned: list[str] = field(default_factory=list)


_running: dict[str, _Observed] = {}


def begin(task_instance: Any) -> None:
    """Pin what the task is about to read.

    Raises:
        MlsecopsError: if a material lies there and can't be pinned.
    """
    task = task_instance.task
    observed = _Observed(getattr(task, ATTRIBUTE, None) or Declared(), utcnow())
    _running[str(task_instance.id)] = observed
    hook = MlsecopsHook(observed.declared.mlsecops_conn_id)
    materials = _rendered(task_instance, observed.declared.materials)
    observed.inputs = list(_pinned(hook, [*_places(task.inlets), *materials], Kind.DATASET, observed.unpinned))


def succeed(task_instance: Any) -> None:
    """Pin what the task wrote, and sign where it came from.

    Raises:
        MlsecopsError: if it can't be signed or kept.
    """
    observed = _end(task_instance)
    hook = MlsecopsHook(observed.declared.mlsecops_conn_id)
    outputs = _outputs(hook, task_instance, observed)
    if not outputs:
        log.info("Provenance: this task left nothing that can be pinned")
        return
    _sign(hook, task_instance, observed, outputs, {}, ())
    log.info("Provenance: observed %d inputs and %d outputs", len(observed.inputs), len(outputs))


def fail(task_instance: Any) -> None:
    """Sign that this try failed.

    Raises:
        MlsecopsError: if it can't be signed or kept.
    """
    observed = _end(task_instance)
    hook = MlsecopsHook(observed.declared.mlsecops_conn_id)
    record = RunRecord(run_info(_context(task_instance)))
    _sign(hook, task_instance, observed, [record], {"state": FAILED}, _outputs(hook, task_instance, observed))
    log.info("Provenance: recorded that this try failed, sha256:%s", record.digest)


def _end(task_instance: Any) -> _Observed:
    observed = _running.pop(str(task_instance.id), None)
    if observed is None:
        raise ConfigurationError(
            "the inputs were not observed when the task began", "see the log's first lines; or it began elsewhere"
        )
    return observed


def _outputs(hook: MlsecopsHook, task_instance: Any, observed: _Observed) -> list[Artifact]:
    places = [*_places(task_instance.task.outlets), *_rendered(task_instance, observed.declared.products)]
    return list(_pinned(hook, places, Kind(observed.declared.kind), observed.unpinned))


def _sign(
    hook: MlsecopsHook,
    task_instance: Any,
    observed: _Observed,
    subjects: Sequence[Any],
    state: Mapping[str, str],
    byproducts: Sequence[Artifact],
) -> None:
    context = _context(task_instance)
    seen = surroundings(context, hook.store.put_blob)
    params = context.get("params") or {}
    statement = provenance.build(
        subjects,
        inputs=observed.inputs,
        parameters={name: params[name] for name in observed.declared.parameters if name in params},
        run={**run_info(context), **seen.run, **state, "unpinned": sorted(set(observed.unpinned))},
        builder=OBSERVER,
        started_at=task_instance.start_date or observed.started_at,
        finished_at=utcnow(),
        materials=seen.materials,
        byproducts=byproducts,
    )
    log.info("Provenance: evidence sha256:%s", hook.put(statement))


def _context(task_instance: Any) -> Mapping[str, Any]:
    context: Mapping[str, Any] = task_instance.get_template_context()
    return context


def _places(assets: Sequence[Any] | None) -> Iterator[str]:
    """Where assets lie; the name of one that has no place."""
    for asset in assets or ():
        place = getattr(asset, "uri", None) or getattr(asset, "name", None)
        if isinstance(place, str) and place:
            yield place


def _rendered(task_instance: Any, values: Sequence[Any]) -> list[Any]:
    context = _context(task_instance)
    return [task_instance.task.render_template(value, context) for value in values]


def _pinned(hook: MlsecopsHook, places: Sequence[Any], kind: Kind, unpinned: list[str]) -> Iterator[Artifact]:
    seen: set[str] = set()
    for place in places:
        if isinstance(place, str) and not place.lstrip().startswith(_SCHEMES):
            unpinned.append(place[:300])
            continue
        try:
            artifact = resolve_artifact(place, hook, kind=kind)
        except ArtifactError as error:
            if error.transient:
                raise
            unpinned.append(f"{place!s:.300}: {error.code}")
            continue
        if artifact.digest not in seen:
            seen.add(artifact.digest)
            yield artifact
