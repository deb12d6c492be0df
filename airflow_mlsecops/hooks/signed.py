"""Is there an artifact with a valid signature? Asked by the sensor in the worker and by its trigger."""

from __future__ import annotations

from airflow_mlsecops.core.clock import utcnow
from airflow_mlsecops.core.verification import Verification, verify_signature
from airflow_mlsecops.hooks.mlsecops import MlsecopsHook


def signed_artifact(uri: str, kind: str, mlsecops_conn_id: str) -> Verification | None:
    """The verification of what lies at ``uri`` now, or ``None`` if it isn't validly signed (yet).

    Raises:
        ArtifactNotFoundError: if nothing lies there (yet).
        ArtifactError, StoreError, TrustError: if it can't be told.
    """
    hook = MlsecopsHook(mlsecops_conn_id)
    answer = verify_signature(hook.pin(uri, kind=kind, keep=False), hook.store, hook.trust, utcnow())
    return answer if answer else None
