"""For ``@task`` functions: hand artifacts from one to the next by digest.

Example::

    @task
    def train(data: dict) -> dict:
        with verified_copy(data) as path:
            model = fit(path)
        save(model, "/models/digits.joblib")
        return attest("/models/digits.joblib", name="digits-model", inputs=[data], parameters={"C": 1.0})

What these functions return is a reference (digest, URI, counts), small enough for XCom, and what every operator of this
provider takes as ``artifact``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airflow_mlsecops.core.artifact import Kind
from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.errors import ConfigurationError
from airflow_mlsecops.core.loading import refuse
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.core.predicates import provenance
from airflow_mlsecops.core.predicates.types import OURS
from airflow_mlsecops.core.verification import verify_release
from airflow_mlsecops.hooks.mlsecops import DEFAULT_CONN_ID, MlsecopsHook
from airflow_mlsecops.hooks.provenance_setting import observe_provenance
from airflow_mlsecops.hooks.references import ArtifactLike, resolve_artifact
from airflow_mlsecops.hooks.run_info import run_info

log = logging.getLogger(__name__)

__all__ = ["attest", "observe_provenance", "pin", "released_model", "verified_copy"]

BUILDER = f"{OURS}/airflow"


def pin(
    uri: str, *, name: str = "", kind: Kind | str = Kind.DATASET, mlsecops_conn_id: str = DEFAULT_CONN_ID
) -> dict[str, Any]:
    """Pin what lies at ``uri`` and return its reference.

    Raises:
        ArtifactError: if nothing lies there, or it can't be pinned safely.
    """
    artifact = MlsecopsHook(mlsecops_conn_id).pin(uri, name=name, kind=kind)
    log.info(
        "Pinned %s at %s: %d files, %d bytes, sha256:%s",
        artifact,
        artifact.uri,
        artifact.files,
        artifact.size,
        artifact.digest,
    )
    return {"artifact": artifact.to_dict()}


@contextmanager
def verified_copy(
    reference: ArtifactLike,
    *,
    policy: str | None = None,
    kind: Kind | str | None = None,
    mlsecops_conn_id: str = DEFAULT_CONN_ID,
) -> Iterator[Path]:
    """A private copy of the referenced bytes: read this, not the URI, so that what was checked is what is used.

    Args:
        reference: what a task of ours returned, or a URI.
        policy: path of a release policy; then the bytes must also be released under it, and a NO raises.
        kind: of what is given by URI; with a policy a model, else a data set.
        mlsecops_conn_id: the connection.

    Raises:
        ArtifactChangedError: if the bytes are no longer the pinned ones.
        NotVerifiedError: if they aren't released under ``policy``.
    """
    hook = MlsecopsHook(mlsecops_conn_id)
    default = Kind.DATASET if policy is None else Kind.MODEL
    artifact = resolve_artifact(reference, hook, kind=kind or default, keep=policy is None)
    if policy is not None:
        refuse(verify_release(artifact, hook.store, hook.trust, ReleasePolicy.from_file(policy), utcnow()))
        log.info("Verified %s: released under %s", artifact, policy)
    with hook.verified_copy(artifact) as path:
        log.info("Verified %s: the bytes are the pinned ones", artifact)
        yield path


def released_model(
    *, policy: str, model_name: str = "", stage: str = "", mlsecops_conn_id: str = DEFAULT_CONN_ID
) -> dict[str, Any]:
    """The reference of the model whose asset event triggered this run, verified: anybody may post an event.

    Of several events the newest counts. What an event names and what isn't released raises, and is recorded as an
    alarm if the connection's signer has the role ``alarm``.

    Args:
        policy: path of the release policy.
        model_name: with ``stage``: the model has to be what stands there now.
        stage: such as ``production``.
        mlsecops_conn_id: the connection.

    Raises:
        NotVerifiedError: if no event names a model, or what it names isn't released, or doesn't stand at the stage.
    """
    from airflow.sdk import get_current_context

    from airflow_mlsecops.hooks.events import verified_event

    if bool(model_name) != bool(stage):
        raise ConfigurationError("model_name and stage belong together", "give both, or none")
    return verified_event(get_current_context(), ReleasePolicy.from_file(policy), model_name, stage, mlsecops_conn_id)


def attest(
    uri: str,
    *,
    name: str,
    inputs: Sequence[ArtifactLike],
    kind: Kind | str = Kind.MODEL,
    parameters: Mapping[str, Any] | None = None,
    mlsecops_conn_id: str = DEFAULT_CONN_ID,
) -> dict[str, Any]:
    """Pin what this task made at ``uri``, sign where it came from (SLSA provenance v1), and return its reference.

    Args:
        uri: where the output lies.
        name: what people call it.
        inputs: references of everything it was made from.
        kind: model or dataset.
        parameters: what the task was told. Never put a secret here: it is signed and published.
        mlsecops_conn_id: the connection.

    Raises:
        ArtifactError: if the output can't be pinned.
        SigningError, StoreError: if the statement can't be signed or kept.
    """
    from airflow.sdk import get_current_context

    context: Any = get_current_context()
    hook = MlsecopsHook(mlsecops_conn_id)
    output = hook.pin(uri, name=name, kind=kind)
    statement = provenance.build(
        output,
        inputs=[resolve_artifact(item, hook) for item in inputs],
        parameters=parameters or {},
        run=run_info(context),
        builder=BUILDER,
        started_at=context["ti"].start_date,
        finished_at=utcnow(),
    )
    digest = hook.put(statement)
    log.info("Attested %s, made from %d inputs: evidence sha256:%s", output, len(inputs), digest)
    return {"artifact": output.to_dict(), "evidence": digest}
