"""Reading a release policy where a task, or a trigger, runs."""

from __future__ import annotations

from pathlib import Path

from airflow_mlsecops.core.errors import PolicyError
from airflow_mlsecops.core.policy import ReleasePolicy


def read_policy(path: str) -> ReleasePolicy:
    """Read the policy at ``path``.

    Raises:
        PolicyError: if there is no readable policy.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise PolicyError(
            f"the release policy {path} can't be read: {error.strerror}", "check the path on the worker"
        ) from error
    return ReleasePolicy.from_bytes(data)
