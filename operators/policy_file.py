"""Reading a release policy where a task runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_mlsecops.core.errors import PolicyError
from airflow_mlsecops.core.policy import ReleasePolicy
from airflow_mlsecops.operators.base import require_text


def read_policy(path: Any) -> ReleasePolicy:
    """Read the policy at ``path``.

    Raises:
        ConfigurationError: if a template left the path empty.
        PolicyError: if there is no readable policy.
    """
    require_text("policy", path)
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise PolicyError(
            f"the release policy {path} can't be read: {error.strerror}", "check the path on the worker"
        ) from error
    return ReleasePolicy.from_bytes(data)
