"""A copy of a promotion in MLflow's model registry: for people and tools that look there. It is never the truth.

MLflow's own settings say where: ``MLFLOW_REGISTRY_URI`` or ``MLFLOW_TRACKING_URI``, and its variables for credentials.
"""

from __future__ import annotations

from typing import Any

from airflow_mlsecops.core.errors import MissingExtraError
from airflow_mlsecops.core.predicates.promotion import Promotion

VERSION_TAG = "mlsecops.version"


def mirror(promotion: Promotion, evidence: str) -> str:
    """Let MLflow's alias for the stage point at this version; return MLflow's number of it.

    Args:
        promotion: what stands now.
        evidence: its evidence digest.

    Raises:
        MissingExtraError: if MLflow isn't installed.
        Exception: whatever MLflow raises.
    """
    try:
        from mlflow import MlflowClient, get_registry_uri
    except ImportError as error:
        raise MissingExtraError(
            "the mirror needs MLflow, which isn't installed", "pip install 'airflow-mlsecops[mlflow]'"
        ) from error
    # Without a tracking URI MLflow would make a database in the worker's current folder.
    where = get_registry_uri()
    client, release = MlflowClient(tracking_uri=where, registry_uri=where), promotion.release
    if not client.search_registered_models(filter_string=f"name = '{release.name}'"):
        client.create_registered_model(release.name)
    number = _number(client, promotion)
    client.set_model_version_tag(release.name, number, f"mlsecops.evidence.{release.stage}", evidence)
    client.set_registered_model_alias(release.name, release.stage, number)
    return number


def _number(client: Any, promotion: Promotion) -> str:
    release = promotion.release
    for found in client.search_model_versions(f"name = '{release.name}'"):
        if found.tags.get(VERSION_TAG) == release.version:
            return str(found.version)
    tags = {VERSION_TAG: release.version, "mlsecops.sha256": promotion.artifact.digest}
    return str(client.create_model_version(release.name, source=promotion.artifact.uri, tags=tags).version)
